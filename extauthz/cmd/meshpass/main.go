// Command meshpass is the authorizer that Envoy asks before it lets a request
// into a workload. `meshpass help` lists its commands.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// The first signal stops gracefully; from then on a second one kills.
	context.AfterFunc(ctx, stop)
	os.Exit(runUntil(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// interruptGrace is how long an interrupted command may take to end. A command can hang
// while it reads a file, for example at a named pipe or on a network mount.
const interruptGrace = time.Second

// endsByItself are the commands that end in their own time: serve drains, and rehearse ends the programs that it started.
var endsByItself = []string{"serve", "rehearse"}

// runUntil runs a command that ends with ctx.
func runUntil(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && slices.Contains(endsByItself, args[0]) {
		return run(ctx, args, stdin, stdout, stderr)
	}
	ended := make(chan int, 1)
	out := &closableWriter{to: stdout}
	go func() { ended <- run(ctx, args, stdin, out, stderr) }()
	select {
	case code := <-ended:
		return code
	case <-ctx.Done():
	}
	select {
	case code := <-ended:
		return code
	case <-time.After(interruptGrace):
		fmt.Fprintln(stderr, "meshpass: interrupted")
		if unused := out.close(); unused && asksForJSON(args) {
			_ = printer.JSON(stdout, errorObject{&printer.Failure{Message: "interrupted"}}) // the exit code reports the failure too
		}
		return exitCouldNot
	}
}

// closableWriter writes nothing after it is closed.
type closableWriter struct {
	mu           sync.Mutex
	to           io.Writer
	used, closed bool
}

func (w *closableWriter) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, io.ErrClosedPipe
	}
	w.used = true
	return w.to.Write(data)
}

// close reports whether nothing has been written.
func (w *closableWriter) close() (unused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return !w.used
}

// run is the whole program and returns the exit code. Answers go to stdout and errors to
// stderr. The audit trail of `serve` goes to stdout too.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	arranged, err := normalizeArgs(root, args)
	if err == nil {
		root.SetArgs(arranged)
		err = root.ExecuteContext(ctx)
	}
	return reportError(err, asksForJSON(arranged), stdout, stderr)
}
