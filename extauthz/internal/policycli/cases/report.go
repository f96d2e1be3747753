package cases

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
)

// Report is the results of all cases.
type Report struct {
	Cases    []Result  `json:"cases"`
	Failed   int       `json:"failed"`
	Coverage *Coverage `json:"coverage,omitempty"` // nil: only some of the cases were run
	Verbose  bool      `json:"-"`
}

// Result is the result of one case.
type Result struct {
	File        string       `json:"file"`
	Line        int          `json:"line"`
	Name        string       `json:"name"`
	Passed      bool         `json:"passed"`
	Differences []Difference `json:"differences,omitempty"`
	Near        []string     `json:"near,omitempty"` // of a failed case: each rule, and the condition that keeps it from matching

	decision decision.Decision
}

// Passed reports whether all cases passed and the wanted coverage is reached.
func (r Report) Passed() bool { return r.Failed == 0 && (r.Coverage == nil || r.Coverage.IsEnough()) }

// Print writes the report for people: the failed cases with the answers that they got,
// then the totals.
func (r Report) Print(to io.Writer) error {
	var b strings.Builder
	for _, c := range r.Cases {
		switch {
		case !c.Passed:
			c.printTo(&b)
		case r.Verbose:
			fmt.Fprintf(&b, "pass  %s:%d: %s\n", c.File, c.Line, c.Name)
		}
	}
	fmt.Fprintf(&b, "%d passed, %d failed\n", len(r.Cases)-r.Failed, r.Failed)
	if r.Coverage != nil {
		fmt.Fprintln(&b, r.Coverage)
		r.Coverage.printNever(&b)
	}
	_, err := io.WriteString(to, b.String())
	return err
}

func (r Result) printTo(b *strings.Builder) {
	fmt.Fprintf(b, "FAIL  %s:%d: %s\n", r.File, r.Line, r.Name)
	for _, d := range r.Differences {
		fmt.Fprintf(b, "    %-8s  - %s\n    %-8s  + %s\n", d.Field, d.Want, "", orNone(d.Got))
	}
	for _, rule := range r.Near {
		fmt.Fprintf(b, "      %s\n", rule)
	}
}

func orNone(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}
