package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/decision"
)

const ownTenant = "name: own-tenant, effect: allow, to: {methods: [GET], paths: ['/tenants/{tenant}/**']}, when: 'claims.tctx.tenant == path.tenant'"

func edgeDocument(name, api, rule string, more ...string) string {
	return fmt.Sprintf(`apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: %s}
spec:
  targets: {workloads: [edge/%s]}
  rules: [{%s}]
  %s
`, name, api, rule, strings.Join(more, "\n  "))
}

// startEdge loads documents, by file, that are enforced or not.
func startEdge(t *testing.T, enforce bool, documents map[string]string) *rig {
	t.Helper()
	p := startRig(t, "secretFile:", kindsText)
	requireNoError(t, os.Mkdir(filepath.Join(p.dir, "edge"), 0o700))
	for name, text := range documents {
		p.writeFile(t, filepath.Join("edge", name), text)
	}
	replaceIn(t, p, "audit:", fmt.Sprintf("edge: {policies: [{path: edge}], enforce: %t}\naudit:", enforce))
	p.checkOnce()
	if p.signer.policies == nil {
		t.Fatalf("no policies: %s", &p.log)
	}
	return p
}

// records gives all records since the last call.
func (p *rig) records(t *testing.T) (all []map[string]any) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(p.audit.String()), "\n") {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		all = append(all, record)
	}
	p.audit.TakeRecords()
	return all
}

func TestTheEdgeJudges(t *testing.T) {
	documents := map[string]string{
		"key.yaml":   edgeDocument("edge-key", "orders-key", ownTenant),
		"open.yaml":  edgeDocument("edge-open", "open-api", "name: all, effect: allow"),
		"jwt.yaml":   edgeDocument("edge-jwt", "orders-jwt", "name: none, effect: deny, to: {paths: ['/**']}", "mode: shadow"),
		"hosts.yaml": edgeDocument("edge-hmac", "hosts", "name: host, effect: allow, to: {hosts: [shop.example.com], methods: [GET]}"),
	}
	elsewhere := func(c *call) *http.Request {
		r := c.request()
		r.URL.Path = "/tenants/globex/orders/7"
		return r
	}
	named := func(api string) *call { c := keyCall(); c.api.APIID = api; return c }
	open := withSettings(withoutSession(named("open-api")), map[string]any{"identity": "optional"})
	rows := []struct {
		name   string
		r      func() *http.Request
		reason decision.Reason // enforced; "": signed
		status int
		policy string   // of the record: "policy/rule"
		shadow []string // where not enforced; nil: nothing
		always bool     // the record has that shadow also where the edge enforces
	}{
		{"a rule allows", func() *http.Request { return keyCall().request() }, "", 0, "edge-key/own-tenant", []string{"allow rule_allowed edge-key/own-tenant"}, false},
		{"another tenant", func() *http.Request { return elsewhere(keyCall()) }, decision.NoRule, 403, "/", []string{"deny no_rule"}, false},
		{"a path of two readings", func() *http.Request {
			r := keyCall().request()
			r.URL.Path, r.URL.RawPath = "/tenants/acme/../globex/x", "/tenants/acme/%2e%2e/globex/x"
			return r
		}, decision.AmbiguousPath, 403, "/", []string{"deny ambiguous_path"}, false},
		{"another host", func() *http.Request { return named("hosts").request() }, decision.NoRule, 403, "/", []string{"deny no_rule"}, false},
		{"its host", func() *http.Request {
			r := named("hosts").request()
			r.Host = "Shop.example.com:443"
			return r
		}, "", 0, "edge-hmac/host", []string{"allow rule_allowed edge-hmac/host"}, false},
		{"nobody", open.request, decision.TokenMissing, 401, "/", []string{"deny token_missing"}, false},
		{"in shadow", func() *http.Request { return jwtCall().request() }, "", 0, "/", []string{"deny rule_denied edge-jwt/none"}, true},
		{"no document", func() *http.Request { return named("other").request() }, "", 0, "/", nil, true},
	}
	for _, enforce := range []bool{true, false} {
		p := startEdge(t, enforce, documents)
		for _, row := range rows {
			r, rw := row.r(), httptest.NewRecorder()
			sent := r.URL.EscapedPath()
			if SignIdentity(rw, r); rw.Body.Len() == 0 {
				r.URL.Path, r.URL.RawPath, r.Host = "/rewritten", "", "orders.shop.svc.cluster.local"
				GuardUpstream(rw, r)
			}
			records := p.records(t)
			if enforce && row.reason != "" {
				requireDenied(t, p, r, rw, row.status, row.reason)
			} else if row.name == "nobody" {
				requireUnsigned(t, p, r, rw)
			} else {
				requireSigned(t, p, r, rw)
			}
			if len(records) != 1 {
				t.Fatalf("%s: %d records", row.name, len(records))
			}
			got := records[0]
			if row.shadow != nil && (got["path"] != sent || got["generation"] != p.signer.policies.Generation()) {
				t.Errorf("%s: the record does not name the decided request: %v", row.name, got)
			}
			if row.reason != "" && enforce && (got["kind"] != "edge" || got["reason"] != string(row.reason)) {
				t.Errorf("%s: got %v", row.name, got)
			}
			if by := textOf(got["policy"]) + "/" + textOf(got["rule"]); enforce && by != row.policy {
				t.Errorf("%s: by %s, want %s", row.name, by, row.policy)
			}
			want, mode := row.shadow, "unenforced"
			if enforce && !row.always {
				want = nil
			}
			if want == nil {
				mode = ""
			}
			if fmt.Sprint(listOf(got["shadow"])) != fmt.Sprint(want) || textOf(got["mode"]) != mode {
				t.Errorf("%s, enforce %t: shadow %v, mode %q, want %v, %q", row.name, enforce, got["shadow"], got["mode"], want, mode)
			}
		}
	}
}

