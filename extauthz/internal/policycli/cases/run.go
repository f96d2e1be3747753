package cases

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Report is what came of all cases.
type Report struct {
	Cases    []Result  `json:"cases"`
	Failed   int       `json:"failed"`
	Coverage *Coverage `json:"coverage,omitempty"` // nil: only some of the cases were run
	Verbose  bool      `json:"-"`
}

// Result is what came of one case.
type Result struct {
	File        string       `json:"file"`
	Line        int          `json:"line"`
	Name        string       `json:"name"`
	Passed      bool         `json:"passed"`
	Differences []Difference `json:"differences,omitempty"`
	Near        []string     `json:"near,omitempty"` // of a case that failed: which rules there are, and what keeps each from matching

	decision decision.Decision
}

// Difference is one part of the answer that is not as expected.
type Difference struct {
	Field string `json:"field"` // as in expect
	Want  string `json:"want"`
	Got   string `json:"got"`
}

// Options choose the cases.
type Options struct {
	NamePattern     *regexp.Regexp // cases by their names
	MeasureCoverage bool           // Only leaves none out, and coverage can be told
	MinCoverage     int            // percent that is wanted
}

// Run runs the cases below the source's folders. It is an error when a document or
// a case cannot be used, when a case cannot mean what it says (see [CheckMeaning]),
// and when there is no case.
func Run(source policycli.DocumentSource, o Options) (Report, error) {
	dirs, err := source.OpenFolders()
	if err != nil {
		return Report{}, err
	}
	var all []Case
	var problems strictyaml.Problems
	for _, dir := range dirs {
		found, wrong := ReadFolder(dir, source.Loader())
		all, problems = append(all, found...), append(problems, wrong...)
	}
	if err := problems.Err(); err != nil {
		return Report{}, err
	}
	set, err := source.LoadFolders(dirs)
	if err != nil {
		return Report{}, err
	}
	if err := CheckMeaning(set, all).Err(); err != nil {
		return Report{}, err
	}
	all = slices.DeleteFunc(all, func(c Case) bool { return !o.NamePattern.MatchString(c.Name) })
	if len(all) == 0 {
		return Report{}, ErrNoCases
	}
	report := runCases(set, all)
	if o.MeasureCoverage {
		report.measureCoverage(set, o.MinCoverage)
	}
	return report, nil
}

// runCases decides each case.
func runCases(set *policy.Set, all []Case) Report {
	report := Report{Cases: make([]Result, len(all))}
	for i, c := range all {
		report.Cases[i] = c.runAgainst(set)
		if !report.Cases[i].Passed {
			report.Failed++
		}
	}
	return report
}

// authenticate is what the verifier says of the case's token.
func (c *Case) authenticate() (*identity.Claims, decision.Reason) { return c.Claims, c.Token }

func (c *Case) decideBy(set *policy.Set) decision.Decision {
	return set.Decide(c.Request, c.authenticate)
}

func (c Case) runAgainst(set *policy.Set) Result {
	d := c.decideBy(set)
	r := Result{File: c.File, Line: c.Line, Name: c.Name, Differences: c.Expect.compareWith(d), decision: d}
	if r.Passed = len(r.Differences) == 0; !r.Passed {
		r.Near = explainRules(set, set.Explain(c.Request, c.authenticate))
	}
	return r
}

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

// rulePaths are the names that a case may give the rule that decided: the folder may
// stand before the document, and may always be left out, so that no case depends on
// how another folder names its documents.
func rulePaths(d decision.Decision) []string {
	short, long := d, d
	short.Shared, long.Shared = false, true
	return []string{short.RuleName(), long.RuleName()}
}

// matchesShadows reports whether the answers that were not given are those of the case.
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

// explainRules tells of each rule the first condition that keeps it from matching.
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
