package decision_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/decision"
)

// Every decision that hangs below another one is read back from its text.
func TestShadowsRoundTrip(t *testing.T) {
	for _, reason := range decision.Reasons() {
		plain := decision.Allow(reason)
		byRule, inFolder, byDocument := plain.By("orders.v1", "no-batch"), plain.By("orders.v1", "no-batch"), plain.By("orders", "")
		inFolder.Folder, inFolder.Shared = "shop_1", true
		rows := []decision.Decision{plain, byRule, inFolder, byDocument}
		if reason == decision.PolicyRefused { // such a document has no rule, and may be named by its path
			rows = []decision.Decision{plain, byDocument, plain.By("policies/my team/a  b.yaml", ""), plain.By(" \n/x/", "")}
		}
		for _, want := range rows {
			roundTrip(t, want)
		}
	}
}

func roundTrip(t *testing.T, want decision.Decision) {
	t.Helper()
	given := decision.Allow(decision.Unenforced)
	given.Shadow = &want
	texts := given.Shadows()
	got, err := decision.ParseShadow(texts[0])
	if err != nil || got != want {
		t.Errorf("%q: got %+v, %v; want %+v", texts[0], got, err, want)
	}
}

func TestShadowsAreInOrder(t *testing.T) {
	first, second := decision.Deny(decision.NoRule), decision.Allow(decision.RuleAllowed).By("orders", "read")
	first.Shadow = &second
	given := decision.Allow(decision.Overridden)
	given.Shadow = &first
	if got, want := given.Shadows(), []string{"deny no_rule", "allow rule_allowed orders/read"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := second.Shadows(); got != nil {
		t.Errorf("nothing is below it: got %q", got)
	}
}

func TestParseShadow(t *testing.T) {
	for text, want := range map[string]decision.Decision{
		"allow public orders/list":                 {Reason: decision.Public, Policy: "orders", Rule: "list"},
		"deny rule_denied shop/orders/no-batch":    {Reason: decision.RuleDenied, Folder: "shop", Policy: "orders", Rule: "no-batch", Shared: true},
		"deny policy_refused shop/orders/":         {Reason: decision.PolicyRefused, Policy: "shop/orders"},
		"deny policy_refused orders":               {Reason: decision.PolicyRefused, Policy: "orders"},
		"deny policy_refused a b/c d.yaml/":        {Reason: decision.PolicyRefused, Policy: "a b/c d.yaml"},
		"deny rule_denied orders":                  {Reason: decision.RuleDenied, Policy: "orders"},
		"deny rule_denied orders/allow public p/r": {Reason: decision.RuleDenied, Folder: "orders", Policy: "allow public p", Rule: "r", Shared: true},
	} {
		if got, err := decision.ParseShadow(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range hostileShadows {
		if got, err := decision.ParseShadow(text); err == nil || got != (decision.Decision{}) {
			t.Errorf("%q: got %+v, %v; want an error", text, got, err)
		}
	}
}

var hostileShadows = []string{
	"", " ", "  ", "deny", "deny ", " no_rule", "deny  no_rule", "deny\tno_rule", "deny no_rule ", "deny invented", "deny NO_RULE", "DENY no_rule",
	"allow no_rule", "deny rule_allowed", "allow", "allow ", "allow \x00", "permit rule_allowed", "deny no_rule\n", "\xff\xfe", "p/s",
	"deny rule_denied /", "deny rule_denied /no-batch", "deny rule_denied //", "deny rule_denied shop//no-batch", "deny rule_denied a/b/c/d",
	"deny policy_refused ", "deny policy_refused /", "deny rule_denied " + strings.Repeat("/", 1<<16),
}

// ParseShadow reads records, which anyone may have changed: it never panics, and what
// it reads is written as the same decision.
func FuzzParseShadow(f *testing.F) {
	for _, text := range append(hostileShadows, "deny policy_refused a b/c d.yaml/", "allow public shop/orders/list", "deny rule_denied orders") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := decision.ParseShadow(text)
		if err != nil {
			if d != (decision.Decision{}) {
				t.Errorf("%q: an error comes with %+v", text, d)
			}
			return
		}
		if !strings.HasPrefix(text, d.String()+" "+string(d.Reason)) {
			t.Errorf("%q: read as %s %s", text, d, d.Reason)
		}
		roundTrip(t, d)
	})
}
