package ops_test

import (
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
)

// Denials are counted by the document and the rule that decided, if any did; allows are not.
func TestDenialsAreCountedByRule(t *testing.T) {
	p := newProcess(t)
	sidecar := p.metrics.Listener("sidecar")
	count := func(d decision.Decision) {
		if d.Policy != "" {
			d.Folder = "policies"
		}
		sidecar.Decided(t.Context(), d, time.Millisecond)
	}
	count(decision.Deny(decision.RuleDenied).By("orders", "no-export"))
	count(decision.Deny(decision.RuleDenied).By("orders", "no-export"))
	count(decision.Allow(decision.RuleAllowed).By("orders", "read"))
	count(decision.Deny(decision.Unguarded))
	want := `meshpass_policy_denials_total{folder="",listener="sidecar",policy="",reason="unguarded",rule=""} 1
meshpass_policy_denials_total{folder="policies",listener="sidecar",policy="orders",reason="rule_denied",rule="no-export"} 2`
	if got := p.samples(t, "meshpass_policy_denials_total"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
