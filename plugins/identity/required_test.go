package main

import (
	"context"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// fullDisk fails each write until there is room.
type fullDisk struct {
	mu   sync.Mutex
	room bool
	text strings.Builder
}

func (d *fullDisk) Write(line []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.room {
		return 0, syscall.ENOSPC
	}
	return d.text.Write(line)
}

func (d *fullDisk) makeRoom() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = true
}

// withTrail starts the plugin with a trail that goes to the sink, and with what its file says about audit records.
func withTrail(t *testing.T, sink interface{ Write([]byte) (int, error) }, section string) *rig {
	t.Helper()
	p := startRig(t, "audit: {output: stderr}", "audit: {output: stderr, "+section+"}")
	trail := audit.New(sink, audit.Options{})
	auditTrails.logs[settings.Stderr] = trail
	p.signer.audit = auditTrails.openTrail(p.signer.config.Audit, nil, p.signer.log)
	return p
}

// A token is handed on only after its record was written, where the file says so; a request without identity too. A
// denial is answered as it is. Once records can be written, tokens are handed on again.
func TestNoTokenWithoutItsRequiredRecord(t *testing.T) {
	disk := &fullDisk{}
	p := withTrail(t, disk, "required: true")
	for range 2 {
		r := keyCall().request()
		rw := p.callSignAndGuard(r)
		requireDenied(t, p, r, rw, 503, decision.AuditUnavailable)
		if got := rw.Header().Get(identity.TxnHeader); got != "" {
			t.Errorf("a transaction, %s, without a token", got)
		}
	}
	open := withSettings(keyCall(), map[string]any{"identity": "optional"})
	open.api.APIID, open.session, open.ignored = "open-api", nil, true
	r := open.request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 503, decision.AuditUnavailable)
	r = withoutSession(keyCall()).request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 401, decision.NoSession)
	p.requireSamples(t, map[string]string{
		`meshpass_edge_decisions_total{decision="deny",reason="audit_unavailable"}`: "3",
		`meshpass_edge_decisions_total{decision="allow",reason="issued"}`:           "0",
		`meshpass_edge_decisions_total{decision="allow",reason="anonymous"}`:        "0",
	})

	if err := p.signer.audit.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	disk.makeRoom()
	r = keyCall().request()
	claims := requireSigned(t, p, r, p.callSignAndGuard(r))
	if err := p.signer.audit.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	audittest.CheckLines(t, disk.text.String())
	first, _, _ := strings.Cut(disk.text.String(), "\n")
	if !strings.Contains(first, `"kind":"issue"`) || !strings.Contains(first, claims.Txn) {
		t.Errorf("got %s", first)
	}
}

// A reader that hangs holds a request up for the bound alone.
func TestARequiredRecordWhoseReaderHangs(t *testing.T) {
	stdout := hanging{make(chan struct{})}
	defer close(stdout.free)
	p := withTrail(t, stdout, "required: true")
	r := keyCall().request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 503, decision.AuditUnavailable)
	if last := p.log.String(); !strings.Contains(last, "audit_unavailable: audit.required: context deadline exceeded") {
		t.Errorf("log: %s", last)
	}
}

// What is sampled out is counted, and what is masked is in no record.
func TestSampledAndMaskedRecords(t *testing.T) {
	disk := &fullDisk{room: true}
	p := withTrail(t, disk, "sampleAllowed: 0, mask: [sub, path]")
	r := keyCall().request()
	requireSigned(t, p, r, p.callSignAndGuard(r))
	r = withoutSession(keyCall()).request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 401, decision.NoSession)
	p.requireSamples(t, map[string]string{"meshpass_audit_records_sampled_total": "1"})
	if err := p.signer.audit.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	text := disk.text.String()
	audittest.CheckLines(t, text)
	if strings.Count(text, "\n") != 2 || !strings.Contains(text, `"path":"masked"`) || !strings.Contains(text, `"cause":"sampled","count":1`) || strings.Contains(text, `"kind":"issue"`) {
		t.Errorf("got %s", text)
	}
}
