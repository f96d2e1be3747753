package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// chain is the enforced decision, then the shadow decisions below it.
func chain(d decision.Decision) string {
	return strings.Join(append([]string{strings.TrimSuffix(describe(d), " ")}, d.Shadows()...), " < ")
}

// guardrails holds one deny that needs no token and one that does.
const guardrails = `
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: guardrails}
spec:
  targets: {workloads: ["ns/*/sa/*"]}
  identity: optional
  onOutage: allow
  rules:
    - {name: no-delete, effect: deny, to: {methods: [DELETE]}}
    - {name: no-robots, effect: deny, to: {paths: ["/{x}", "/tenants/**"]}, claims: {tctx.kind: [robot]}}
`

// open allows requests on an outage, and has rules of each kind.
const open = `
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: open}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  onOutage: allow
  public: [{paths: [/healthz]}]
  rules:
    - {name: no-batch, effect: deny, from: {workloads: [ns/batch/sa/*]}}
    - {name: no-bob, effect: deny, claims: {sub: ["idp:bob"]}}
    - {name: read, effect: allow, to: {methods: [GET], paths: ["/tenants/{tenant}/**"]}, scopes: [orders.read], when: claims.tctx.tenant == path.tenant}
    - {name: by-issuer, effect: allow, from: {issuers: ["https://i"]}, to: {methods: [PUT]}}
`