func textOf(v any) string { s, _ := v.(string); return s }

func listOf(v any) (all []string) {
	list, _ := v.([]any)
	for _, entry := range list {
		all = append(all, textOf(entry))
	}
	return all
}

// The record has the values that rules read, so that the decision can be made again.
func TestEdgeInputs(t *testing.T) {
	rule := strings.TrimSuffix(ownTenant, "'") + ` && request.headers["x-region"] == "eu,us"'`
	p := startEdge(t, true, map[string]string{"key.yaml": edgeDocument("edge-key", "orders-key", rule)})
	r := keyCall().request()
	r.Header["X-Region"] = []string{"eu", "us"}
	p.callSignAndGuard(r)
	got := p.records(t)[0]
	want := `map[claims.tctx.tenant:acme request.headers.x-region:eu,us]`
	inputs, _ := got["inputs"].(map[string]any)
	delete(inputs, "request.no_caller")
	if got["reason"] != "issued" || fmt.Sprint(inputs) != want {
		t.Errorf("got %v", got)
	}
}

// A request of an API that asks only for a certificate is decided in the last hook, by the method and path
// that the first hook has seen.
func TestTheEdgeJudgesBeforeTykRewrites(t *testing.T) {
	for path, status := range map[string]int{"/reports/1": 0, "/tenants/acme/orders/7": 403} {
		c := staticCall()
		p := startEdge(t, true, map[string]string{"mtls.yaml": edgeDocument("edge-mtls", c.api.APIID, "name: reports, effect: allow, to: {methods: [GET], paths: ['/reports/{id}']}")})
		r := c.request()
		r.URL.Path = path
		StripIdentity(httptest.NewRecorder(), r)
		c.enterContext(r)
		r.URL.Path = "/reports/rewritten"
		if status == 0 {
			r.URL.Path = "/tenants/rewritten"
		}
		rw := p.callGuardOnly(r)
		if status == 0 {
			requireSigned(t, p, r, rw)
		} else {
			requireDenied(t, p, r, rw, status, decision.NoRule)
		}
		if got := p.records(t)[0]; got["path"] != path {
			t.Errorf("got %v", got)
		}
	}
}

// Documents are followed like all other files: a change is loaded as a whole or not at all.
func TestEdgePoliciesAreFollowed(t *testing.T) {
	p := startEdge(t, true, map[string]string{"key.yaml": edgeDocument("edge-key", "orders-key", ownTenant)})
	answer := func() int { return p.callSignAndGuard(keyCall().request()).Code }
	if got := answer(); got != 200 {
		t.Fatalf("at first: %d", got)
	}
	p.writeFile(t, "edge/key.yaml", edgeDocument("edge-key", "orders-key", "name: none, effect: deny, to: {paths: ['/**']}"))
	p.checkOnce()
	if got := answer(); got != 403 {
		t.Errorf("changed: %d", got)
	}
	p.writeFile(t, "edge/key.yaml", edgeDocument("edge-key", "orders-key", "name: none, effect: maybe"))
	p.checkOnce()
	if got := answer(); got != 403 || !strings.Contains(p.log.String(), "edge/key.yaml:6:") || !p.watch.meter.Source("policies").Rejected.Load() {
		t.Errorf("refused: %d, log %s", got, &p.log)
	}
	p.writeFile(t, "edge/key.yaml", edgeDocument("edge-key", "orders-key", strings.ReplaceAll(ownTenant, "tctx.tenant", "tctx.tennant")))
	p.checkOnce()
	if got := answer(); got != 403 || !strings.Contains(p.log.String(), "claims.tctx.tennant is in no token") {
		t.Errorf("a claim that no mapping writes: %d, log %s", got, &p.log)
	}
	replaceIn(t, p, "enforce: true", "enforce: false")
	p.writeFile(t, "edge/key.yaml", edgeDocument("edge-key", "orders-key", "name: none, effect: deny, to: {paths: ['/**']}"))
	p.checkOnce()
	if got := answer(); got != 200 || p.counterValue(t, `meshpass_edge_shadow_decisions_total{decision="deny",reason="rule_denied"}`) != 1 {
		t.Errorf("no longer enforced: %d", got)
	}
}
