//go:build lintproof

package fidelity_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/internal/tokentest"
)

// allowRule is a document of orders with one rule.
func allowRule(rule string) string {
	return "apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: p}\nspec:\n  targets: {workloads: [ns/shop/sa/orders]}\n  rules: [" + rule + "]\n"
}

// TestLintDecisions: the authorizer's decisions show the faults that `meshpass lint` finds in configurations that do not agree.
func TestLintDecisions(t *testing.T) {
	const wide = `{name: a, effect: allow}`
	for _, row := range []struct {
		code, old, new, document string
		want                     string // the reason
	}{
		{"", "", "", allowRule(wide), "rule_allowed"},
		{"audience_mismatch", "audience: test.meshpass.dev", "audience: other.meshpass.dev", allowRule(wide), "audience_mismatch"},
		{"lifetime_mismatch", "jwks: {file: jwks.json}", "maxLifetime: 30s, jwks: {file: jwks.json}", allowRule(wide), "lifetime_too_long"},
		{"key_not_published", "", "", allowRule(wide), "kid_unknown"},
		{"claim_not_mapped", "", "", allowRule(`{name: a, effect: allow, claims: {tctx.region: [eu]}}`), "condition_error"},
		{"scope_not_granted", "", "", allowRule(`{name: a, effect: allow, scopes: [orders.raed]}`), "no_rule"},
		{"caller_unknown", "", "", allowRule(`{name: a, effect: allow, from: {workloads: [ns/edge/sa/tyk-gatewy]}}`), "no_rule"},
		{"gateway_account_mismatch", "", "", allowRule(`{name: a, effect: allow, from: {workloads: [ns/edge/sa/edge-gateway]}}`), "no_rule"},
		{"target_unknown", "", "", strings.Replace(allowRule(wide), "sa/orders", "sa/ordrs", 1), "unguarded"},
		{"guarded_without_document", "", "", strings.Replace(allowRule(wide), "sa/orders", "sa/reports", 1), "unguarded"},
		{"gateway_document_missing", "callee: principal", "callee: gateway/edge", allowRule(wide), "unguarded"},
		{"listener_mismatch", "callee: principal", "callee: gateway/other", allowRule(wide), "unguarded"},
	} {
		t.Run(row.code, func(t *testing.T) {
			h := &hop{rig: newRig(t, fromDump)}
			must(t, h.net.CopyDir(h.dir, os.DirFS("testdata")))
			must(t, os.RemoveAll(filepath.Join(h.dir, "policies")))
			if row.old != "" && replaceIn(t, h.dir, row.old, row.new) == 0 {
				t.Fatalf("no %q", row.old)
			}
			policies := t.TempDir()
			must(t, os.WriteFile(filepath.Join(policies, "p.yaml"), []byte(row.document), 0o600))
			h.audited = startMeshpass(t, h.net, h.dir, policies, h.authorizerAddress())
			o := h.try(t, request("/t", "Txn-Token: "+tokenOf(t, row.want)))
			if got := o.decision(t).Reason; got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

// tokenOf is a valid token, or one whose key is not published.
func tokenOf(t *testing.T, reason string) string {
	t.Helper()
	if reason != "kid_unknown" {
		return tokentest.ValidToken(t, time.Now())
	}
	for _, f := range tokentest.ForgedTokens(t, time.Now()) {
		if string(f.Reason) == reason {
			return f.Raw
		}
	}
	t.Fatalf("no token with the reason %s", reason)
	return ""
}

// changed is the live control plane on our manifests with texts of its files replaced, and with more objects.
func changed(more string, replacements ...string) controlPlane {
	return func(t testing.TB, r *rig) {
		t.Helper()
		objects, istio := t.TempDir(), t.TempDir()
		must(t, r.net.CopyDir(objects, cluster.Files))
		must(t, r.net.CopyDir(istio, os.DirFS(manifestsOfIstio(t))))
		for i := 0; i+1 < len(replacements); i += 2 {
			if replaceIn(t, objects, replacements[i], replacements[i+1])+replaceIn(t, istio, replacements[i], replacements[i+1]) == 0 {
				t.Fatalf("no file contains %q", replacements[i])
			}
		}
		if more != "" {
			must(t, os.WriteFile(filepath.Join(objects, "more.yaml"), []byte(more), 0o600))
		}
		serveIstiod(t, r, istio, filepath.Join(manifestsOfIstio(t), "strict"), objects)
	}
}

// filterPatch is an EnvoyFilter for all inbound HTTP filters.
func filterPatch(match, patch string) string {
	return "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: more, namespace: shop}\nspec: {configPatches: [{applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND, " +
		"listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager" + match + "}}}}, patch: " + patch + "}]}\n"
}

const (
	removal  = `{operation: INSERT_FIRST, value: {name: envoy.filters.http.header_mutation, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation, mutations: {request_mutations: [{remove: txn-token}]}}}}`
	ofOrders = "app: orders\n    meshpass.dev/guarded: "
)

// consumes is a RequestAuthentication that reads the token of a request.
func consumes(t *testing.T, issuer, more string) string {
	return "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: more, namespace: shop}\nspec: {selector: {matchLabels: {app: orders}}, jwtRules: [{issuer: \"" + issuer +
		"\", fromHeaders: [{name: Txn-Token}], jwks: '" + string(tokentest.JWKS(t)) + "'" + more + "}]}\n"
}

// TestLintTraffic: Envoy, configured by istiod, shows the faults that `meshpass lint` finds in objects of Istio.
func TestLintTraffic(t *testing.T) {
	token := tokentest.ValidToken(t, time.Now())
	for _, row := range []struct {
		code         string
		more         string
		replacements []string
		status       int
		asked        int
		withToken    int // requests that arrive with the token
	}{
		{"", "", nil, 200, 1, 1},
		{"custom_conditions", "", []string{"  rules:\n    - {}", "  rules: [{to: [{operation: {paths: [/admin]}}]}]"}, 200, 0, 1},
		{"port_without_check", "", []string{"  rules:\n    - {}", "  rules: [{to: [{operation: {ports: [\"8081\"]}}]}]"}, 200, 0, 1},
		{"ext_authz_patched", filterPatch(", subFilter: {name: envoy.filters.http.ext_authz}", "{operation: REMOVE}"), nil, 200, 0, 1},
		{"header_envoy_filter", filterPatch("", removal), nil, 200, 1, 0},
		{"header_request_authentication", consumes(t, tokentest.Issuer, ""), nil, 200, 1, 0},
		{"header_request_authentication, forwarded", consumes(t, tokentest.Issuer, ", forwardOriginalToken: true"), nil, 200, 1, 1},
		{"backstop_mismatch", consumes(t, "https://other.meshpass.dev", ", forwardOriginalToken: true"), nil, 401, 1, 0},
		{"provider_port_unknown", "", []string{"port: 9000\n          # Unset", "port: 9001\n          # Unset"}, 503, 0, 0},
		{"provider_not_visible", "", []string{"hosts: [shop/*, meshpass/*]", "hosts: [shop/*]"}, 503, 0, 0},
	} {
		t.Run(row.code, func(t *testing.T) {
			r := newRig(t, changed(row.more, row.replacements...))
			e := &alone{rig: r, recorder: newRecorder(t, r.authorizerAddress())}
			v := e.try(t, request("/t", "Txn-Token: "+token))
			withToken := 0
			for _, a := range v.arrived {
				withToken += len(a.values("txn-token"))
			}
			if v.reply.status != row.status || len(v.asked) != row.asked || withToken != row.withToken {
				t.Errorf("got %d, asked %d times, %d with the token; want %d, %d, %d", v.reply.status, len(v.asked), withToken, row.status, row.asked, row.withToken)
			}
		})
	}
	t.Run("provider_body", func(t *testing.T) {
		r := newRig(t, changed("", "timeout: 0.25s\n          # Closed", "timeout: 0.25s\n          includeRequestBodyInCheck: {maxRequestBytes: 16}\n          # Closed"))
		e := &alone{rig: r, recorder: newRecorder(t, r.authorizerAddress())}
		body := strings.Repeat("x", 64)
		v := e.try(t, "POST /t HTTP/1.1\r\n"+head("Host: "+ordersHost, fmt.Sprintf("Content-Length: %d", len(body)))+body)
		if v.reply.status != http.StatusRequestEntityTooLarge || len(v.asked) != 0 {
			t.Errorf("got %d, asked %d times; want 413 and no Check", v.reply.status, len(v.asked))
		}
	})
}

// TestLintOutages: without an authorizer, a workload of the open provider shows the faults that `meshpass lint` finds.
func TestLintOutages(t *testing.T) {
	for code, row := range map[string]struct {
		replacements []string
		status       int
	}{
		"with the backstop":          {[]string{ofOrders + `"true"`, ofOrders + "open"}, 403},
		"fail_open_without_backstop": {[]string{ofOrders + `"true"`, ofOrders + "open", "name: meshpass-backstop\n  namespace: istio-system", "name: meshpass-backstop\n  namespace: elsewhere"}, 200},
	} {
		t.Run(code, func(t *testing.T) {
			r := newRig(t, changed("", row.replacements...))
			if got := r.one(t, request("/t")); got.status != row.status {
				t.Errorf("got %d, want %d", got.status, row.status)
			}
		})
	}
}

// TestLintAccessLog: without its field, the log of Envoy does not lead to the record of a decision.
func TestLintAccessLog(t *testing.T) {
	for code, row := range map[string]struct {
		old, new string
		found    bool
	}{
		"with the field":              {"Unset means", "Unset would mean", true},
		"access_log_without_decision": {`"decision_id": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:decision_id)%",`, "", false},
	} {
		t.Run(code, func(t *testing.T) {
			h := newHopOn(t, newRig(t, fromIstiod(row.old, row.new)), "")
			o := h.try(t, request("/logged", "Txn-Token: "+tokentest.ValidToken(t, time.Now())))
			id := h.logged(t, "/logged")["/logged"].DecisionID
			if (id == o.decision(t).ID) != row.found || id == "" == row.found {
				t.Errorf("the log has %q, and the record %q", id, o.decision(t).ID)
			}
		})
	}
}