func loadWith(t *testing.T, guard, plain string) *policy.Set {
	t.Helper()
	rails, rest := files(guard), files(plain)
	rails.Name, rails.Guardrail = "rails", true
	set, err := (source.Loader{}).Load(rest, rails)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestOnOutage(t *testing.T) {
	outage := bad(decision.KeysUnavailable)
	for _, row := range []struct {
		name, text string
		r          policy.Request
		auth       policy.Authenticate
		want       string
	}{
		{"from and to match", open, request(), outage, "allow allowed_on_outage open/read"},
		{"to does not match", open, request(method("POST")), outage, "deny keys_unavailable"},
		{"the caller is denied", open, request(caller("ns/batch/sa/x")), outage, "deny rule_denied open/no-batch"},
		{"the caller may be the denied one", open, request(caller("")), outage, "deny condition_error open/no-batch"},
		{"whose token it is cannot be known", open, request(method("PUT")), outage, "deny keys_unavailable"},
		{"public all the same", open, request(path("/healthz")), outage, "allow public open/public[0]"},
		{"an ambiguous path", open, request(path("/tenants/a//b")), outage, "deny ambiguous_path"},
		{"no token", open, request(), missing, "deny token_missing"},
		{"a token that is known to be bad", open, request(), bad(decision.TokenExpired), "deny token_expired"},
		{"by default", strings.Replace(open, "onOutage: allow", "onOutage: deny", 1), request(), outage, "deny keys_unavailable"},
		{"not said", strings.Replace(open, "  onOutage: allow\n", "", 1), request(), outage, "deny keys_unavailable"},
		{"another callee", open, request(callee("ns/x/sa/y")), outage, "deny unguarded"},
	} {
		set := load(t, row.text)
		if got := describe(set.Decide(row.r, row.auth)); got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
	}
	strict := load(t, open, strings.NewReplacer("name: open", "name: strict", "onOutage: allow", "onOutage: deny").Replace(open))
	if got := describe(strict.Decide(request(), outage)); got != "deny keys_unavailable" {
		t.Errorf("the strictest wins: got %s", got)
	}
	if got := describe(loadWith(t, guardrails, open).Decide(request(), outage)); got != "deny keys_unavailable" {
		t.Errorf("what a guardrail denies may be asked: got %s", got)
	}
	if d := load(t, open).Decide(request(), bad(decision.Panic)); d.Allowed() {
		t.Errorf("a panic: got %s", describe(d))
	}
}

// The outages are a closed list, and the caller decides whether such a reason is an outage.
func TestOnlyOutagesAreOutages(t *testing.T) {
	set := load(t, open)
	for _, reason := range append(decision.Reasons(), "", "invented") {
		if reason.Class() == decision.Allowed || reason == decision.TokenMissing {
			continue
		}
		for _, outage := range []bool{true, false} {
			d := set.DecideToken(request(), func() policy.Authentication {
				return policy.Authentication{NoToken: reason, Outage: outage}
			})
			want := strings.TrimSpace("deny " + string(reason))
			if outage && (reason == decision.KeysUnavailable || reason == decision.RevocationStale) {
				want = "allow allowed_on_outage open/read"
			}
			if got := strings.TrimSpace(describe(d)); got != want {
				t.Errorf("%q, outage %v: got %s, want %s", reason, outage, got, want)
			}
		}
	}
	if got := describe(set.WithoutOutage().Decide(request(), bad(decision.KeysUnavailable))); got != "deny keys_unavailable" {
		t.Errorf("without outage: got %s", got)
	}
}

// A document with onOutage: allow is rejected if no issuer is home. Its last good version
// may stay active, but allows nothing in an outage.
func TestOnOutageWithoutHomeIssuer(t *testing.T) {
	_, err := source.Loader{NoHomeIssuer: true}.Load(files(open))
	want := "0.yaml:7:13: onOutage: allow needs an entry of trust with home: true: only missing keys of our own issuers are an outage"
	if err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := (source.Loader{NoHomeIssuer: true}).Load(files(strings.Replace(open, "onOutage: allow", "onOutage: deny", 1))); err != nil {
		t.Error(err)
	}
}

func TestGuardrailsBeatPublicEntries(t *testing.T) {
	set := loadWith(t, guardrails, open)
	robot := alice(map[string]any{"kind": "robot"})
	human := alice(map[string]any{"kind": "human"})
	for _, row := range []struct {
		name string
		r    policy.Request
		auth policy.Authenticate
		want string
	}{
		{"a deny on to", request(path("/healthz"), method("DELETE")), human, "deny rule_denied guardrails/no-delete"},
		{"a deny on a claim", request(path("/healthz")), robot, "deny rule_denied guardrails/no-robots"},
		{"without a token it cannot be decided", request(path("/healthz")), missing, "deny condition_error guardrails/no-robots"},
		{"it says no", request(path("/healthz")), human, "allow public open/public[0]"},
	} {
		if got := describe(set.Decide(row.r, row.auth)); got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
	}
	if got := describe(load(t, guardrails, open).Decide(request(path("/healthz")), robot)); got != "allow public open/public[0]" {
		t.Errorf("a folder that is none: got %s", got)
	}
}

func TestOverrides(t *testing.T) {
	robot := alice(map[string]any{"kind": "robot"})
	human := alice(map[string]any{"kind": "human"})
	set := loadWith(t, guardrails, open+"---"+strings.NewReplacer("name: orders", "name: z", "spec:", "spec:\n  mode: shadow").Replace(orders))
	lifted := set.With("", overrides(t, "ns/shop/sa/*"))
	for _, row := range []struct {
		name string
		r    policy.Request
		auth policy.Authenticate
		want string
	}{
		{"what is allowed anyway", request(), human, "allow overridden < allow rule_allowed open/read < allow rule_allowed open/read"},
		{"no rule", request(method("PATCH"), caller("ns/x/sa/y")), human, "allow overridden < deny no_rule < deny no_rule"},
		{"a deny rule", request(caller("ns/batch/sa/x")), human, "allow overridden < deny rule_denied open/no-batch < deny rule_denied open/no-batch"},
		{"no token, where no guardrail asks", request(path("/a/b")), missing, "allow overridden < deny token_missing < deny token_missing"},
		{"a guardrail", request(method("DELETE")), human, "deny rule_denied guardrails/no-delete < deny rule_denied guardrails/no-delete < deny rule_denied guardrails/no-delete"},
		{"a guardrail on a claim", request(), robot, "deny rule_denied guardrails/no-robots < deny rule_denied guardrails/no-robots < deny rule_denied guardrails/no-robots"},
		{"a guardrail that cannot be decided", request(), missing, "deny condition_error guardrails/no-robots < deny token_missing < deny token_missing"},
		{"a path that no guardrail can decide", request(path("/a//b")), human, "deny ambiguous_path < deny ambiguous_path < deny ambiguous_path"},
		{"nobody guards it", request(callee("gateway/g")), human, "deny unguarded"},
		{"another workload", request(callee("ns/x/sa/y"), path("/a/b")), human, "deny no_rule"},
		{"it is over", request(after(2 * time.Hour)), human, "allow rule_allowed open/read < allow rule_allowed open/read"},
	} {
		if got := chain(lifted.Decide(row.r, row.auth)); got != row.want {
			t.Errorf("%s: got\n%s, want\n%s", row.name, got, row.want)
		}
	}
	if now, later := lifted.Overrides(noon), lifted.Overrides(noon.Add(2*time.Hour)); len(now) != 1 || now[0].By != "alice" || later != nil {
		t.Errorf("got %v, later %v", now, later)
	}
	if got, want := chain(new(policy.Set).With("", overrides(t, "ns/shop/sa/orders")).Decide(request(), missing)), "allow overridden < deny unguarded"; got != want {
		t.Errorf("no document at all: got %s, want %s", got, want)
	}
	if got, want := chain(load(t, open).With("", overrides(t, "ns/shop/sa/orders")).Decide(request(path("/a//b")), missing)), "allow overridden < deny ambiguous_path"; got != want {
		t.Errorf("an ambiguous path without guardrails: got %s, want %s", got, want)
	}
}

// An override lifts a document that cannot be used, unless that is a guardrail.
func TestOverridesOfRefusedDocuments(t *testing.T) {
	for guardrail, want := range map[bool]string{
		false: "allow overridden < deny policy_refused p/",
		true:  "deny policy_refused p/ < deny policy_refused p/",
	} {
		dir := files(head + "  rules: [{name: r, effect: permit}]\n")
		dir.Guardrail = guardrail
		set := source.Loader{}.LoadEach(nil, dir).Set.With("", overrides(t, "ns/shop/sa/orders"))
		if got := chain(set.Decide(request(), alice(nil))); got != want {
			t.Errorf("guardrail %t: got %s, want %s", guardrail, got, want)
		}
	}
}

func after(d time.Duration) func(*policy.Request) {
	return func(r *policy.Request) { r.Now = r.Now.Add(d) }
}

func overrides(t *testing.T, target string) []policy.Override {
	t.Helper()
	text := `overrides: [{target: "` + target + `", mode: shadow, until: 2026-06-01T13:00:00Z, by: alice, reason: "INC-7"}]`
	list, err := source.ParseOverrides([]byte(text), identity.TrustDomains{}, noon)
	if err != nil || len(list) != 1 {
		t.Fatalf("got %v, %v", list, err)
	}
	return list
}

func TestOverridesThatAreRefused(t *testing.T) {
	whole := `overrides: [{target: ns/a/sa/b, mode: shadow, until: 2026-06-01T13:00:00Z, by: a, reason: b}]`
	for _, row := range []struct{ was, is, want string }{
		{"ns/a/sa/b", "ns/a*/sa/b", `1:22: target "ns/a*/sa/b": want ns/NAMESPACE/sa/ACCOUNT`},
		{"mode: shadow", "mode: allow", `1:39: mode "allow": want shadow`},
		{"mode: shadow, ", "", `1:13: mode "": want shadow`},
		{"until: 2026-06-01T13:00:00Z, ", "", `1:13: until "": want a time such as 2026-06-01T12:00:00Z, as an override ends by itself`},
		{"2026-06-01T13", "2026-06-02T13", "1:54: until is more than 24h0m0s ahead: an override is for an emergency; change the documents for a permanent rule"},
		{"2026-06-01T13:00:00Z", "tomorrow", `1:54: until "tomorrow": want a time such as 2026-06-01T12:00:00Z`},
		{"by: a, ", "", "1:13: want by and reason: who lifts the policies, and why"},
		{"reason: b", "reasons: b", `1:83: unknown key "reasons" (did you mean "reason"?); known here: by, mode, reason, target, until`},
		{whole, "{}", "1:1: want overrides: a list, which may be empty"},
		{whole, "", "the file is empty"},
	} {
		_, err := source.ParseOverrides([]byte(strings.Replace(whole, row.was, row.is, 1)), identity.TrustDomains{}, noon)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %s", row.is, err, row.want)
		}
	}
	for text, want := range map[string]int{"overrides: []": 0, strings.Replace(whole, "T13", "T11", 1): 0, whole: 1} {
		if list, err := source.ParseOverrides([]byte(text), identity.TrustDomains{}, noon); err != nil || len(list) != want {
			t.Errorf("%s: got %v, %v", text, list, err)
		}
	}
}

