package policy_test

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy/lint"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// warningsOf gives "line:column code rule", a line for each warning.
func warningsOf(t *testing.T, dirs ...source.Dir) string {
	t.Helper()
	problems, found := lint.Run(source.Loader{}, dirs...)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var lines []string
	for _, w := range found {
		lines = append(lines, strings.TrimSuffix(fmt.Sprintf("%d:%d %s %s", w.Line, w.Column, w.Code, w.Rule), " "))
	}
	return strings.Join(lines, "\n")
}

func TestWarnings(t *testing.T) {
	rules := func(fields ...string) string {
		text := head + "  identity: optional\n  rules:\n"
		for i, f := range fields {
			text += fmt.Sprintf("  - {name: r%d, %s}\n", i, f)
		}
		return text
	}
	for _, row := range []struct{ name, text, want string }{
		{"the usual", orders, "15:20 deny_slash no-cancel\n22:32 unguarded_member suspended"},
		{"a wildcard as target", strings.Replace(rules("effect: allow, when: claims.sub == 'a'"), "ns/shop/sa/orders", "ns/shop/sa/*", 1), "5:25 wildcard"},
		{"a wildcard as caller", rules("effect: allow, from: {workloads: [ns/a/sa/b, ns/a/sa/*]}"), "8:61 wildcard r0"},
		{"a wildcard in a deny", rules("effect: deny, from: {workloads: [ns/a/sa/*]}"), ""},
		{"no condition", rules("effect: allow"), "8:5 open_rule r0"},
		{"outage", strings.Replace(rules("effect: deny"), "identity: optional", "onOutage: allow", 1), "6:13 on_outage_allow"},
		{"a deny on a member", rules("effect: deny, claims: {tctx.banned: [true], sub: [a]}", "effect: deny, when: claims.tctx.level > 3", "effect: deny, when: has(claims.tctx.x) && claims.tctx.x == 1", "effect: deny, when: claims.tctx.org == 'o'"),
			"8:52 unguarded_member r0\n9:36 unguarded_member r1\n10:36 uncertain_kind r2"},
		{"a large pattern", rules("effect: allow, when: 'claims.sub.matches(\"a.{0,250}b.{0,250}c\")'"), "8:37 costly_regex r0"},
		{"static lists", strings.Replace(rules("effect: allow, claims: {tctx.plan: [gold]}, to: {paths: [/a]}"), "  identity: optional\n", "", 1), "5:3 native_istio"},
		{"denied altogether", rules("effect: allow, scopes: [s], to: {methods: [GET], paths: [/a/b, '/a/{x}/']}", "effect: deny, to: {methods: [GET, HEAD, POST], paths: ['/a/**', /a]}"), "8:5 unreachable_rule r0"},
		{"denied in part", rules("effect: allow, scopes: [s], to: {paths: [/a/b, /c]}", "effect: deny, to: {paths: ['/a/**', /a]}"), ""},
		{"denied for fewer callers", rules("effect: allow, scopes: [s], from: {workloads: [ns/a/sa/a]}", "effect: deny, from: {workloads: [ns/a/sa/b]}"), ""},
		{"denied for more callers", rules("effect: allow, scopes: [s], from: {workloads: [ns/a/sa/a]}", "effect: deny, from: {workloads: [ns/a/sa/*]}"), "8:5 unreachable_rule r0"},
		{"denied in shadow", rules("effect: allow, scopes: [s]", "effect: deny, mode: shadow, to: {methods: [POST]}", "effect: deny, mode: shadow, to: {methods: [PUT, POST]}"), "9:5 redundant_deny r1"},
		{"allowed by a wider rule", rules("effect: allow, scopes: [a, b], claims: {sub: [x]}", "effect: allow, scopes: [a], claims: {sub: [x, y]}"), "8:5 shadowed_allow r0"},
		{"allowed by another scope", rules("effect: allow, scopes: [a]", "effect: allow, scopes: [a, b], to: {ports: [1]}", "effect: allow, scopes: [b], to: {ports: [2]}"), "9:5 shadowed_allow r1"},
		{"the same twice", rules("effect: allow, scopes: [a]", "effect: allow, scopes: [a]"), "9:5 shadowed_allow r1"},
		{"the same expression, bound otherwise", rules("effect: allow, to: {paths: ['/{a}/{b}']}, when: path.a == claims.sub", "effect: allow, to: {paths: ['/{b}/{a}']}, when: path.a == claims.sub"), ""},
		{"the same expression, bound alike", rules("effect: allow, to: {paths: ['/{a}/{b}']}, when: path.a == claims.sub", "effect: allow, to: {methods: [GET], paths: ['/{a}/{b}']}, when: path.a == claims.sub"), "9:5 shadowed_allow r1"},
		{"denied below a wildcard", rules("effect: allow, scopes: [s], to: {hosts: [a.example.com, '*.b.example.com']}", "effect: deny, to: {methods: [POST], hosts: ['*.example.com']}", "effect: deny, to: {hosts: ['*.example.com', example.com], ports: [1, 2]}", "effect: deny, to: {hosts: ['*.a.example.com'], ports: [1]}"), "11:5 redundant_deny r3"},
		{"a wildcard is not the name itself", rules("effect: deny, to: {ports: [1], hosts: [example.com]}", "effect: deny, to: {ports: [1], hosts: ['*.example.com']}", "effect: deny, to: {ports: [1], hosts: [xexample.com]}"), ""},
		{"allowed below a wildcard", rules("effect: allow, scopes: [s], to: {hosts: [a.example.com]}", "effect: allow, scopes: [s], to: {hosts: ['*.example.com']}"), "8:5 shadowed_allow r0"},
		{"public", strings.Replace(rules("effect: allow, scopes: [s], to: {methods: [GET], paths: [/a/b]}"), "  rules", "  public: [{paths: ['/a/**']}]\n  rules", 1), "9:5 shadowed_allow r0"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := warningsOf(t, files(row.text)); got != row.want {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

func TestWarningsOfGuardrails(t *testing.T) {
	rails, rest := files(guardrails), files(open)
	rails.Guardrail, rest.Name = true, "rest"
	if got, want := warningsOf(t, rails), "8:13 on_outage_allow\n10:53 method_override no-delete\n11:7 guardrail_needs_token no-robots\n11:52 deny_slash no-robots\n11:97 unguarded_member no-robots"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	_, found := lint.Run(source.Loader{}, rails, rest)
	want := "rest/0.yaml:7:13: while no home issuer has keys or the revocations are stale, only from and to of allow rules are checked; scopes, claims and when are not"
	if last := found[len(found)-1]; last.Policy != "open" || last.Code != lint.OutageAllow || last.String() != want {
		t.Errorf("got %+v", last)
	}
}

// A rule that "changes no decision" can be removed.
func TestWhatIsSaidToChangeNothingChangesNothing(t *testing.T) {
	d := dice{rand.New(rand.NewSource(3))}
	removed := 0
	for round := 0; round < 150; round++ {
		documents := []nDocument{d.document("a", false), d.document("b", false)}
		_, found := lint.Run(source.Loader{}, render(t, documents, false))
		for _, w := range found {
			if w.Code != lint.Unreachable && w.Code != lint.ShadowedAllow && w.Code != lint.RedundantDeny || strings.HasPrefix(w.Rule, "public") {
				continue
			}
			removed++
			compareWithout(t, d, documents, w)
		}
	}
	if removed < 20 {
		t.Errorf("only %d rules were removed", removed)
	}
}

func compareWithout(t *testing.T, d dice, documents []nDocument, w lint.Warning) {
	t.Helper()
	var fewer []nDocument
	for _, doc := range documents {
		var rules []nRule
		for _, r := range doc.Spec.Rules {
			if doc.Metadata["name"] != w.Policy || r.Name != w.Rule {
				rules = append(rules, r)
			}
		}
		doc.Spec.Rules = append(rules, nRule{Name: "z", Effect: "deny", To: &nTo{Methods: []string{"NONE"}}})
		fewer = append(fewer, doc)
	}
	with, err := (source.Loader{}).Load(render(t, documents, false))
	if err != nil {
		t.Fatal(err)
	}
	without, err := (source.Loader{}).Load(render(t, fewer, false))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 60; i++ {
		r := d.request()
		claims, refusal := d.token()
		auth := func() (*identity.Claims, decision.Reason) { return claims, refusal }
		if got, want := without.Decide(r, auth), with.Decide(r, auth); got.Allowed() != want.Allowed() {
			t.Fatalf("%s\n%+v: with the rule %s, without %s", w, r, describe(want), describe(got))
		}
	}
}
