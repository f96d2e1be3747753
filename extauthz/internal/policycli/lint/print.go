package lint

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

// Passes reports whether there is no error, and if strict no warning either.
func (r Report) Passes(strict bool) bool { return r.Errors == 0 && (!strict || r.Warnings == 0) }

// Print writes the report for people, one finding on a line.
func (r Report) Print(to io.Writer) error {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s: %s", printer.FormatPlace(f.File, f.Line, f.Column), f.Severity, f.Message)
		if f.Code != "" {
			fmt.Fprintf(&b, " [%s]", f.Code)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "documents: %d, errors: %d, warnings: %d\n", r.Documents, r.Errors, r.Warnings)
	_, err := io.WriteString(to, b.String())
	return err
}

// PrintVerbose is [Report.Print], with the documents of each target before the findings.
func (r Report) PrintVerbose(to io.Writer) error {
	var b strings.Builder
	for _, t := range r.Targets {
		var documents []string
		for _, d := range t.Documents {
			documents = append(documents, fmt.Sprintf("%s (%s)", d.File, d.Mode))
		}
		fmt.Fprintf(&b, "%s: %s\n", t.Target, strings.Join(documents, ", "))
	}
	if _, err := io.WriteString(to, b.String()); err != nil {
		return err
	}
	return r.Print(to)
}

// PrintGitHub writes workflow commands, which GitHub shows at the lines of a pull
// request: docs.github.com, "Workflow commands for GitHub Actions".
func (r Report) PrintGitHub(to io.Writer) error {
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(printer.WorkflowCommand(printer.Annotation{
			Level: string(f.Severity), Title: string(f.Code), Problem: printer.Problem{File: f.File, Line: f.Line, Column: f.Column, Message: f.Message},
		}))
	}
	_, err := io.WriteString(to, b.String())
	return err
}