func TestUnguarded(t *testing.T) {
	watching := strings.Replace(orders, "spec:", "spec:\n  mode: shadow", 1)
	for _, row := range []struct {
		unguarded policy.Mode
		text      string
		r         policy.Request
		want      string
	}{
		{"", orders, request(callee("ns/x/sa/y")), "deny unguarded"},
		{policy.Enforce, orders, request(callee("ns/x/sa/y")), "deny unguarded"},
		{policy.Shadow, orders, request(callee("ns/x/sa/y")), "allow unenforced < deny unguarded"},
		{policy.Shadow, orders, request(callee("")), "deny no_callee"},
		{policy.Shadow, orders, request(method("PATCH")), "deny no_rule"},
		{policy.Enforce, watching, request(), "deny unguarded < allow rule_allowed orders/read-own-tenant"},
		{policy.Shadow, watching, request(), "allow unenforced < deny unguarded < allow rule_allowed orders/read-own-tenant"},
		{policy.Shadow, watching, request(method("PATCH")), "allow unenforced < deny unguarded < deny no_rule"},
		{policy.Shadow, watching, request(path("//")), "allow unenforced < deny unguarded < deny ambiguous_path"},
	} {
		if got := chain(load(t, row.text).With(row.unguarded, nil).Decide(row.r, alice(nil))); got != row.want {
			t.Errorf("%s: got\n%s, want\n%s", row.unguarded, got, row.want)
		}
	}
}

