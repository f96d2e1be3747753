package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

const orders = `
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: orders}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  public:
    - {methods: [GET], paths: [/healthz, /locked]}
  rules:
    - name: locked
      effect: deny
      to: {paths: [/locked]}
    - name: no-cancel
      effect: deny
      to: {paths: ["/tenants/{tenant}/orders/1:cancel"]}
      scopes: [orders.read]
    - name: no-batch
      effect: deny
      from: {workloads: [ns/batch/sa/*]}
    - name: suspended
      effect: deny
      claims: {tctx.suspended: [true]}
      to: {methods: [DELETE]}
    - name: read-own-tenant
      effect: allow
      from: {workloads: [ns/edge/sa/tyk-gateway]}
      to: {methods: [GET], paths: ["/tenants/{tenant}/orders/**"]}
      scopes: [orders.read]
      when: claims.tctx.tenant == path.tenant
    - name: delete-own-tenant
      effect: allow
      to: {methods: [DELETE], paths: ["/tenants/{tenant}/orders/{id}"]}
      claims: {tctx.roles: [admin, owner]}
      when: claims.tctx.tenant == path.tenant
`

const public = `
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: catalogue}
spec:
  targets: {workloads: [ns/shop/sa/catalogue]}
  identity: optional
  rules:
    - name: anyone
      effect: allow
      to: {methods: [GET], paths: ["/items/**"]}
    - name: staff
      effect: allow
      to: {methods: [POST]}
      scopes: [items.write]
    - name: not-from-the-past
      effect: deny
      when: now < timestamp("2026-01-01T00:00:00Z")
    - name: not-in-maintenance
      effect: deny
      to: {methods: [POST]}
      when: '"x-maintenance" in request.headers && request.headers["x-maintenance"] == "on"'
`

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func files(texts ...string) source.Dir {
	tree := fstest.MapFS{}
	for i, text := range texts {
		tree[fmt.Sprintf("%d.yaml", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	return source.Dir{Files: tree}
}

func load(t testing.TB, texts ...string) *policy.Set {
	t.Helper()
	set, err := (source.Loader{}).Load(files(texts...))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// request is GET of alice's own order, through the gateway, with a change.
func request(changes ...func(*policy.Request)) policy.Request {
	r := policy.Request{
		Caller: "ns/edge/sa/tyk-gateway", Callee: "ns/shop/sa/orders",
		Method: "GET", Path: "/tenants/acme/orders/1", Host: "orders.shop:8080", Port: 8080, Now: noon,
	}
	for _, change := range changes {
		change(&r)
	}
	return r
}

func path(p string) func(*policy.Request)   { return func(r *policy.Request) { r.Path = p } }
func method(m string) func(*policy.Request) { return func(r *policy.Request) { r.Method = m } }
func caller(w identity.Workload) func(*policy.Request) {
	return func(r *policy.Request) { r.Caller = w }
}
func callee(w identity.Workload) func(*policy.Request) {
	return func(r *policy.Request) { r.Callee = w }
}

func alice(tctx map[string]any) policy.Authenticate {
	members := map[string]any{"tenant": "acme", "suspended": false, "roles": []any{"admin"}}
	for name, value := range tctx {
		members[name] = value
		if value == nil {
			delete(members, name)
		}
	}
	return func() (*identity.Claims, decision.Reason) {
		return &identity.Claims{Issuer: "https://i", Subject: "idp:alice", Scope: "openid orders.read", Tctx: members}, ""
	}
}

func scope(text string) policy.Authenticate {
	return func() (*identity.Claims, decision.Reason) {
		c, _ := alice(nil)()
		c.Scope = text
		return c, ""
	}
}

func verified(c *identity.Claims) policy.Authenticate {
	return func() (*identity.Claims, decision.Reason) { return c, "" }
}

func bad(r decision.Reason) policy.Authenticate {
	return func() (*identity.Claims, decision.Reason) { return nil, r }
}

var missing = bad(decision.TokenMissing)

// The truth table of the package comment: the first column is the step.
func TestDecisionTable(t *testing.T) {
	set := load(t, orders, public)
	catalogue := callee("ns/shop/sa/catalogue")
	toDelete := request(method("DELETE"))
	maintenance := func(r *policy.Request) { r.Headers = map[string]string{"x-maintenance": "on"} }
	for _, row := range []struct {
		step int
		name string
		r    policy.Request
		auth policy.Authenticate
		want string
	}{
		{0, "the callee is unknown", request(callee("")), alice(nil), "deny no_callee"},
		{1, "nobody guards the callee", request(callee("ns/shop/sa/other")), alice(nil), "deny unguarded"},
		{1, "the callee is of a foreign domain", request(callee("spiffe://evil/ns/shop/sa/orders")), alice(nil), "deny unguarded"},
		{2, "dot segments", request(path("/healthz/../tenants/acme/orders/1")), alice(nil), "deny ambiguous_path"},
		{2, "before a public entry", request(path("/healthz;x=1")), alice(nil), "deny ambiguous_path"},
		{2, "a method in lower case", request(method("get")), alice(nil), "deny ambiguous_method"},
		{2, "one before a public entry", request(path("/healthz"), method("Get")), alice(nil), "deny ambiguous_method"},
		{2, "no path", request(path("")), alice(nil), "deny ambiguous_path"},
		{3, "deny beats public", request(path("/locked")), missing, "deny rule_denied orders/locked"},
		{3, "public, no token", request(path("/healthz")), missing, "allow public orders/public[0]"},
		{3, "public, a bad token is not looked at", request(path("/healthz")), bad(decision.SignatureInvalid), "allow public orders/public[0]"},
		{3, "public is for one method", request(path("/healthz"), method("POST")), missing, "deny token_missing"},
		{3, "a denied caller", request(caller("ns/batch/sa/nightly")), alice(nil), "deny rule_denied orders/no-batch"},
		{3, "a denied caller at a public path", request(caller("ns/batch/sa/nightly"), path("/healthz")), alice(nil), "deny rule_denied orders/no-batch"},
		{3, "a caller without identity may be the denied one", request(caller("")), alice(nil), "deny condition_error orders/no-batch"},
		{4, "no token", request(), missing, "deny token_missing"},
		{4, "a bad token", request(), bad(decision.TokenExpired), "deny token_expired"},
		{4, "optional, and no token", request(catalogue, path("/items/1")), missing, "allow rule_allowed catalogue/anyone"},
		{4, "optional, and a bad token", request(catalogue, path("/items/1")), bad(decision.KeyUnknown), "deny kid_unknown"},
		{5, "denied by a claim", toDelete, alice(map[string]any{"suspended": true}), "deny rule_denied orders/suspended"},
		{5, "the claim is missing", toDelete, alice(map[string]any{"suspended": nil}), "deny condition_error orders/suspended"},
		{5, "the claim is an object", toDelete, alice(map[string]any{"suspended": map[string]any{}}), "deny condition_error orders/suspended"},
		{5, "the claim is of another kind", toDelete, alice(map[string]any{"suspended": "true"}), "deny condition_error orders/suspended"},
		{5, "another spelling of a denied path", request(path("/tenants/acme/orders/1%3Acancel")), alice(nil), "deny rule_denied orders/no-cancel"},
		{5, "the rule is for another method", request(), alice(map[string]any{"suspended": true}), "allow rule_allowed orders/read-own-tenant"},
		{5, "denied by a header", request(catalogue, method("POST"), maintenance), scope("items.write"), "deny rule_denied catalogue/not-in-maintenance"},
		{6, "her own order", request(), alice(nil), "allow rule_allowed orders/read-own-tenant"},
		{6, "below her own order", request(path("/tenants/acme/orders/1/lines/2")), alice(nil), "allow rule_allowed orders/read-own-tenant"},
		{6, "a role of several", toDelete, alice(map[string]any{"roles": []any{"guest", "owner"}}), "allow rule_allowed orders/delete-own-tenant"},
		{6, "a role as a text", toDelete, alice(map[string]any{"roles": "owner"}), "allow rule_allowed orders/delete-own-tenant"},
		{6, "an escape in a capture is decoded once", request(path("/tenants/a%20b/orders/1")), alice(map[string]any{"tenant": "a b"}), "allow rule_allowed orders/read-own-tenant"},
		{6, "an anonymous caller lacks scopes", request(catalogue, method("POST")), missing, "deny condition_error catalogue/staff"},
		{6, "with the scope", request(catalogue, method("POST")), scope("items.write"), "allow rule_allowed catalogue/staff"},
		{6, "the tenant is missing", request(), alice(map[string]any{"tenant": nil}), "deny condition_error orders/read-own-tenant"},
		{7, "another tenant", request(path("/tenants/globex/orders/1")), alice(nil), "deny no_rule"},
		{7, "a tenant in another case", request(path("/tenants/ACME/orders/1")), alice(nil), "deny no_rule"},
		{7, "no such scope", request(), scope("openid"), "deny no_rule"},
		{7, "the scope is a part of another", request(), scope("orders.readonly"), "deny no_rule"},
		{7, "no scope at all", request(), scope(""), "deny no_rule"},
		{7, "another caller", request(caller("ns/shop/sa/reports")), alice(nil), "deny no_rule"},
		{7, "a caller whose name begins alike", request(caller("ns/edge/sa/tyk-gateway2")), alice(nil), "deny no_rule"},
		{7, "a foreign caller of the same name", request(caller("spiffe://evil/ns/edge/sa/tyk-gateway")), alice(nil), "deny no_rule"},
		{7, "another method", request(method("PUT")), alice(nil), "deny no_rule"},
		{7, "a path beside the rule", request(path("/tenants/acme/orders")), alice(nil), "deny no_rule"},
		{7, "an empty tenant", request(path("/tenants//orders/1")), alice(map[string]any{"tenant": ""}), "deny ambiguous_path"},
		{7, "no role", toDelete, alice(map[string]any{"roles": []any{}}), "deny no_rule"},
	} {
		t.Run(fmt.Sprintf("%d %s", row.step, row.name), func(t *testing.T) {
			if got := describe(set.Decide(row.r, row.auth)); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func describe(d decision.Decision) string {
	text := d.String() + " " + string(d.Reason)
	if d.Policy != "" {
		text += " " + d.Policy + "/" + d.Rule
	}
	return text
}

func TestTheZeroSetDenies(t *testing.T) {
	if d := new(policy.Set).Decide(request(), alice(nil)); d.Allowed() {
		t.Errorf("got %v", d)
	}
}

func TestTokenIsNotLookedAtInVain(t *testing.T) {
	set := load(t, orders)
	for _, r := range []policy.Request{request(path("/healthz")), request(callee("ns/x/sa/y")), request(path("//"))} {
		set.Decide(r, func() (*identity.Claims, decision.Reason) {
			t.Errorf("%s: asked for the token", r.Path)
			return nil, decision.TokenMissing
		})
	}
}

// Two documents guard one workload: a deny rule of either denies, an allow rule of either
// allows, and a request without a token needs identity: optional in both.
func TestDocumentsCombine(t *testing.T) {
	second := strings.NewReplacer("name: orders", "name: z-orders", "  public:\n    - {methods: [GET], paths: [/healthz, /locked]}\n", "  identity: optional\n").Replace(orders)
	wide := strings.Replace(second, "ns/shop/sa/orders", "ns/shop/sa/*", 1)
	set := load(t, orders, wide)
	for want, d := range map[string]decision.Decision{
		"deny token_missing":                          set.Decide(request(), missing),
		"allow rule_allowed orders/read-own-tenant":   set.Decide(request(), alice(nil)),
		"allow public orders/public[0]":               set.Decide(request(path("/healthz")), missing),
		"deny rule_denied orders/locked":              set.Decide(request(path("/locked")), missing),
		"allow rule_allowed z-orders/read-own-tenant": set.Decide(request(callee("ns/shop/sa/else")), alice(nil)),
	} {
		if describe(d) != want {
			t.Errorf("got %s, want %s", describe(d), want)
		}
	}
}

func TestInputsHoldWhatIsReadAndNothingElse(t *testing.T) {
	set := load(t, orders, public)
	r := request()
	r.Headers = map[string]string{"x-maintenance": "off", "authorization": "secret", "x-other": "y"}
	claims, _ := alice(map[string]any{"email": "alice@example.com"})()
	got := fmt.Sprint(set.Inputs(r, claims))
	want := "map[claims.scope:openid orders.read claims.tctx.roles:[admin] claims.tctx.suspended:false claims.tctx.tenant:acme request.headers.x-maintenance:off]"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	want = "[claims.scope claims.tctx.roles claims.tctx.suspended claims.tctx.tenant request.headers.x-maintenance]"
	if got := fmt.Sprint(set.Reads()); got != want {
		t.Errorf("reads\n%s\nwant\n%s", got, want)
	}
	if got := fmt.Sprint(set.Inputs(request(), nil)); got != "map[]" {
		t.Errorf("without a token: %s", got)
	}
}
