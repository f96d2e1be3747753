package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
)

// Each issued token and each denial has exactly one record, from any of the hooks, and is counted once.
func TestOneRecord(t *testing.T) {
	between := func(c *call, change func(p *rig, r *http.Request)) func(*rig) {
		return func(p *rig) {
			r := c.request()
			SignIdentity(httptest.NewRecorder(), r)
			change(p, r)
			GuardUpstream(httptest.NewRecorder(), r)
		}
	}
	signs := func(c *call) func(*rig) { return func(p *rig) { p.callSignAndGuard(c.request()) } }
	guards := func(c *call) func(*rig) { return func(p *rig) { p.callGuardOnly(c.request()) } }
	changed := func(c *call, change func(*call)) *call { change(c); return c }
	keepHost := changed(keyCall(), func(c *call) { c.api.Proxy.PreserveHostHeader = true })
	open := changed(withSettings(withoutSession(keyCall()), map[string]any{"identity": "optional"}), func(c *call) { c.api.APIID = "open-api" })
	rows := []struct {
		name string
		run  func(*rig)
		want decision.Reason // "": no record
	}{
		{"issued", signs(keyCall()), decision.Issued},
		{"issued for a certificate by the last hook alone", guards(staticCall()), decision.Issued},
		{"passed on without identity", signs(open), decision.Anonymous},
		{"refused by SignIdentity", signs(withoutSession(keyCall())), decision.NoSession},
		{"a certificate that is not listed", guards(changed(staticCall(), func(c *call) { c.api.ClientCertificates = nil })), decision.ClaimsUnbound},
		{"refused by GuardUpstream", between(keepHost, func(_ *rig, r *http.Request) { r.Host = "evil.example.com" }), decision.UpstreamRefused},
		{"an identity that does not fit", signs(changed(jwtCall(), func(c *call) { c.claims["org_id"] = strings.Repeat("x", 9000) })), decision.MintFailed},
		{"a loop that issues nothing", between(keyCall(), func(_ *rig, r *http.Request) { r.URL.Scheme = "tyk" }), ""},
		{"a keyless API", guards(changed(staticCall(), func(c *call) { c.api.UseMutualTLSAuth = false })), ""},
		{"a panic in SignIdentity", func(p *rig) { p.signer.config = nil; p.callSignAndGuard(keyCall().request()) }, decision.Panic},
		{"a panic in GuardUpstream", between(keyCall(), func(p *rig, _ *http.Request) { p.signer.minter = nil }), decision.Panic},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := startRig(t, "secretFile:", kindsText)
			row.run(p)
			want := 1
			if row.want == "" {
				want = 0
			}
			text := p.audit.String()
			if strings.Count(text, "\n") != want || strings.Count(text, fmt.Sprintf(`"reason":%q`, row.want)) != want {
				t.Errorf("want %d records of %q, got\n%s", want, row.want, text)
			}
			for _, reason := range decision.Reasons() {
				want := 0
				if reason == row.want {
					want = 1
				}
				d := decision.Decision{Reason: reason}
				if got := p.counterValue(t, fmt.Sprintf(`meshpass_edge_decisions_total{decision="%s",reason="%s"}`, d, reason)); got != want {
					t.Errorf("%s is counted %d times, want %d", reason, got, want)
				}
			}
		})
	}
}

// The cause of a denial is in its record, as in the log, so that a reader of the trail does not need the log.
func TestRecordsOfRefusalsNameTheCause(t *testing.T) {
	p := startRig(t)
	p.callSignAndGuard(withoutSession(keyCall()).request())
	c := keyCall()
	c.api.Proxy.PreserveHostHeader = true
	r := c.request()
	SignIdentity(httptest.NewRecorder(), r)
	r.Host = "evil.example.com"
	GuardUpstream(httptest.NewRecorder(), r)
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(p.audit.String()), "\n") {
		var record audit.Record
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		got = append(got, record.Reason+": "+record.Detail)
	}
	want := []string{
		"no_session: no_session: API orders-key: no caller was authenticated",
		`upstream_refused: upstream_refused: API orders-key: this request goes to "evil.example.com", which is not in upstreams`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// hanging is the gateway's standard output after its reader has stopped.
type hanging struct{ free chan struct{} }

func (h hanging) Write(line []byte) (int, error) {
	<-h.free
	return len(line), nil
}

// No hook waits for a record: neither for a reader that hangs nor for room in the queue.
func TestNoHookWaitsForItsRecord(t *testing.T) {
	stdout := hanging{make(chan struct{})}
	defer close(stdout.free)
	p := startRig(t)
	trail := audit.New(stdout, audit.Options{Settings: audit.Settings{Queue: 2000}})
	auditTrails.logs[settings.Stderr] = trail
	p.signer.audit = trail
	for range 20 {
		r := keyCall().request()
		requireSigned(t, p, r, p.callSignAndGuard(r))
		r = withoutSession(keyCall()).request()
		requireDenied(t, p, r, p.callSignAndGuard(r), 401, decision.NoSession)
	}
	s := trail.Stats()
	if s.Queued == 0 || s.Lost[logqueue.QueueFull] != 40-uint64(s.Queued) {
		t.Errorf("got %+v", s)
	}
	p.requireSamples(t, map[string]string{
		`meshpass_audit_records_lost_total{cause="queue_full"}`: fmt.Sprint(s.Lost[logqueue.QueueFull]),
		`meshpass_audit_write_failures_total`:                   fmt.Sprint(s.Lost[logqueue.QueueFull]),
		`meshpass_audit_queue_bytes`:                            fmt.Sprint(s.Bytes),
		`meshpass_audit_records_written_total`:                  "0",
	})
}

// A configuration that changes the bound of the queue, or is loaded again, starts no second writer.
func TestOneTrailForEachOutput(t *testing.T) {
	p := startRig(t)
	before := p.signer.audit
	replaceIn(t, p, "audit: {output: stderr}", "audit: {output: stderr, queue: 512KiB}")
	p.checkOnce()
	if p.signer.audit != before || before.Stats().Limit != 512<<10 {
		t.Errorf("another trail, or a limit of %d", before.Stats().Limit)
	}
	replaceIn(t, p, "queue: 512KiB", "queue: 1MiB", "issuer: https://tyk", "issuer: https://"+strings.Repeat("tyk", 1<<12))
	p.checkOnce()
	if before.Stats().Limit != 512<<10 {
		t.Errorf("a configuration that cannot be used sets a limit of %d", before.Stats().Limit)
	}
}