// A request that is allowed for another reason than its token still has its token verified:
// only a valid one may go on to the next hop.
func TestTheTokenIsLookedAtBeforeItGoesOn(t *testing.T) {
	unguarded := load(t, orders).With(policy.Shadow, nil)
	for _, set := range []*policy.Set{unguarded, new(policy.Set).With("", overrides(t, "ns/x/sa/y"))} {
		asked := 0
		d := set.Decide(request(callee("ns/x/sa/y")), func() (*identity.Claims, decision.Reason) {
			asked++
			return nil, decision.TokenExpired
		})
		if !d.Allowed() || asked != 1 {
			t.Errorf("%s: asked %d times", chain(d), asked)
		}
	}
}

// A rule or document that leaves shadow gives the decision that the shadow one announced.
func TestShadowOfRules(t *testing.T) {
	watched := strings.Replace(orders, "name: no-cancel\n      effect: deny", "name: no-cancel\n      mode: shadow\n      effect: deny", 1)
	cancel := request(path("/tenants/acme/orders/1:cancel"))
	got := chain(load(t, watched).Decide(cancel, alice(nil)))
	if want := "allow rule_allowed orders/read-own-tenant < deny rule_denied orders/no-cancel"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := chain(load(t, orders).Decide(cancel, alice(nil))); got != "deny rule_denied orders/no-cancel" {
		t.Errorf("enforced: got %s", got)
	}
	if got := chain(load(t, watched, public).Decide(request(callee("ns/shop/sa/catalogue"), path("/items/1")), missing)); got != "allow rule_allowed catalogue/anyone" {
		t.Errorf("another workload: got %s", got)
	}
}

// A shadow rule with allowEncoded does not change the enforced decision.
func TestWhatARuleInShadowAdmitsAdmitsNothing(t *testing.T) {
	allow := "    - {name: a, effect: allow, to: {methods: [GET]}}\n"
	files := "    - {name: b, effect: allow, mode: shadow, to: {paths: [\"/files/{name}\"], allowEncoded: [\"%2F\"]}}\n"
	slash := request(path("/files/a%2Fb"))
	if got := describe(load(t, head+"  rules:\n"+allow+files).Decide(slash, missing)); got != "deny ambiguous_path" {
		t.Errorf("got %s", got)
	}
	rail := head + "  rules:\n    - {name: d, effect: deny, mode: shadow, to: {methods: [DELETE]}}\n"
	set := loadWith(t, rail, strings.Replace(head, "name: p", "name: q", 1)+"  rules:\n"+allow)
	lifted := set.With(policy.Enforce, overrides(t, "ns/shop/sa/orders"))
	if got := describe(lifted.Decide(request(path("/a//b")), alice(nil))); got != "allow overridden" {
		t.Errorf("a guardrail in shadow: got %s", got)
	}
}
