package check_test

import (
	"strings"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/decision"
)

// row is one change of the usual Check, and what comes of it.
type row struct {
	name    string
	change  func(*auth.CheckRequest)
	status  int
	reason  decision.Reason
	removed string         // headers that Envoy removes
	record  map[string]any // further fields of the audit record; nil: absent
}

func (r row) test(t *testing.T, h *hop) {
	got := outcomeOf(h.ask(t, r.change))
	record := h.record(t)
	if got.status != r.status || got.removed != r.removed {
		t.Errorf("got %d, removed %q; want %d, %q", got.status, got.removed, r.status, r.removed)
	}
	wanted := map[string]any{"kind": "check", "listener": "sidecar", "decision": "deny", "reason": string(r.reason)}
	if r.status == 200 {
		wanted["decision"] = "allow"
	} else if !strings.Contains(got.body, `"reason":"`+string(r.reason)+`"`) {
		t.Errorf("body: got %s, want the reason %s", got.body, r.reason)
	}
	for _, fields := range []map[string]any{wanted, r.record} {
		for name, want := range fields {
			if record[name] != want {
				t.Errorf("record: %s: got %v, want %v", name, record[name], want)
			}
		}
	}
}

func testRows(t *testing.T, rows []row) {
	h := newHop(t)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) { r.test(t, h) })
	}
}

const (
	catalogue = "spiffe://cluster.local/ns/shop/sa/catalogue"
	txn       = "0197a1b2-0000-7000-8000-000000000001"
)

// A name of ours that Envoy may not be able to remove ends the request, whatever would let it in.
func TestNamesThatEnvoyMayNotRemove(t *testing.T) {
	var rows []row
	for _, name := range []string{"x!meshpass!user", "txn!token", "x meshpass user", "X-Meshpass-\u00fc", "txn\ttoken", "x-meshpass-\x00", "X:Meshpass:User"} {
		deny := row{name: name, change: headers(name, "root"), status: 403, reason: decision.AmbiguousHeader, record: map[string]any{"path": "/tenants/acme/orders/7"}}
		public := row{name: name + ", a public path", change: both(path("/healthz"), headers(name, "root")), status: 403, reason: decision.AmbiguousHeader}
		rows = append(rows, deny, public)
	}
	list := row{name: "in the list form", change: raw("x meshpass user", "root"), status: 403, reason: decision.AmbiguousHeader}
	others := row{name: "names of others", change: headers("x user!", "a", "x!other", "b"), status: 200, reason: decision.RuleAllowed,
		record: map[string]any{"rule": "read-own-tenant"}}
	testRows(t, append(rows, list, others))
}

func TestDecisions(t *testing.T) {
	testRows(t, []row{
		{name: "the rules allow", status: 200, reason: decision.RuleAllowed,
			record: map[string]any{"policy": "orders", "rule": "read-own-tenant", "txn": txn}},
		{name: "another tenant", change: path("/tenants/umbrella/orders/7"), status: 403, reason: decision.NoRule,
			record: map[string]any{"txn": txn, "sub": "idp:alice"}},
		{name: "a workload that no rule names", change: from("spiffe://cluster.local/ns/shop/sa/reports"), status: 403, reason: decision.NoRule,
			record: map[string]any{"caller": "ns/shop/sa/reports"}},
		{name: "the same name in a foreign mesh", change: from("spiffe://evil.example/ns/edge/sa/tyk-gateway"), status: 403, reason: decision.NoRule,
			record: map[string]any{"caller": "spiffe://evil.example/ns/edge/sa/tyk-gateway"}},
		{name: "no caller", change: from(""), status: 403, reason: decision.ConditionError,
			record: map[string]any{"caller": nil}},
		{name: "an unguarded workload", change: to("spiffe://cluster.local/ns/shop/sa/new"), status: 403, reason: decision.Unguarded,
			record: map[string]any{"callee": "ns/shop/sa/new"}},
		{name: "the port is read", change: both(path("/region"), headers("x-region", "eu")), status: 200, reason: decision.RuleAllowed,
			record: map[string]any{"rule": "list-region"}},
		{name: "public", change: path("/healthz"), status: 200, reason: decision.Public, removed: "txn-token",
			record: map[string]any{"txn": nil, "sub": nil, "iss": nil}},
		{name: "public, whatever the token", change: both(path("/healthz"), headers("txn-token", "junk")), status: 200, reason: decision.Public, removed: "txn-token"},
	})
}

