package cases

import (
	"fmt"
	"io"
	"strings"
)

// Passed reports whether all is as it should be.
func (r Report) Passed() bool { return r.Failed == 0 && (r.Coverage == nil || r.Coverage.IsEnough()) }

// Print writes it for people: what failed, and as which answer it came out.
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

// printNever lists the rules that decided no case.
func (c Coverage) printNever(b *strings.Builder) {
	for _, rule := range c.Never {
		fmt.Fprintf(b, "  never: %s/%s  %s:%d\n", rule.Policy, rule.Rule, rule.File, rule.Line) // the file shows the folder
	}
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
