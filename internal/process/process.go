// Package process starts the real programs of a run, and makes sure that none outlives it.
// Stop ends a program, and the kernel kills it if the run itself dies.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Grace is how long a program may take to end after SIGTERM.
const Grace = 5 * time.Second

// Spec describes the program to start.
type Spec struct {
	Name   string // for messages
	Path   string
	Args   []string
	Env    []string // added to the environment of the run
	Alone  bool     // Env is the whole environment
	Dir    string
	Stdout string // file, appended to; empty: discarded
	Stderr string // file, appended to; empty: discarded
	Pinned bool   // to the processor CPU
	CPU    int
}

// Proc is a program that was started.
type Proc struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{}
	err  error // valid once done is closed
}

// Start starts the program and returns at once.
func Start(spec Spec) (*Proc, error) {
	stdout, err := openLog(spec.Stdout)
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	stderr, err := openLog(spec.Stderr)
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Env, cmd.Dir = append([]string{}, spec.Env...), spec.Dir
	if !spec.Alone {
		cmd.Env = append(os.Environ(), spec.Env...)
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	// The program has a process group of its own: Ctrl-C in the terminal reaches only the
	// run, which then stops its programs in order. Pdeathsig is for a run that is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &Proc{spec: spec, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go p.runProgram(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", spec.Name, err)
	}
	return p, nil
}

func openLog(path string) (*os.File, error) {
	if path == "" {
		path = os.DevNull
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

// runProgram keeps the thread that starts the program until the program ends: Linux sends
// Pdeathsig when the starting thread dies, not when the process dies (go.dev/issue/27505).
func (p *Proc) runProgram(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.startPinned()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
	}
	close(p.done)
}

// startPinned starts the program from a thread with its affinity, which a program inherits (sched_setaffinity(2)).
func (p *Proc) startPinned() error {
	if !p.spec.Pinned {
		return p.cmd.Start()
	}
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	only.Set(p.spec.CPU)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return err
	}
	return errors.Join(p.cmd.Start(), unix.SchedSetaffinity(0, &before))
}

// PID is the program's process id.
func (p *Proc) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Err is the error of a program that has ended, with its state and the name of its log. It is
// nil while the program runs.
func (p *Proc) Err() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended (%v); see %s", p.spec.Name, p.cmd.ProcessState, p.spec.Stderr)
	default:
		return nil
	}
}

// Stop ends the program: SIGTERM, and SIGKILL after Grace. It may be called
// more than once. A program that had to be killed is an error.
func (p *Proc) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		<-p.done
		return nil
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(Grace):
	}
	p.Kill()
	return fmt.Errorf("%s did not end within %v and was killed", p.spec.Name, Grace)
}

// Kill ends the program as a crash would, with SIGKILL, and returns when it has ended.
func (p *Proc) Kill() {
	_ = p.cmd.Process.Kill() // fails only if it has ended already
	<-p.done
}