func TestTokenHeader(t *testing.T) {
	valid := tokentest.ValidToken(t, now)
	testRows(t, []row{
		{name: "missing", change: without("txn-token"), status: 403, reason: decision.TokenMissing,
			record: map[string]any{"txn": nil, "sub": nil, "iss": nil}},
		{name: "empty", change: headers("txn-token", ""), status: 403, reason: decision.TokenMissing},
		{name: "doubled, as Envoy joins it", change: headers("txn-token", valid+","+valid), status: 403, reason: decision.TokenDuplicated},
		{name: "an empty one before it", change: headers("txn-token", ","+valid), status: 403, reason: decision.TokenDuplicated},
		{name: "in the list", change: both(without("txn-token"), raw("txn-token", valid)), status: 200, reason: decision.RuleAllowed},
		{name: "doubled in the list", change: both(without("txn-token"), raw("txn-token", valid, "Txn-Token", valid)), status: 403, reason: decision.TokenDuplicated},
		{name: "in map and list", change: raw("txn-token", valid), status: 403, reason: decision.TokenDuplicated},
		{name: "twice in the map", change: headers("Txn-Token", valid), status: 403, reason: decision.TokenDuplicated},
		{name: "in upper case", change: both(without("txn-token"), headers("TXN-TOKEN", valid)), status: 200, reason: decision.RuleAllowed},
		{name: "another spelling is no token", change: both(without("txn-token"), headers("txn_token", valid)), status: 403, reason: decision.TokenMissing},
		{name: "512 KiB", change: headers("txn-token", strings.Repeat("a", 512<<10)), status: 403, reason: decision.TokenTooLarge},
		{name: "bytes that Envoy replaced", change: headers("txn-token", valid[:40]+"!!"+valid[42:]), status: 403, reason: decision.TokenCharset},
		{name: "not ASCII in the list", change: both(without("txn-token"), raw("txn-token", valid+"\xff")), status: 403, reason: decision.TokenCharset},
	})
}

func TestForgedTokens(t *testing.T) {
	h := newHop(t, limited(func(l *limits.Limits) { l.CheckBytes = 2 * bytesize.MiB }))
	for _, forged := range tokentest.ForgedTokens(t, now) {
		reason := forged.Reason
		if strings.Contains(forged.Raw, ",") {
			reason = decision.TokenDuplicated // in a header, the comma means a second value
		}
		r := row{forged.Name, headers("txn-token", forged.Raw), 403, reason, "", map[string]any{"txn": nil, "sub": nil, "iss": nil}}
		t.Run(forged.Name, func(t *testing.T) { r.test(t, h) })
	}
}

func TestWhereIdentityIsOptional(t *testing.T) {
	items := both(to(catalogue), path("/items/7"))
	testRows(t, []row{
		{name: "anonymous", change: both(items, without("txn-token")), status: 200, reason: decision.RuleAllowed,
			record: map[string]any{"txn": nil, "sub": nil}},
		{name: "an empty token is anonymous too", change: both(items, headers("txn-token", "")), status: 200, reason: decision.RuleAllowed, removed: "txn-token"},
		{name: "with a token", change: items, status: 200, reason: decision.RuleAllowed, record: map[string]any{"sub": "idp:alice"}},
		{name: "a bad token is refused all the same", change: both(items, headers("txn-token", "junk")), status: 403, reason: decision.TokenFormat},
	})
}

