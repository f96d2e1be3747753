// Package lint is `meshpass policy lint`: what is wrong with documents and their
// cases, and what may not be meant, for people, for programs and for GitHub.
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
)

// Severity tells what stops the authorizer from what may stop a request.
type Severity string

// An error is a document, or a file of cases, that cannot be used.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// UnguardedWorkload is the code of a workload that no enforced document targets.
const UnguardedWorkload policy.Code = "unguarded_workload"

// Finding is one thing to look at.
type Finding struct {
	Severity Severity    `json:"severity"`
	File     string      `json:"file"`
	Line     int         `json:"line,omitempty"` // from 1
	Column   int         `json:"column,omitempty"`
	Code     policy.Code `json:"code,omitempty"` // of a warning
	Policy   string      `json:"policy,omitempty"`
	Folder   string      `json:"folder,omitempty"` // of Policy
	Rule     string      `json:"rule,omitempty"`
	Message  string      `json:"message"`
}

// Report is all that was found, errors first.
type Report struct {
	Documents int       `json:"documents"` // that can be used
	Errors    int       `json:"errors"`
	Warnings  int       `json:"warnings"`
	Findings  []Finding `json:"findings"`
}

// Workloads are those that should be guarded: one name a line, and # for notes.
type Workloads struct {
	Name string // of the file
	Data io.Reader
}

// Run looks at all folders; members may be nil.
func Run(source policycli.DocumentSource, members *Workloads) (Report, error) {
	report := Report{Findings: []Finding{}}
	dirs, err := source.OpenFolders()
	if err != nil {
		return report, err
	}
	documents := policycli.FoldersWithDocuments(dirs)
	problems, warnings := source.Loader().Lint(documents...)
	set := source.Loader().LoadEach(nil, documents...).Set
	var tests []cases.Case
	documentsUsable := len(problems) == 0
	for _, dir := range dirs {
		found, wrong := cases.ReadFolder(dir, source.Domains)
		tests, problems = append(tests, found...), append(problems, wrong...)
	}
	if documentsUsable { // a rejected document would make its rules unknown
		problems = append(problems, cases.CheckMeaning(set, tests)...)
	}
	report.Documents = set.Len()
	report.addProblems(problems)
	for _, w := range warnings {
		report.addWarning(w)
	}
	if members != nil {
		err = report.findUnguarded(set, source.Domains, *members)
	}
	slices.SortStableFunc(report.Findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(string(a.Severity), string(b.Severity)), strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return report, err
}

func (r *Report) addProblems(problems strictyaml.Problems) {
	for _, p := range problems {
		found := Finding{Severity: Error, File: p.File, Line: p.Line, Column: p.Column, Message: p.Message}
		if slices.Contains(r.Findings, found) { // a file that cannot be read is none for documents and for cases
			continue
		}
		r.Errors++
		r.Findings = append(r.Findings, found)
	}
}

func (r *Report) addWarning(w policy.Warning) {
	r.Warnings++
	r.Findings = append(r.Findings, Finding{
		Severity: Warning, File: w.File, Line: w.Line, Column: w.Column, Code: w.Code, Policy: w.Policy, Folder: w.Folder, Rule: w.Rule, Message: w.Message,
	})
}

// findUnguarded finds workloads that no enforced document targets.
func (r *Report) findUnguarded(set *policy.Set, domains identity.TrustDomains, members Workloads) error {
	lines := bufio.NewScanner(members.Data)
	for n := 1; lines.Scan(); n++ {
		name, _, _ := strings.Cut(lines.Text(), "#")
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		at := strictyaml.Problem{File: members.Name, Position: strictyaml.Position{Line: n, Column: 1 + strings.Index(lines.Text(), name)}}
		pattern, err := domains.ParseTarget(name)
		switch {
		case err != nil:
			at.Message = err.Error()
			r.addProblems(strictyaml.Problems{at})
		case pattern.Literal() == "":
			at.Message = fmt.Sprintf("%s: want one workload a line, without *", name)
			r.addProblems(strictyaml.Problems{at})
		case !isGuarded(set, pattern.Literal()):
			at.Message = fmt.Sprintf("no enforced document targets %s: `unguarded` of the configuration decides for it, deny unless it says otherwise", name)
			r.addWarning(policy.Warning{Problem: at, Code: UnguardedWorkload})
		}
	}
	return lines.Err()
}

func isGuarded(set *policy.Set, w identity.Workload) bool {
	return slices.ContainsFunc(set.Explain(policy.Request{Callee: w}, withoutToken).Documents, func(d policy.DocumentTrace) bool { return d.Mode == policy.Enforce })
}

func withoutToken() (*identity.Claims, decision.Reason) { return nil, decision.TokenMissing }
