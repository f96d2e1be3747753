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

// checkRow is one change of the usual Check, and its result.
type checkRow struct {
	name    string
	change  func(*auth.CheckRequest)
	status  int
	reason  decision.Reason
	removed string         // headers that Envoy removes
	record  map[string]any // further fields of the audit record; nil: absent
}

func (r checkRow) testRow(t *testing.T, h *hop) {
	got := outcomeOf(h.sendCheck(t, r.change))
	record := h.takeRecord(t)
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

func testRows(t *testing.T, rows []checkRow) {
	h := newHop(t)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) { r.testRow(t, h) })
	}
}

const (
	catalogue = "spiffe://cluster.local/ns/shop/sa/catalogue"
	txn       = "0197a1b2-0000-7000-8000-000000000001"
)

// A name of ours that Envoy may not be able to remove is denied, also on a public path.
func TestNamesThatEnvoyMayNotRemove(t *testing.T) {
	var rows []checkRow
	for _, name := range []string{"x!meshpass!user", "txn!token", "x meshpass user", "X-Meshpass-\u00fc", "txn\ttoken", "x-meshpass-\x00", "X:Meshpass:User"} {
		deny := checkRow{name: name, change: setHeaders(name, "root"), status: 403, reason: decision.AmbiguousHeader, record: map[string]any{"path": "/tenants/acme/orders/7"}}
		public := checkRow{name: name + ", a public path", change: applyAll(setPath("/healthz"), setHeaders(name, "root")), status: 403, reason: decision.AmbiguousHeader}
		rows = append(rows, deny, public)
	}
	list := checkRow{name: "in the list form", change: addRawHeaders("x meshpass user", "root"), status: 403, reason: decision.AmbiguousHeader}
	others := checkRow{name: "names of others", change: setHeaders("x user!", "a", "x!other", "b"), status: 200, reason: decision.RuleAllowed,
		record: map[string]any{"rule": "read-own-tenant"}}
	testRows(t, append(rows, list, others))
}

func TestDecisions(t *testing.T) {
	testRows(t, []checkRow{
		{name: "the rules allow", status: 200, reason: decision.RuleAllowed,
			record: map[string]any{"policy": "orders", "rule": "read-own-tenant", "txn": txn}},
		{name: "another tenant", change: setPath("/tenants/umbrella/orders/7"), status: 403, reason: decision.NoRule,
			record: map[string]any{"txn": txn, "sub": "idp:alice"}},
		{name: "a workload that no rule names", change: fromPrincipal("spiffe://cluster.local/ns/shop/sa/reports"), status: 403, reason: decision.NoRule,
			record: map[string]any{"caller": "ns/shop/sa/reports"}},
		{name: "the same name in a foreign mesh", change: fromPrincipal("spiffe://evil.example/ns/edge/sa/tyk-gateway"), status: 403, reason: decision.NoRule,
			record: map[string]any{"caller": "spiffe://evil.example/ns/edge/sa/tyk-gateway"}},
		{name: "no caller", change: fromPrincipal(""), status: 403, reason: decision.ConditionError,
			record: map[string]any{"caller": nil}},
		{name: "an unguarded workload", change: toPrincipal("spiffe://cluster.local/ns/shop/sa/new"), status: 403, reason: decision.Unguarded,
			record: map[string]any{"callee": "ns/shop/sa/new"}},
		{name: "the port is read", change: applyAll(setPath("/region"), setHeaders("x-region", "eu")), status: 200, reason: decision.RuleAllowed,
			record: map[string]any{"rule": "list-region"}},
		{name: "public", change: setPath("/healthz"), status: 200, reason: decision.Public, removed: "txn-token",
			record: map[string]any{"txn": nil, "sub": nil, "iss": nil}},
		{name: "public, whatever the token", change: applyAll(setPath("/healthz"), setHeaders("txn-token", "junk")), status: 200, reason: decision.Public, removed: "txn-token"},
	})
}

