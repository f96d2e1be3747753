package printer

import (
	"fmt"
	"strings"
)

// Annotation is a message that GitHub shows at a place of a file.
type Annotation struct {
	Level string // error, warning or notice
	Title string // empty: no title
	Problem
}

// WorkflowCommand is a line that GitHub reads from the output of a workflow: docs.github.com, "Workflow
// commands for GitHub Actions".
func WorkflowCommand(a Annotation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "::%s", a.Level)
	separator := " "
	add := func(name, value string) {
		fmt.Fprintf(&b, "%s%s=%s", separator, name, escapeProperty.Replace(value))
		separator = ","
	}
	add("file", a.File)
	if a.Line > 0 {
		add("line", fmt.Sprint(a.Line))
		add("col", fmt.Sprint(max(a.Column, 1)))
	}
	if a.Title != "" {
		add("title", a.Title)
	}
	fmt.Fprintf(&b, "::%s\n", escapeData.Replace(a.Message))
	return b.String()
}

// The escapes of workflow commands: a message or a property must not end its value, nor
// begin another command.
var (
	escapeData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	escapeProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
