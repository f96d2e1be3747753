// Package lint is `meshpass policy lint`: it reports errors in documents and in the cases
// beside them, and warns of likely mistakes. It prints for people, for programs, for GitHub
// and for code scanning.
package lint

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/cases"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	policylint "github.com/meshpass/meshpass/shared/policy/lint"
)

// Severity is the weight of a finding.
type Severity string

// The severities. A document or a file of cases with an Error cannot be used; one with a
// Warning can.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// UnguardedWorkload is the code of a workload that no enforced document targets.
const UnguardedWorkload policylint.Code = "unguarded_workload"

// Finding is one error or warning.
type Finding struct {
	Severity Severity        `json:"severity"`
	File     string          `json:"file"`
	Line     int             `json:"line,omitempty"` // from 1
	Column   int             `json:"column,omitempty"`
	Code     policylint.Code `json:"code,omitempty"` // of a warning
	Policy   string          `json:"policy,omitempty"`
	Folder   string          `json:"folder,omitempty"` // of Policy
	Rule     string          `json:"rule,omitempty"`
	Message  string          `json:"message"`
}

// Report is all findings, errors first.
type Report struct {
	Documents int       `json:"documents"` // usable ones
	Errors    int       `json:"errors"`
	Warnings  int       `json:"warnings"`
	Findings  []Finding `json:"findings"`

	// Targets are those of the usable documents.
	Targets []policy.TargetInfo `json:"targets"`
}

// Workloads is a file of workloads that should be guarded: one name on a line, and
// comments after #.
type Workloads struct {
	Name string // of the file, for messages
	Data io.Reader
}

// Run checks all folders of a source, and whether documents target the workloads of a
// file if there is one.
func Run(source policycli.DocumentSource, workloads *Workloads) (Report, error) {
	report := Report{Findings: []Finding{}, Targets: []policy.TargetInfo{}}
	dirs, err := source.OpenFolders()
	if err != nil {
		return report, err
	}
	documents := policycli.FoldersWithDocuments(dirs)
	problems, warnings := policylint.Run(source.Loader(), documents...)
	set := source.Loader().LoadEach(nil, documents...).Set
	var tests []cases.Case
	documentsUsable := len(problems) == 0
	for _, dir := range dirs {
		found, wrong := cases.ReadFolder(dir, source.Domains)
		tests, problems = append(tests, found...), append(problems, wrong...)
	}
	if documentsUsable { // the rules of a rejected document are unknown
		problems = append(problems, cases.CheckMeaning(set, tests)...)
	}
	report.Documents, report.Targets = set.Len(), set.DescribeTargets()
	report.addProblems(problems)
	for _, w := range warnings {
		report.addWarning(w)
	}
	if workloads != nil {
		err = report.findUnguarded(set, source.Domains, *workloads)
	}
	slices.SortStableFunc(report.Findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(string(a.Severity), string(b.Severity)), strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return report, err
}

func (r *Report) addProblems(problems strictyaml.Problems) {
	for _, p := range problems {
		found := Finding{Severity: Error, File: p.File, Line: p.Line, Column: p.Column, Message: p.Message}
		if slices.Contains(r.Findings, found) { // both readers report a file that they cannot read
			continue
		}
		r.Errors++
		r.Findings = append(r.Findings, found)
	}
}

func (r *Report) addWarning(w policylint.Warning) {
	r.Warnings++
	r.Findings = append(r.Findings, Finding{
		Severity: Warning, File: w.File, Line: w.Line, Column: w.Column, Code: w.Code, Policy: w.Policy, Folder: w.Folder, Rule: w.Rule, Message: w.Message,
	})
}

// findUnguarded warns of workloads that no enforced document targets.
func (r *Report) findUnguarded(set *policy.Set, domains identity.TrustDomains, workloads Workloads) error {
	lines := bufio.NewScanner(workloads.Data)
	for n := 1; lines.Scan(); n++ {
		name, _, _ := strings.Cut(lines.Text(), "#")
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		problem := strictyaml.Problem{File: workloads.Name, Position: strictyaml.Position{Line: n, Column: 1 + strings.Index(lines.Text(), name)}}
		pattern, err := domains.ParseTarget(name)
		switch {
		case err != nil:
			problem.Message = err.Error()
			r.addProblems(strictyaml.Problems{problem})
		case pattern.Literal() == "":
			problem.Message = fmt.Sprintf("%s: want one workload on a line, without *", name)
			r.addProblems(strictyaml.Problems{problem})
		case !isGuarded(set, pattern.Literal()):
			problem.Message = fmt.Sprintf("no enforced document targets %s, so `unguarded` of the configuration decides: deny by default", name)
			r.addWarning(policylint.Warning{Problem: problem, Code: UnguardedWorkload})
		}
	}
	return lines.Err()
}

func isGuarded(set *policy.Set, w identity.Workload) bool {
	trace := set.Explain(policy.Request{Callee: w}, withoutToken)
	return slices.ContainsFunc(trace.Documents, func(d policy.DocumentTrace) bool { return d.Mode == policy.Enforce })
}

func withoutToken() (*identity.Claims, decision.Reason) { return nil, decision.TokenMissing }
