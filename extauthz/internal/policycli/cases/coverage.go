package cases

import (
	"fmt"
	"strings"

	"github.com/meshpass/meshpass/shared/policy"
)

// Coverage counts the rules and public entries that decided a case that passed.
type Coverage struct {
	Decided int               `json:"decided"`
	Rules   int               `json:"rules"`
	Never   []policy.RuleInfo `json:"never,omitempty"` // rules that decided no case
	Want    int               `json:"want,omitempty"`  // in percent
}

// IsEnough reports whether the wanted coverage is reached.
func (c Coverage) IsEnough() bool { return c.Decided*100 >= c.Want*c.Rules }

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

// printNever lists the rules that decided no case. The path of the file shows the folder.
func (c Coverage) printNever(b *strings.Builder) {
	for _, rule := range c.Never {
		fmt.Fprintf(b, "  never: %s/%s  %s:%d\n", rule.Policy, rule.Rule, rule.File, rule.Line)
	}
}
