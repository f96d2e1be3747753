package cases

import (
	"fmt"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// Coverage is how many of all rules and public entries gave the answer to a case
// that passed, in shadow or not.
type Coverage struct {
	Decided int               `json:"decided"`
	Rules   int               `json:"rules"`
	Never   []policy.RuleInfo `json:"never,omitempty"` // those that decided no case
	Want    int               `json:"want,omitempty"`  // percent
}

// IsEnough reports whether as much is covered as is wanted.
func (c Coverage) IsEnough() bool { return c.Decided*100 >= c.Want*c.Rules }

// measureCoverage works out which rules decided, and how many percent should have.
func (r *Report) measureCoverage(set *policy.Set, want int) {
	decided := map[[3]string]bool{}
	for _, c := range r.Cases {
		if !c.Passed { // the rule decided, and not as expected
			continue
		}
		for d := &c.decision; d != nil; d = d.Shadow {
			if d.Reason != decision.ConditionError { // then it did not match
				decided[[3]string{d.Folder, d.Policy, d.Rule}] = true
			}
		}
	}
	c := Coverage{Want: want}
	for _, rule := range set.Rules() {
		if c.Rules++; decided[[3]string{rule.Folder, rule.Policy, rule.Rule}] {
			c.Decided++
		} else {
			c.Never = append(c.Never, rule)
		}
	}
	r.Coverage = &c
}

func (c Coverage) String() string {
	text := fmt.Sprintf("coverage %d%%: %d of %d rules and public entries decided a case", c.roundedPercent(), c.Decided, c.Rules)
	if !c.IsEnough() {
		text += fmt.Sprintf("; want %d%%", c.Want)
	}
	return text
}

// roundedPercent is rounded down: 100 means all.
func (c Coverage) roundedPercent() int {
	if c.Rules == 0 {
		return 100
	}
	return c.Decided * 100 / c.Rules
}
