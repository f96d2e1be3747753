package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// suite is one run of `go test`, in one module.
type suite struct {
	name string
	dir  string   // of the module, relative to the root
	args []string // after go test -json
	env  []string
}

// suites: -race where our own concurrency is; Tyk's and Istio's stay as they are shipped. The
// tests of e2e look at programs in bin/, of which the test cache knows nothing. Istio is compiled
// once, for the program: -trimpath is part of the key under which the compiler finds it again.
var suites = []suite{
	{name: "shared", dir: ".", args: []string{"-race", "./..."}},
	{name: "extauthz", dir: "extauthz", args: []string{"-race", "./..."}},
	{name: "plugins", dir: "plugins", args: []string{"-race", "-tags", "goplugin", "./..."}},
	{name: "istiod", dir: "e2e/istiod", args: []string{"-trimpath", "-vet=off", "./..."}},
	{name: "e2e", dir: "e2e", args: []string{"-count=1", "-timeout=10m", "./..."}},
}

// run runs the suite and reports every event as it comes.
func (s suite) run(ctx context.Context, root string, r *report) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, s.args...)...)
	cmd.Dir, cmd.Env = filepath.Join(root, s.dir), append(os.Environ(), s.env...)
	// A group of its own, so that an interrupt ends the tests too, and not go alone. What they
	// started ends with them (see package process).
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		r.broken(s.name, err, nil)
		return
	}
	r.begin(s.name)
	if err := cmd.Start(); err != nil {
		r.broken(s.name, err, nil)
		return
	}
	before := r.failed
	r.read(events)
	if err := cmd.Wait(); err != nil && r.failed == before {
		r.broken(s.name, err, stderr.Bytes())
	}
}
