package cases

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// Difference is one part of an answer that is not the expected one.
type Difference struct {
	Field string `json:"field"` // as in expect
	Want  string `json:"want"`
	Got   string `json:"got"`
}

// compareWith returns the differences between the expectation and the decision.
func (e Expectation) compareWith(d decision.Decision) []Difference {
	var all []Difference
	compare := func(field, want, got string) {
		if want != "" && want != got {
			all = append(all, Difference{field, want, got})
		}
	}
	compare("decision", e.Decision, d.String())
	compare("reason", e.Reason, string(d.Reason))
	if !slices.Contains(rulePaths(d), e.Rule) {
		compare("rule", e.Rule, d.RuleName())
	}
	if !e.matchesShadows(d) {
		compare("shadow", strings.Join(e.Shadow, "; "), strings.Join(d.Shadows(), "; "))
	}
	return all
}

// rulePaths returns the names that a case may use for the rule that decided: with the
// folder of the document and without it. The folder is optional, so that no case depends
// on the names that another folder gives to its documents.
func rulePaths(d decision.Decision) []string {
	short, long := d, d
	short.Shared, long.Shared = false, true
	return []string{short.RuleName(), long.RuleName()}
}

// matchesShadows reports whether the shadow decisions below d are the expected ones.
func (e Expectation) matchesShadows(d decision.Decision) bool {
	for _, want := range e.Shadow {
		if d.Shadow == nil {
			return false
		}
		d = *d.Shadow
		names := rulePaths(d)
		for i, name := range names {
			names[i] = strings.TrimSpace(fmt.Sprintf("%s %s %s", d, d.Reason, name))
		}
		if !slices.Contains(names, want) {
			return false
		}
	}
	return d.Shadow == nil
}

// explainRules returns one line for each rule: the first condition that keeps it from
// matching.
func explainRules(set *policy.Set, t policy.Trace) []string {
	if t.Path != "" {
		return []string{"the path is ambiguous: " + t.Path}
	}
	var all []string
	for _, d := range t.Documents {
		for _, r := range d.Rules {
			all = append(all, fmt.Sprintf("%s %s/%s: %s", r.Effect, set.QualifiedName(r.Folder, r.Policy), r.Rule, explainMismatch(r)))
		}
	}
	return all
}

func explainMismatch(r policy.RuleTrace) string {
	for _, c := range r.Conditions {
		if c.Verdict != r.Verdict || r.Verdict == "yes" {
			continue
		}
		text := fmt.Sprintf("%s, as %s wants %s and finds %s", r.Verdict, c.Field, policycli.FormatValue(c.Want), policycli.FormatValue(c.Got))
		if c.Why != "" {
			text += ": " + c.Why
		}
		return text
	}
	return "matches"
}