// What only Meshpass may write never reaches the workload from a client.
func TestForgedIdentityHeaders(t *testing.T) {
	forged := headers("x-meshpass-user", "root", "X-Meshpass-Txn", "1", "x_meshpass_tenant", "acme", "txn_token", "junk")
	const names = "X-Meshpass-Txn txn_token x-meshpass-user x_meshpass_tenant"
	testRows(t, []row{
		{name: "beside a verified token", change: forged, status: 200, reason: decision.RuleAllowed, removed: names},
		{name: "on a public path", change: both(forged, path("/healthz")), status: 200, reason: decision.Public,
			removed: "X-Meshpass-Txn txn-token txn_token x-meshpass-user x_meshpass_tenant"},
		{name: "anonymous", change: both(forged, without("txn-token"), to(catalogue), path("/items/7")), status: 200, reason: decision.RuleAllowed, removed: names},
		{name: "in the list", change: raw("X-MESHPASS-USER", "root", "X-MESHPASS-USER", "root"), status: 200, reason: decision.RuleAllowed, removed: "X-MESHPASS-USER"},
		{name: "names that only resemble", change: headers("x-meshpas-user", "a", "x-txn-token", "b"), status: 200, reason: decision.RuleAllowed},
	})
}

func TestBadChecks(t *testing.T) {
	testRows(t, []row{
		{name: "nothing at all", change: empty, status: 403, reason: decision.NoHTTP},
		{name: "no request", change: func(r *auth.CheckRequest) { r.Attributes.Request = nil }, status: 403, reason: decision.NoHTTP,
			record: map[string]any{"callee": "ns/shop/sa/orders"}},
		{name: "no HTTP, as for raw TCP", change: func(r *auth.CheckRequest) { r.Attributes.Request.Http = nil }, status: 403, reason: decision.NoHTTP},
		{name: "no destination", change: func(r *auth.CheckRequest) { r.Attributes.Destination = nil }, status: 403, reason: decision.NoCallee},
		{name: "no callee", change: to(""), status: 403, reason: decision.NoCallee},
		{name: "no callee on a public path", change: both(to(""), path("/healthz")), status: 403, reason: decision.NoCallee},
		{name: "the callee is a DNS name", change: to("orders.shop.svc"), status: 403, reason: decision.BadPrincipal},
		{name: "the caller is a DNS name", change: from("tyk.edge.svc"), status: 403, reason: decision.BadPrincipal,
			record: map[string]any{"caller": nil, "callee": "ns/shop/sa/orders"}},
		{name: "the caller is a subject", change: from("CN=tyk,O=edge"), status: 403, reason: decision.BadPrincipal},
		{name: "no path, as CONNECT", change: both(path(""), without(":path")), status: 403, reason: decision.AmbiguousPath},
		{name: "two paths", change: headers(":path", "/healthz"), status: 403, reason: decision.AmbiguousPath},
		{name: "two paths, one in the list", change: raw(":path", "/healthz"), status: 403, reason: decision.AmbiguousPath},
		{name: "a host to url.Parse", change: path("//admin/x"), status: 403, reason: decision.AmbiguousPath},
		{name: "a fragment", change: path("/healthz#/../admin"), status: 403, reason: decision.AmbiguousPath},
		{name: "an escaped semicolon", change: path("/healthz%3Bx"), status: 403, reason: decision.AmbiguousPath},
		{name: "an escaped query", change: path("/healthz%3Fx"), status: 403, reason: decision.AmbiguousPath},
		{name: "a fragment hides the query", change: path("/healthz#?x"), status: 403, reason: decision.AmbiguousPath},
		{name: "the query may hold anything", change: path("/healthz?a=/../#;%2f"), status: 200, reason: decision.Public, removed: "txn-token",
			record: map[string]any{"path": "/healthz"}},
		{name: "no address", change: func(r *auth.CheckRequest) { r.Attributes.Destination.Address = nil }, status: 200, reason: decision.RuleAllowed},
		{name: "no method", change: func(r *auth.CheckRequest) { r.Attributes.Request.Http.Method = "" }, status: 403, reason: decision.NoRule},
		{name: "no headers", change: func(r *auth.CheckRequest) { r.Attributes.Request.Http.Headers = nil }, status: 403, reason: decision.TokenMissing},
		{name: "not UTF-8 in the list", change: raw("x-note", "\xff\xfe"), status: 200, reason: decision.RuleAllowed},
	})
}
