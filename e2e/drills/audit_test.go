package drills

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// A collector of logs that has stopped changes no decision, with either provider: every request is decided,
// long after the pipe of 64 KiB is full.
func TestNobodyReadsTheAuditTrail(t *testing.T) {
	r := newRig(t, rigSetup{})
	pipe := r.filePath(fmt.Sprintf("meshpass-%d.audit.log", r.started+1))
	must(t, syscall.Mkfifo(pipe, 0o600))
	held := mustGet(os.OpenFile(pipe, os.O_RDWR, 0))(t) // or the authorizer would have no standard output
	defer held.Close()
	a := r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)
	errorsBefore := r.extAuthzCounter(t, closed, "error") + r.extAuthzCounter(t, open, "error")
	for i := range 200 {
		for _, to := range []string{closed, open} {
			for k, want := range map[requestKind]string{ownTenant: "200", noToken: "403 token_missing"} {
				if got := r.mustSend(t, r.newRequest(to, k)).String(); got != want {
					t.Fatalf("request %d to %s, %v: got %s, want %s", i+1, to, k, got, want)
				}
			}
		}
	}
	if errors := r.extAuthzCounter(t, closed, "error") + r.extAuthzCounter(t, open, "error") - errorsBefore; errors != 0 {
		t.Errorf("Envoy got no answer %v times", errors)
	}
	if a.hasWrittenAll(t.Context()) {
		t.Error("no record waits: the pipe has more room than this test fills")
	}
}
