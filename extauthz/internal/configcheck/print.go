package configcheck

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

// Print writes the report for people: one finding on a line, then the answer for each file.
func (r Report) Print(to io.Writer) error {
	var b strings.Builder
	for _, file := range r.Files {
		for _, f := range file.Findings {
			fmt.Fprintf(&b, "%s %s: %s\n", printer.FormatPlace(f.File, f.Line, f.Column), strings.ReplaceAll(string(f.Severity), "_", " "), f.Message)
		}
		answer, kind := "rejected", ""
		if file.Accepted {
			answer = "accepted"
		}
		if file.Kind != "" {
			kind = " of the " + string(file.Kind)
		}
		fmt.Fprintf(&b, "%s: configuration%s %s, errors: %d, warnings: %d\n", file.File, kind, answer, file.Errors, file.Warnings)
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// PrintGitHub writes workflow commands, which GitHub shows at the lines of a pull request.
func (r Report) PrintGitHub(to io.Writer) error {
	var b strings.Builder
	for _, file := range r.Files {
		for _, f := range file.Findings {
			a := printer.Annotation{Level: string(f.Severity), Problem: printer.Problem{File: f.File, Line: f.Line, Column: f.Column, Message: f.Message}}
			if f.Severity == NotChecked {
				a.Level, a.Message = "notice", "not checked: "+a.Message
			}
			b.WriteString(printer.WorkflowCommand(a))
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}
