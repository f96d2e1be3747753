package hops_test

import (
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/rbac/hops"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// What is known of a caller decides a rule, and the rest makes it conditional.
func TestRulesFor(t *testing.T) {
	gateway := hops.Who{Gateway: "ns/edge/sa/tyk-gateway", Issuer: "https://edge.example", Host: "orders.shop:8080", Scopes: grant("s1")}
	rows := []struct {
		name, rule string
		who        hops.Who
		want       hops.Verdict
	}{
		{"no condition", `{name: r, effect: allow}`, gateway, hops.Yes},
		{"its method", `{name: r, effect: allow, to: {methods: [GET]}}`, gateway, hops.Yes},
		{"another method", `{name: r, effect: allow, to: {methods: [POST]}}`, gateway, hops.No},
		{"the gateway", `{name: r, effect: allow, from: {workloads: [ns/edge/sa/*]}}`, gateway, hops.Yes},
		{"another workload", `{name: r, effect: allow, from: {workloads: [ns/shop/sa/web]}}`, gateway, hops.No},
		{"an unknown gateway", `{name: r, effect: allow, from: {workloads: [ns/shop/sa/web]}}`, hops.Who{Scopes: grant()}, hops.Conditional},
		{"no principal", `{name: r, effect: allow, from: {noPrincipal: true}}`, gateway, hops.No},
		{"its issuer", `{name: r, effect: allow, from: {issuers: ["https://edge.example"]}}`, gateway, hops.Yes},
		{"another issuer", `{name: r, effect: allow, from: {issuers: ["https://other.example"]}}`, gateway, hops.No},
		{"its host", `{name: r, effect: allow, to: {methods: [GET], hosts: [orders.shop]}}`, gateway, hops.Yes},
		{"another host", `{name: r, effect: allow, to: {methods: [GET], hosts: [other.shop]}}`, gateway, hops.No},
		{"a port", `{name: r, effect: allow, to: {ports: [8080]}}`, gateway, hops.Conditional},
		{"its scope", `{name: r, effect: allow, scopes: [s1]}`, gateway, hops.Yes},
		{"another scope", `{name: r, effect: allow, scopes: [s1, s2]}`, gateway, hops.No},
		{"a claim", `{name: r, effect: allow, claims: {tctx.plan: [gold]}}`, gateway, hops.Conditional},
		{"an expression", `{name: r, effect: allow, when: claims.tctx.plan == "gold"}`, gateway, hops.Conditional},
		{"an expression and another method", `{name: r, effect: allow, to: {methods: [POST]}, when: claims.tctx.plan == "gold"}`, gateway, hops.No},
		{"shadow", `{name: r, effect: allow, mode: shadow}`, gateway, hops.No},
		{"no token", `{name: r, effect: allow}`, hops.Who{Anonymous: true}, hops.No},
		{"a denial without a token", `{name: r, effect: deny, claims: {tctx.plan: [gold]}}`, hops.Who{Anonymous: true}, hops.Yes},
		{"a denial by a claim", `{name: r, effect: deny, claims: {tctx.plan: [gold]}}`, gateway, hops.Conditional},
	}
	for _, row := range rows {
		rules := hops.RulesFor(load(t, row.rule), "ns/shop/sa/orders", row.who, "GET")
		got := hops.No
		for _, r := range append(rules.Allow, rules.Deny...) {
			got = r.Verdict
			if (r.Verdict == hops.Conditional) != (len(r.Conditions) > 0) {
				t.Errorf("%s: conditions %q", row.name, r.Conditions)
			}
		}
		if got != row.want {
			t.Errorf("%s: got %d, want %d", row.name, got, row.want)
		}
	}
	if !hops.RulesFor(load(t, `{name: r, effect: allow}`), "ns/shop/sa/web", gateway, "GET").Unguarded {
		t.Error("a callee without a document is guarded")
	}
}

func grant(scopes ...string) func([]string) (hops.Verdict, string) {
	return func(wanted []string) (hops.Verdict, string) {
		if len(wanted) == len(scopes) {
			return hops.Yes, ""
		}
		return hops.No, "a scope"
	}
}

func load(t *testing.T, rule string) (all []*policy.Document) {
	t.Helper()
	text := "apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: orders}\nspec:\n  targets: {workloads: [ns/shop/sa/orders]}\n  rules:\n    - " + rule + "\n"
	loader := source.Loader{Domains: identity.TrustDomains{Local: "cluster.local"}}
	documents, problems := loader.Documents(source.Dir{Name: "test", Files: policycli.MemoryFolder(map[string][]byte{"a.yaml": []byte(text)})})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, d := range documents {
		all = append(all, d.Compiled)
	}
	return all
}
