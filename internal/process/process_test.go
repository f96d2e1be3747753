package process_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/process"
)

// TestMain lets this program play the run that crashes: see TestDiesWithItsRun.
func TestMain(m *testing.M) {
	if os.Getenv("PROCESS_TEST_RUN") != "" {
		p, err := start("sleep", "exec sleep 600", os.DevNull)
		fmt.Println(p.PID(), err)
		select {}
	}
	os.Exit(m.Run())
}

func start(name, script, log string) (*process.Proc, error) {
	return process.Start(process.Spec{
		Name: name, Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"GREETING=hello"}, Stdout: log, Stderr: log,
	})
}

func TestStop(t *testing.T) {
	p, err := start("sleep", "exec sleep 600", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Err(); err != nil {
		t.Fatalf("it runs, and Err is %v", err)
	}
	for range 2 {
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if alive(p.PID()) {
		t.Error("still alive")
	}
}

func TestMemory(t *testing.T) {
	p, err := start("sleep", "exec sleep 600", "")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := p.Memory(); err != nil || m.Resident <= 0 || m.Peak < m.Resident {
		t.Errorf("got %+v, %v", m, err)
	}
	p.Kill()
	if m, err := p.Memory(); err == nil {
		t.Errorf("got %+v of a program that has ended", m)
	}
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := start("stubborn", "trap '' TERM; echo deaf; while :; do sleep 1; done", log)
	if err != nil {
		t.Fatal(err)
	}
	await(t, p, func(context.Context) error { return holds(log, "deaf") })
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "stubborn did not end within 5s and was killed") {
		t.Errorf("got %v", err)
	}
}

func TestAwaitReportsTheEnd(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := start("failing", "echo $GREETING; exit 7", log)
	if err != nil {
		t.Fatal(err)
	}
	err = p.AwaitReady(context.Background(), func(context.Context) error { return errors.New("never") })
	if want := "failing ended (exit status 7); see " + log; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := holds(log, "hello"); err != nil {
		t.Error(err)
	}
}

func TestAwaitHasADeadline(t *testing.T) {
	p, err := start("slow", "exec sleep 600", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}()
	notYet := errors.New("not yet")
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Millisecond)
	defer cancel()
	err = p.AwaitReady(ctx, func(context.Context) error { return notYet })
	if !errors.Is(err, notYet) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestStartWithoutProgram(t *testing.T) {
	_, err := process.Start(process.Spec{Name: "ghost", Path: "/nonexistent"})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "ghost") {
		t.Errorf("got %v", err)
	}
}

// A run that is killed cannot stop its programs; the kernel must.
func TestDiesWithItsRun(t *testing.T) {
	run := exec.Command(os.Args[0])
	run.Env = append(os.Environ(), "PROCESS_TEST_RUN=1")
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil || !alive(pid) {
		t.Fatalf("pid %d, %v", pid, err)
	}
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = run.Wait() // "signal: killed"
	for deadline := time.Now().Add(10 * time.Second); alive(pid); {
		if time.Now().After(deadline) {
			t.Fatal("outlived its run", syscall.Kill(pid, syscall.SIGKILL))
		}
	}
}

// alive does not count a zombie: it only waits for its new parent to notice.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func await(t *testing.T, p *process.Proc, ready func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.AwaitReady(ctx, ready); err != nil {
		t.Fatal(err)
	}
}

func holds(file, text string) error {
	data, err := os.ReadFile(file)
	if err == nil && !strings.Contains(string(data), text) {
		err = fmt.Errorf("%s holds no %q", file, text)
	}
	return err
}

func TestListeningCheck(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepts := process.NewListeningCheck(listener.Addr().String())
	if err := accepts(context.Background()); err != nil {
		t.Errorf("a server that listens: %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := accepts(context.Background()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a server that has ended: got %v, want a refused connection", err)
	}
}
