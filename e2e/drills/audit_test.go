package drills

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// A collector of logs that has stopped lets nobody in and keeps nobody out, whatever the provider does when Envoy gets
// no answer: every request is decided, long after the pipe of 64 KiB is full.
func TestNobodyReadsTheAuditTrail(t *testing.T) {
	r := newRig(t, setup{})
	pipe := r.path(fmt.Sprintf("meshpass-%d.audit.log", r.started+1))
	must(t, syscall.Mkfifo(pipe, 0o600))
	held := must1(os.OpenFile(pipe, os.O_RDWR, 0))(t) // or the authorizer would have no standard output
	defer held.Close()
	a := r.startAuthorizer(t, authorizerHost)
	r.recovers(t)
	errorsBefore := r.counter(t, closed, "error") + r.counter(t, open, "error")
	for i := range 200 {
		for _, to := range []string{closed, open} {
			for k, want := range map[kind]string{own: "200", bare: "403 token_missing"} {
				if got := r.send(t, r.ask(to, k)).String(); got != want {
					t.Fatalf("request %d to %s, %v: got %s, want %s", i+1, to, k, got, want)
				}
			}
		}
	}
	if errors := r.counter(t, closed, "error") + r.counter(t, open, "error") - errorsBefore; errors != 0 {
		t.Errorf("Envoy got no answer %v times", errors)
	}
	if a.settled(t.Context()) {
		t.Error("no record waits: the pipe has more room than this test fills")
	}
}
