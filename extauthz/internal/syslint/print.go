package syslint

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
)

// Print writes the report for people.
func (r Report) Print(to io.Writer) error {
	var b strings.Builder
	for _, f := range r.Findings {
		printer.Fprintf(&b, "%s: %s: %s [%s]\n  breaks: %s\n  fix: %s\n  %s, %s\n", f.Place, f.Severity, f.Message, f.Code, f.Breaks, f.Fix, f.Docs, f.Proof)
	}
	for _, u := range r.Unchecked {
		printer.Fprintf(&b, "%s: not checked: %s\n", u.Place, u.Reason)
	}
	for _, text := range r.Outdated {
		printer.Fprintf(&b, "the baseline accepts a finding that is not there: %s\n", text)
	}
	for _, text := range r.Notes {
		printer.Fprintf(&b, "note: %s\n", text)
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Ignored)) {
		printer.Fprintf(&b, "note: no check reads %s: %d\n", kind, r.Ignored[kind])
	}
	printer.Fprintf(&b, "objects: %d, files: %d, findings: %d, accepted: %d, not checked: %d\n", r.Objects, r.Files, len(r.Findings), r.Accepted, len(r.Unchecked))
	_, err := io.WriteString(to, b.String())
	return err
}

// PrintGitHub writes workflow commands, which GitHub shows at the lines of a pull request.
func (r Report) PrintGitHub(to io.Writer) error {
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(printer.WorkflowCommand(printer.Annotation{Level: string(f.Severity), Title: f.Code, Problem: printer.Problem{
			File: f.Source, Line: f.Line, Column: f.Column, Message: f.placeInside() + f.describe(),
		}}))
	}
	for _, u := range r.Unchecked {
		b.WriteString(printer.WorkflowCommand(printer.Annotation{Level: string(finding.Error), Title: uncheckedCode, Problem: printer.Problem{
			File: u.Source, Line: u.Line, Column: u.Column, Message: "not checked: " + u.Reason,
		}}))
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// uncheckedCode is the code of what could not be checked.
const uncheckedCode = "not_checked"

// placeInside is the part of a place that no line shows: the object and the file in it.
func (f Finding) placeInside() string {
	p := f.Place
	p.Source, p.Line = "", 0
	if text := strings.TrimPrefix(p.String(), ": "); text != "" {
		return text + ": "
	}
	return ""
}

// PrintSARIF writes a SARIF 2.1.0 log, for code scanning.
func (r Report) PrintSARIF(to io.Writer) error {
	rules := []printer.SARIFRule{{ID: uncheckedCode, Description: "A part of the input that could not be checked.", Page: docsPage + "#what-is-not-checked", Level: string(finding.Error)}}
	for _, rule := range Rules() {
		rules = append(rules, printer.SARIFRule{ID: rule.Code, Description: rule.Summary, Page: docsPage + "#" + rule.Code, Level: string(rule.Severity)})
	}
	var results []printer.SARIFResult
	for _, f := range r.Findings {
		sum := sha256.Sum256([]byte(f.key))
		results = append(results, printer.SARIFResult{
			RuleID: f.Code, Level: string(f.Severity), Fingerprint: hex.EncodeToString(sum[:16]),
			Problem: printer.Problem{File: f.Source, Line: f.Line, Column: f.Column, Message: f.placeInside() + f.describe()},
		})
	}
	for _, u := range r.Unchecked {
		results = append(results, printer.SARIFResult{RuleID: uncheckedCode, Level: string(finding.Error), Problem: printer.Problem{File: u.Source, Line: u.Line, Column: u.Column, Message: u.Reason}})
	}
	return printer.SARIF(to, "meshpass lint", docsPage, rules, results)
}
