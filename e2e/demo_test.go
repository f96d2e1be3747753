package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
)

// The demo plays the tour on the checked-in dump, and Ctrl-C ends everything that it started,
// in the middle of the start as well as after the tour.
func TestCtrlCEndsTheDemo(t *testing.T) {
	for name, until := range map[string]string{"while it starts": "meshpass ", "after the tour": "Everything runs until Ctrl-C"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			output := interruptDemo(t, dir, until)
			if left := runningIn(t, dir); len(left) > 0 {
				t.Errorf("still running after Ctrl-C: %v", left)
			}
			if bytes.Contains(output, []byte("NOT AS EXPECTED")) {
				t.Errorf("%s", output)
			}
		})
	}
}

// interruptDemo runs the demo with its folders in dir, interrupts it once its output contains the text
// until, and returns the output.
func interruptDemo(t *testing.T, dir, until string) []byte {
	t.Helper()
	demo, log := startDemo(t, dir, until)
	endDemo(t, demo)
	output, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// startDemo runs the demo with its folders in dir, and returns once its output contains the text until. log is the file with the
// output.
func startDemo(t *testing.T, dir, until string, args ...string) (demo *process.Proc, log string) {
	t.Helper()
	log = filepath.Join(dir, "output")
	demo, err := process.Start(process.Spec{
		Name: "demo", Path: demoProgram(t), Args: append([]string{"-keep"}, args...), Env: []string{"TMPDIR=" + dir}, Stdout: log, Stderr: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := demo.AwaitReady(ctx, func(context.Context) error { return contains(log, until) }); err != nil {
		_ = syscall.Kill(demo.PID(), syscall.SIGINT)
		t.Fatal(err)
	}
	return demo, log
}

func demoProgram(t *testing.T) string {
	t.Helper()
	path, err := repo.Bin("demo", "build")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// endDemo interrupts the demo as Ctrl-C does, and waits for its end.
func endDemo(t *testing.T, demo *process.Proc) {
	t.Helper()
	if err := syscall.Kill(demo.PID(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-demo.Done():
	case <-time.After(2 * time.Minute):
		t.Fatal("the demo did not end after Ctrl-C")
	}
}

func contains(file, text string) error {
	data, err := os.ReadFile(file)
	if err == nil && !bytes.Contains(data, []byte(text)) {
		err = errors.New("the output does not hold " + text)
	}
	return err
}

// runningIn lists the processes that run in dir or were given a path in it, as all of a run's are.
func runningIn(t *testing.T, dir string) []string {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, process := range processes {
		// Either fails for a process that has just ended, or is another user's.
		command, _ := os.ReadFile(filepath.Join(process, "cmdline"))
		cwd, _ := os.Readlink(filepath.Join(process, "cwd"))
		about := strings.ReplaceAll(string(command), "\x00", " ") + "in " + cwd
		if strings.Contains(about, dir) {
			left = append(left, about)
		}
	}
	return left
}
