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

// suites use -race for our own concurrency; Tyk and Istio run as they are shipped. The
// tests of e2e depend on programs in bin/, which the test cache does not track. Istio is compiled
// once, for the program: -trimpath is part of the key of the compiler's cache.
var suites = []suite{
	{name: "shared", dir: ".", args: []string{"-race", "./..."}},
	{name: "extauthz", dir: "extauthz", args: []string{"-race", "./..."}},
	{name: "plugins", dir: "plugins", args: []string{"-race", "-tags", "goplugin", "./..."}},
	{name: "costs of shared", dir: ".", args: countCosts("./shared/...", "./internal/...")},
	{name: "costs of extauthz", dir: "extauthz", args: countCosts("./...")},
	{name: "costs of plugins", dir: "plugins", args: countCosts("-tags", "goplugin", "./identity/...")},
	{name: "release", dir: "release", args: []string{"./..."}},
	{name: "istiod", dir: "e2e/istiod", args: []string{"-trimpath", "-vet=off", "./..."}},
	{name: "charts", dir: "charts", args: []string{"-vet=off", "./..."}},
	{name: "e2e", dir: "e2e", args: []string{"-count=1", "-timeout=20m", "./..."}},
}

// countCosts are the arguments for the tests of allocations and instructions, which -race changes. -trimpath, as for programs,
// saves compiling the packages once more.
func countCosts(args ...string) []string {
	return append([]string{"-trimpath", "-run", "Allocat|Instructions"}, args...)
}

// runTests runs the suite and reports every event as it arrives.
func (s suite) runTests(ctx context.Context, root string, r *report) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, s.args...)...)
	cmd.Dir, cmd.Env = filepath.Join(root, s.dir), append(os.Environ(), s.env...)
	// The run has its own process group, so that an interrupt also ends the tests, not only go. Programs
	// that they started end with them (see package process).
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		r.addBrokenRun(s.name, err, nil)
		return
	}
	r.beginSuite(s.name)
	if err := cmd.Start(); err != nil {
		r.addBrokenRun(s.name, err, nil)
		return
	}
	before := r.failed
	r.readEvents(events)
	if err := cmd.Wait(); err != nil && r.failed == before {
		r.addBrokenRun(s.name, err, stderr.Bytes())
	}
}
