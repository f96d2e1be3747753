package drills

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/process"
)

// authorizer is our own program, running.
type authorizer struct {
	*process.Proc
	address string
	audit   string // file
}

// startAuthorizer returns when Checks are answered on the host's address. The authorizer
// ends with the test at the latest.
func (r *rig) startAuthorizer(t *testing.T, host int) *authorizer {
	t.Helper()
	a := &authorizer{address: r.net.Addr(host)}
	config := mustGet(os.ReadFile(filepath.Join("testdata", r.place.config)))(t)
	r.started++
	name := r.filePath(fmt.Sprintf("meshpass-%d", r.started))
	must(t, os.WriteFile(name+".yaml", bytes.ReplaceAll(config, []byte("LISTEN"), []byte(a.address)), 0o644))
	a.audit = name + ".audit.log"
	a.Proc = mustGet(process.Start(process.Spec{
		Name: "meshpass", Path: mustGet(repo.Bin("meshpass", "build"))(t), Dir: r.dir,
		Args:   []string{"serve", "--config", name + ".yaml", "--drain-delay", drainDelay.String()},
		Stdout: a.audit, Stderr: name + ".log",
	}))(t)
	t.Cleanup(func() {
		a.kill()
		audittest.CheckFiles(t, a.audit)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must(t, a.AwaitReady(ctx, a.checkReady))
	return a
}

// drainDelay gives istiod time to withdraw an endpoint.
const drainDelay = 8 * time.Second

// kill ends the process as a crash does, without a drain.
func (a *authorizer) kill() {
	if process, err := os.FindProcess(a.PID()); err == nil {
		_ = process.Kill() // fails only if it has ended
	}
	<-a.Done()
}

// pause keeps the connections and answers nothing.
func (a *authorizer) pause() { _ = syscall.Kill(a.PID(), syscall.SIGSTOP) } // fails only if it has ended

func (a *authorizer) resume() { _ = syscall.Kill(a.PID(), syscall.SIGCONT) }

func (a *authorizer) checkReady(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(a.address, "9090")+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("/readyz: %s", response.Status)
	}
	_ = response.Body.Close() // the body is not read
	return err
}

// record holds these fields of an audit record.
type record struct {
	RequestID string `json:"request_id"`
	Path      string `json:"path"`
	Callee    string `json:"callee"`
	Decision  string `json:"decision"`
	Reason    string `json:"reason"`
}

// readRecords returns the records of every request that was answered before.
func (a *authorizer) readRecords(t *testing.T) (all []record) {
	t.Helper()
	eventually(t, "no record waits to be written", func() bool { return a.Err() != nil || a.hasWrittenAll(t.Context()) })
	for line := range bytes.Lines(mustGet(os.ReadFile(a.audit))(t)) {
		var one record
		must(t, json.Unmarshal(line, &one))
		all = append(all, one)
	}
	return all
}

// hasWrittenAll reports whether every record was written.
func (a *authorizer) hasWrittenAll(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(a.address, "9090")+"/status", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	var status struct{ Audit struct{ Queued int } }
	return json.NewDecoder(response.Body).Decode(&status) == nil && status.Audit.Queued == 0
}

// decisionsAbout returns the decisions on one request, such as "allow rule_allowed".
func (a *authorizer) decisionsAbout(t *testing.T, requestID string) (decisions []string) {
	t.Helper()
	for _, one := range a.readRecords(t) {
		if one.RequestID == requestID {
			decisions = append(decisions, one.Decision+" "+one.Reason)
		}
	}
	return decisions
}
