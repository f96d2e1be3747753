package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/decision"
)

// Each token that is issued and each refusal leaves exactly one record, whichever
// hook it was, and is counted once.
func TestOneRecord(t *testing.T) {
	between := func(c *call, change func(p *rig, r *http.Request)) func(*rig) {
		return func(p *rig) {
			r := c.request()
			SignIdentity(httptest.NewRecorder(), r)
			change(p, r)
			GuardUpstream(httptest.NewRecorder(), r)
		}
	}
	signs := func(c *call) func(*rig) { return func(p *rig) { p.sign(c.request()) } }
	guards := func(c *call) func(*rig) { return func(p *rig) { p.guard(c.request()) } }
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
		{"a panic in SignIdentity", func(p *rig) { p.signer.config = nil; p.sign(keyCall().request()) }, decision.Panic},
		{"a panic in GuardUpstream", between(keyCall(), func(p *rig, _ *http.Request) { p.signer.minter = nil }), decision.Panic},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := start(t, "secretFile:", kindsText)
			row.run(p)
			want := 1
			if row.want == "" {
				want = 0
			}
			text := p.audit.String()
			if strings.Count(text, "\n") != want || strings.Count(text, fmt.Sprintf(`"reason":%q`, row.want)) != want {
				t.Errorf("want %d records of %q, got\n%s", want, row.want, text)
			}
			for reason, counter := range p.watch.meter.decisions {
				if got := counter.Load(); got != 0 && (reason != row.want || got != 1) {
					t.Errorf("%s is counted %d times", reason, got)
				}
			}
			if row.want != "" && p.watch.meter.decisions[row.want].Load() != 1 {
				t.Errorf("%s is not counted", row.want)
			}
		})
	}
}
