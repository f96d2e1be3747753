// Package isolate runs this program again in a network namespace that has loopback and nothing else, so that neither it nor a program that
// it starts can reach another machine, by any address in their configuration. It needs no privilege where the kernel lets users make user
// namespaces (user_namespaces(7)); containers often forbid it.
package isolate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// marker is set in the environment of the program that runs inside.
const marker = "MESHPASS_NETWORK_NAMESPACE"

// ErrImpossible means that this machine does not permit namespaces.
var ErrImpossible = errors.New("this machine permits no network namespace of its own")

// IsInside reports whether this process is the one that [Run] started, with loopback alone. It makes loopback usable.
func IsInside() (bool, error) {
	if os.Getenv(marker) == "" {
		return false, nil
	}
	interfaces, err := net.Interfaces()
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback == 0 {
			err = fmt.Errorf("%s is set, and this machine has the interface %s: unset it", marker, i.Name)
		}
	}
	if err != nil {
		return false, err
	}
	return true, setLoopbackUp()
}

// grace is how long the program may take to end after a signal.
const grace = 30 * time.Second

// Run starts this program again with the same arguments inside a new namespace, and returns its exit code. When ctx ends, the program gets
// SIGINT. The kernel kills it if this process dies.
func Run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) (code int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), marker+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = grace
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		// Root inside is this user outside: it may set loopback up, and owns the same files.
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Setpgid:     true, // a Ctrl-C reaches this process alone, which passes it on once
		Pdeathsig:   syscall.SIGKILL,
	}
	runtime.LockOSThread() // Pdeathsig is sent when this thread ends
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrImpossible, err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	case errors.Is(err, context.Canceled):
		return cmd.ProcessState.ExitCode(), nil
	}
	return 0, err
}

// setLoopbackUp does what `ip link set lo up` does (netdevice(7)).
func setLoopbackUp() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }()
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	return nil
}