func TestTokenHeader(t *testing.T) {
	valid := tokentest.ValidToken(t, now)
	testRows(t, []checkRow{
		{name: "missing", change: withoutHeader("txn-token"), status: 403, reason: decision.TokenMissing,
			record: map[string]any{"txn": nil, "sub": nil, "iss": nil}},
		{name: "empty", change: setHeaders("txn-token", ""), status: 403, reason: decision.TokenMissing},
		{name: "doubled, as Envoy joins it", change: setHeaders("txn-token", valid+","+valid), status: 403, reason: decision.TokenDuplicated},
		{name: "an empty one before it", change: setHeaders("txn-token", ","+valid), status: 403, reason: decision.TokenDuplicated},
		{name: "in the list", change: applyAll(withoutHeader("txn-token"), addRawHeaders("txn-token", valid)), status: 200, reason: decision.RuleAllowed},
		{name: "doubled in the list", change: applyAll(withoutHeader("txn-token"), addRawHeaders("txn-token", valid, "Txn-Token", valid)), status: 403, reason: decision.TokenDuplicated},
		{name: "in map and list", change: addRawHeaders("txn-token", valid), status: 403, reason: decision.TokenDuplicated},
		{name: "twice in the map", change: setHeaders("Txn-Token", valid), status: 403, reason: decision.TokenDuplicated},
		{name: "in upper case", change: applyAll(withoutHeader("txn-token"), setHeaders("TXN-TOKEN", valid)), status: 200, reason: decision.RuleAllowed},
		{name: "another spelling is no token", change: applyAll(withoutHeader("txn-token"), setHeaders("txn_token", valid)), status: 403, reason: decision.TokenMissing},
		{name: "512 KiB", change: setHeaders("txn-token", strings.Repeat("a", 512<<10)), status: 403, reason: decision.TokenTooLarge},
		{name: "bytes that Envoy replaced", change: setHeaders("txn-token", valid[:40]+"!!"+valid[42:]), status: 403, reason: decision.TokenCharset},
		{name: "not ASCII in the list", change: applyAll(withoutHeader("txn-token"), addRawHeaders("txn-token", valid+"\xff")), status: 403, reason: decision.TokenCharset},
	})
}

func TestForgedTokens(t *testing.T) {
	h := newHop(t, changeLimits(func(l *limits.Limits) { l.CheckBytes = 2 * bytesize.MiB }))
	for _, forged := range tokentest.ForgedTokens(t, now) {
		reason := forged.Reason
		if strings.Contains(forged.Raw, ",") {
			reason = decision.TokenDuplicated // in a header, the comma means a second value
		}
		r := checkRow{forged.Name, setHeaders("txn-token", forged.Raw), 403, reason, "", map[string]any{"txn": nil, "sub": nil, "iss": nil}}
		t.Run(forged.Name, func(t *testing.T) { r.testRow(t, h) })
	}
}

func TestWhereIdentityIsOptional(t *testing.T) {
	items := applyAll(toPrincipal(catalogue), setPath("/items/7"))
	testRows(t, []checkRow{
		{name: "anonymous", change: applyAll(items, withoutHeader("txn-token")), status: 200, reason: decision.RuleAllowed,
			record: map[string]any{"txn": nil, "sub": nil}},
		{name: "an empty token is anonymous too", change: applyAll(items, setHeaders("txn-token", "")), status: 200, reason: decision.RuleAllowed, removed: "txn-token"},
		{name: "with a token", change: items, status: 200, reason: decision.RuleAllowed, record: map[string]any{"sub": "idp:alice"}},
		{name: "a bad token is refused all the same", change: applyAll(items, setHeaders("txn-token", "junk")), status: 403, reason: decision.TokenFormat},
	})
}

