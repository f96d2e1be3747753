// Package syslint is `meshpass lint`: it checks the configuration of Tyk, Istio and Meshpass against each other. It prints for people, for
// programs, for GitHub and for code scanning.
package syslint

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/crossrules"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/istiorules"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/tykrules"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/workloadrules"
)

// Rules are all kinds of findings, in the order of docs/lint.md.
func Rules() []*finding.Rule {
	return slices.Concat(istiorules.Rules(), workloadrules.Rules(), tykrules.Rules(), crossrules.Rules())
}

// Finding is one fault, as it is printed.
type Finding struct {
	Code     string           `json:"code"`
	Severity finding.Severity `json:"severity"`
	Proof    finding.Proof    `json:"proof"`
	objects.Place
	Message string `json:"message"`
	Breaks  string `json:"breaks"`
	Fix     string `json:"fix"`
	Docs    string `json:"docs"`

	key string
}

// Report is the result of a check.
type Report struct {
	Objects   int                 `json:"objects"`  // Kubernetes objects that were checked
	Files     int                 `json:"files"`    // definitions, configurations and documents, also in ConfigMaps
	Ignored   map[string]int      `json:"ignored"`  // objects that no check reads, by kind
	Notes     []string            `json:"notes"`    // parts that the input does not have
	Accepted  int                 `json:"accepted"` // findings that the baseline accepts
	Outdated  []string            `json:"outdated"` // entries of the baseline without a finding
	Findings  []Finding           `json:"findings"`
	Unchecked []objects.Unchecked `json:"unchecked"`
}

// docsPage is the page that describes the codes.
const docsPage = "lint.md"

// Run checks what was read.
func Run(set *objects.Set) Report {
	m := model.New(set)
	var found finding.Report
	istiorules.Check(m, &found)
	workloadrules.Check(m, &found)
	tykrules.Check(m, &found)
	crossrules.Check(m, &found)
	found.Sort()
	report := Report{
		Objects: len(set.Objects), Files: len(set.Contents), Ignored: set.Ignored, Notes: append([]string{}, set.Notes...), Outdated: []string{},
		Findings: []Finding{}, Unchecked: set.SortedUnchecked(),
	}
	for _, f := range found.Findings {
		proof, _ := ProofOf(f.Rule.Code)
		report.Findings = append(report.Findings, Finding{
			Code: f.Rule.Code, Severity: f.Rule.Severity, Proof: proof, Place: f.Place, Message: f.Message, Breaks: f.Rule.Breaks, Fix: f.Rule.Fix,
			Docs: "docs/" + docsPage + "#" + f.Rule.Code, key: f.Key(),
		})
	}
	return report
}

// IsComplete reports whether everything could be checked.
func (r Report) IsComplete() bool { return len(r.Unchecked) == 0 }

// Passes reports whether there is no finding.
func (r Report) Passes() bool { return len(r.Findings) == 0 }

// describe is the text of a finding in one line.
func (f Finding) describe() string {
	return strings.TrimSuffix(f.Message, ".") + ". " + f.Breaks + " Fix: " + f.Fix
}
