package app

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestOnboarding plays the states of the policies in the order of
// docs/onboarding.md, with the document's own files, forwards and back.
func TestOnboarding(t *testing.T) {
	document, overrides := ofOnboarding(t, "orders.yaml"), ofOnboarding(t, "overrides.yaml")
	overrides = strings.Replace(overrides, "2026-06-01T12:00:00Z", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), 1)
	enforced := strings.Replace(document, "  mode: shadow\n", "", 1)
	const section = "{dirs: [{path: policies}], overrides: overrides.yaml, unguarded: %s}"
	f := withPolicies(t, fmt.Sprintf(section, "shadow"))
	f.write("overrides.yaml", "overrides: []")
	f.write("policies/orders.yaml", strings.ReplaceAll(document, "orders", "others"))
	a := startAsked(t, f)

	const good, stranger = gateway, "spiffe://cluster.local/ns/shop/sa/stranger"
	const unwritten = "[deny unguarded]"
	for _, step := range []struct {
		name, file, content string
		reason              string // of the gateway's request
		shadow              string
		refused             string // reason for the stranger's
		wouldBe             string // its shadow
	}{
		{"no document", "", "", "unenforced", unwritten, "unenforced", unwritten},
		{"in shadow", "policies/shop.yaml", document, "unenforced", "[deny unguarded allow rule_allowed orders/read-own-tenant]", "unenforced", "[deny unguarded deny no_rule]"},
		{"undone", "policies/shop.yaml", strings.ReplaceAll(document, "orders", "third"), "unenforced", unwritten, "unenforced", unwritten},
		{"in shadow again", "policies/shop.yaml", document, "unenforced", "[deny unguarded allow rule_allowed orders/read-own-tenant]", "unenforced", "[deny unguarded deny no_rule]"},
		{"enforced", "policies/shop.yaml", enforced, "rule_allowed", "[]", "no_rule", "[]"},
		{"an override", "overrides.yaml", overrides, "overridden", "[allow rule_allowed orders/read-own-tenant]", "overridden", "[deny no_rule]"},
		{"in shadow below it", "policies/shop.yaml", document, "overridden", "[deny unguarded allow rule_allowed orders/read-own-tenant]", "overridden", "[deny unguarded deny no_rule]"},
		{"without it", "overrides.yaml", "overrides: []", "unenforced", "[deny unguarded allow rule_allowed orders/read-own-tenant]", "unenforced", "[deny unguarded deny no_rule]"},
		{"enforced again", "policies/shop.yaml", enforced, "rule_allowed", "[]", "no_rule", "[]"},
	} {
		if step.file != "" {
			f.write(step.file, step.content)
		}
		a.isAnswered(t, step.name+", the gateway", good, step.reason, step.shadow)
		a.isAnswered(t, step.name+", a stranger", stranger, step.refused, step.wouldBe)
	}
	a.metric(t, `meshpass_policy_overrides_active 0`)

	closed := withPolicies(t, fmt.Sprintf(section, "deny"))
	closed.write("overrides.yaml", "overrides: []")
	closed.write("policies/orders.yaml", enforced)
	b := startAsked(t, closed)
	b.isAnswered(t, "closed", good, "rule_allowed", "[]")
	b.answers(t, "closed", "nobodys: unguarded")
}

// isAnswered waits until a caller of orders is, and the record says so.
func (a asked) isAnswered(t *testing.T, step, caller, reason, shadow string) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(20 * time.Second); got != reason+" "+shadow; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: got %s, want %s %s\n%s", step, got, reason, shadow, a.log.String())
		}
		if _, err := a.Check(t.Context(), order(t, caller)); err != nil {
			t.Fatal(err)
		}
		record := a.record(t, "orders")
		shadows, _ := record["shadow"].([]any)
		got = fmt.Sprint(record["reason"], " ", shadows)
	}
}

// ofOnboarding is a file that the document shows.
func ofOnboarding(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/onboarding.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```yaml\n# " + regexp.QuoteMeta(name) + "\n(.*?)```").FindSubmatch(text)
	if found == nil {
		t.Fatalf("docs/onboarding.md shows no %s", name)
	}
	return string(found[1])
}
