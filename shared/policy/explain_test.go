package policy_test

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// written formats the trace of one rule as a line.
func written(r policy.RuleTrace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s %s %s", r.Policy, r.Rule, r.Effect, r.Verdict)
	if r.Decided {
		b.WriteString(" decided")
	}
	for _, c := range r.Conditions {
		fmt.Fprintf(&b, "; %s %s: want %v, got %v", c.Field, c.Verdict, c.Want, c.Got)
		if c.Why != "" {
			fmt.Fprintf(&b, " (%s)", c.Why)
		}
	}
	return b.String()
}

func TestExplain(t *testing.T) {
	trace := load(t, orders, public).Explain(request(path("/tenants/globex/orders/1")), alice(map[string]any{"suspended": nil}))
	var got []string
	for _, d := range trace.Documents {
		got = append(got, fmt.Sprint(d.Name, " ", d.File, " ", d.Mode, " ", d.Identity, " ", d.OnOutage, " ", d.Targets))
		for _, r := range d.Rules {
			got = append(got, written(r))
		}
	}
	want := []string{
		"orders 0.yaml enforce required deny [ns/shop/sa/orders]",
		"orders/public[0] public no; to.paths no: want /healthz, got /tenants/globex/orders/1; to.methods yes: want [GET], got GET",
		"orders/delete-own-tenant allow no; to.paths yes: want /tenants/{tenant}/orders/{id}, got /tenants/globex/orders/1; to.methods no: want [DELETE], got GET; " +
			"claims.tctx.roles yes: want [admin owner], got [admin]; when no: want claims.tctx.tenant == path.tenant, got map[claims.tctx.tenant:acme path.tenant:globex]",
		"orders/locked deny no; to.paths no: want /locked, got /tenants/globex/orders/1",
		"orders/no-batch deny no; from.workloads no: want [ns/batch/sa/*], got ns/edge/sa/tyk-gateway",
		"orders/no-cancel deny no; to.paths no: want /tenants/{tenant}/orders/1:cancel, got /tenants/globex/orders/1; scopes yes: want [orders.read], got openid orders.read",
		"orders/read-own-tenant allow no; to.paths yes: want /tenants/{tenant}/orders/**, got /tenants/globex/orders/1; from.workloads yes: want [ns/edge/sa/tyk-gateway], got ns/edge/sa/tyk-gateway; " +
			"to.methods yes: want [GET], got GET; scopes yes: want [orders.read], got openid orders.read; " +
			"when no: want claims.tctx.tenant == path.tenant, got map[claims.tctx.tenant:acme path.tenant:globex]",
		"orders/suspended deny no; to.methods no: want [DELETE], got GET; claims.tctx.suspended undecided: want [true], got <nil>",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if fmt.Sprint(trace.Answer, trace.Path, trace.Token) != "[deny no_rule]" {
		t.Errorf("got %v %s %s", trace.Answer, trace.Path, trace.Token)
	}
}

func TestExplainSaysWhyNothingWasDecided(t *testing.T) {
	set := load(t, orders, public)
	if trace := set.Explain(request(path("/a//b")), alice(nil)); trace.Path != "a segment that is empty, . or .." || trace.Documents[0].Rules != nil {
		t.Errorf("got %+v", trace)
	}
	trace := set.Explain(request(), alice(map[string]any{"tenant": nil}))
	for _, r := range trace.Documents[0].Rules {
		if r.Rule != "read-own-tenant" {
			continue
		}
		if last := r.Conditions[len(r.Conditions)-1]; !r.Decided || r.Verdict != "undecided" || last.Why != "no such key: tenant" {
			t.Errorf("got %+v", r)
		}
	}
	elsewhere := set.Explain(request(path("/orders")), alice(nil)).Documents[0].Rules
	want := "orders/read-own-tenant allow no; to.paths no: want /tenants/{tenant}/orders/**, got /orders; from.workloads yes: want [ns/edge/sa/tyk-gateway], got ns/edge/sa/tyk-gateway; " +
		"to.methods yes: want [GET], got GET; scopes yes: want [orders.read], got openid orders.read; when undecided: want claims.tctx.tenant == path.tenant, " +
		"got map[claims.tctx.tenant:acme] (no path of the rule matches for certain, so nothing is captured)"
	if got := written(elsewhere[5]); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if trace := set.Explain(request(), bad(decision.TokenExpired)); trace.Token != decision.TokenExpired || trace.Answer[0] != "deny token_expired" {
		t.Errorf("got %+v", trace)
	}
}

// Explain evaluates each rule without the index, and agrees with the decision.
func TestExplainAgreesWithTheDecision(t *testing.T) {
	d := dice{rand.New(rand.NewSource(7))}
	for round := 0; round < 60; round++ {
		set, err := (source.Loader{}).Load(render(t, []nDocument{d.document("a", false), d.document("b", false)}, false))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 25; i++ {
			r := d.request()
			claims, refusal := d.token()
			trace := set.Explain(r, func() (*identity.Claims, decision.Reason) { return claims, refusal })
			wanted := map[decision.Reason]string{
				decision.RuleAllowed: "allow yes", decision.RuleDenied: "deny yes", decision.Public: "public yes", decision.ConditionError: "undecided",
			}[trace.Decision.Reason]
			for _, document := range trace.Documents {
				for _, rule := range document.Rules {
					if got := rule.Effect + " " + rule.Verdict; rule.Decided && !strings.HasSuffix(got, wanted) {
						t.Errorf("%s: %s", describe(trace.Decision), written(rule))
					} else if trace.Path == "" && (trace.Decision.Reason == decision.NoRule || trace.Decision.Reason == decision.AmbiguousPath) && rule.Mode == policy.Enforce && got == "allow yes" {
						t.Errorf("%s, and yet %s", describe(trace.Decision), written(rule))
					}
				}
			}
		}
	}
}

// Decisions name only rules that Rules lists.
func TestRulesAreListed(t *testing.T) {
	set := load(t, strings.Replace(orders, "name: no-cancel", "name: no-cancel\n      mode: shadow", 1), public)
	var got []string
	for _, r := range set.Rules() {
		got = append(got, fmt.Sprintf("%s/%s %s %s %s:%d", r.Policy, r.Rule, r.Effect, r.Mode, r.File, r.Line))
	}
	want := "catalogue/anyone allow enforce 1.yaml:9\ncatalogue/not-from-the-past deny enforce 1.yaml:16\ncatalogue/not-in-maintenance deny enforce 1.yaml:19\n" +
		"catalogue/staff allow enforce 1.yaml:12\norders/public[0] public enforce 0.yaml:8\norders/delete-own-tenant allow enforce 0.yaml:31\n" +
		"orders/locked deny enforce 0.yaml:10\norders/no-batch deny enforce 0.yaml:18\norders/no-cancel deny shadow 0.yaml:13\n" +
		"orders/read-own-tenant allow enforce 0.yaml:25\norders/suspended deny enforce 0.yaml:21"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}