// Headers that only Meshpass may write never reach the workload from a client.
func TestForgedIdentityHeaders(t *testing.T) {
	forged := setHeaders("x-meshpass-user", "root", "X-Meshpass-Txn", "1", "x_meshpass_tenant", "acme", "txn_token", "junk")
	const names = "X-Meshpass-Txn txn_token x-meshpass-user x_meshpass_tenant"
	testRows(t, []checkRow{
		{name: "beside a verified token", change: forged, status: 200, reason: decision.RuleAllowed, removed: names},
		{name: "on a public path", change: applyAll(forged, setPath("/healthz")), status: 200, reason: decision.Public,
			removed: "X-Meshpass-Txn txn-token txn_token x-meshpass-user x_meshpass_tenant"},
		{name: "anonymous", change: applyAll(forged, withoutHeader("txn-token"), toPrincipal(catalogue), setPath("/items/7")), status: 200, reason: decision.RuleAllowed, removed: names},
		{name: "in the list", change: addRawHeaders("X-MESHPASS-USER", "root", "X-MESHPASS-USER", "root"), status: 200, reason: decision.RuleAllowed, removed: "X-MESHPASS-USER"},
		{name: "names that only resemble", change: setHeaders("x-meshpas-user", "a", "x-txn-token", "b"), status: 200, reason: decision.RuleAllowed},
	})
}

func TestBadChecks(t *testing.T) {
	testRows(t, []checkRow{
		{name: "nothing at all", change: emptyCheck, status: 403, reason: decision.NoHTTP},
		{name: "no request", change: func(r *auth.CheckRequest) { r.Attributes.Request = nil }, status: 403, reason: decision.NoHTTP,
			record: map[string]any{"callee": "ns/shop/sa/orders"}},
		{name: "no HTTP, as for raw TCP", change: func(r *auth.CheckRequest) { r.Attributes.Request.Http = nil }, status: 403, reason: decision.NoHTTP},
		{name: "no destination", change: func(r *auth.CheckRequest) { r.Attributes.Destination = nil }, status: 403, reason: decision.NoCallee},
		{name: "no callee", change: toPrincipal(""), status: 403, reason: decision.NoCallee},
		{name: "no callee on a public path", change: applyAll(toPrincipal(""), setPath("/healthz")), status: 403, reason: decision.NoCallee},
		{name: "the callee is a DNS name", change: toPrincipal("orders.shop.svc"), status: 403, reason: decision.BadPrincipal},
		{name: "the caller is a DNS name", change: fromPrincipal("tyk.edge.svc"), status: 403, reason: decision.BadPrincipal,
			record: map[string]any{"caller": nil, "callee": "ns/shop/sa/orders"}},
		{name: "the caller is a subject", change: fromPrincipal("CN=tyk,O=edge"), status: 403, reason: decision.BadPrincipal},
		{name: "no path, as CONNECT", change: applyAll(setPath(""), withoutHeader(":path")), status: 403, reason: decision.AmbiguousPath},
		{name: "two paths", change: setHeaders(":path", "/healthz"), status: 403, reason: decision.AmbiguousPath},
		{name: "two paths, one in the list", change: addRawHeaders(":path", "/healthz"), status: 403, reason: decision.AmbiguousPath},
		{name: "a host to url.Parse", change: setPath("//admin/x"), status: 403, reason: decision.AmbiguousPath},
		{name: "a fragment", change: setPath("/healthz#/../admin"), status: 403, reason: decision.AmbiguousPath},
		{name: "an escaped semicolon", change: setPath("/healthz%3Bx"), status: 403, reason: decision.AmbiguousPath},
		{name: "an escaped query", change: setPath("/healthz%3Fx"), status: 403, reason: decision.AmbiguousPath},
		{name: "a fragment hides the query", change: setPath("/healthz#?x"), status: 403, reason: decision.AmbiguousPath},
		{name: "the query may hold anything", change: setPath("/healthz?a=/../#;%2f"), status: 200, reason: decision.Public, removed: "txn-token",
			record: map[string]any{"path": "/healthz"}},
		{name: "no address", change: func(r *auth.CheckRequest) { r.Attributes.Destination.Address = nil }, status: 200, reason: decision.RuleAllowed},
		{name: "no method", change: func(r *auth.CheckRequest) { r.Attributes.Request.Http.Method = "" }, status: 403, reason: decision.NoRule},
		{name: "no headers", change: func(r *auth.CheckRequest) { r.Attributes.Request.Http.Headers = nil }, status: 403, reason: decision.TokenMissing},
		{name: "not UTF-8 in the list", change: addRawHeaders("x-note", "\xff\xfe"), status: 200, reason: decision.RuleAllowed},
	})
}
