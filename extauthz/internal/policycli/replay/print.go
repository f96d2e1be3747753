package replay

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Print writes it for people: by rule, then by caller.
func (r Report) Print(to io.Writer) error {
	var b strings.Builder
	rule := ""
	for _, c := range r.Changes {
		if c.rule() != rule {
			rule = c.rule()
			fmt.Fprintln(&b, rule)
		}
		c.print(&b)
	}
	if len(r.Doubts) > 0 {
		fmt.Fprintln(&b, "undecidable")
	}
	for _, u := range r.Doubts {
		fmt.Fprintf(&b, "  %d  %s\n", u.Count, u.Why)
		examples(&b, u.Examples, u.Count)
	}
	fmt.Fprintf(&b, "replayed %d, changed %d, undecidable %d", r.Replayed, r.Changed, r.Undecidable)
	if r.OtherRule > 0 {
		fmt.Fprintf(&b, "; the same answer by another rule %d", r.OtherRule)
	}
	if r.NotByPolicy > 0 {
		fmt.Fprintf(&b, "; not decided by documents %d", r.NotByPolicy)
	}
	if r.OtherLines > 0 {
		fmt.Fprintf(&b, "; other lines %d", r.OtherLines)
	}
	if r.Missing > 0 {
		fmt.Fprintf(&b, "; not recorded %d", r.Missing)
	}
	_, err := fmt.Fprintln(to, b.String())
	return err
}

func (c Change) print(b *strings.Builder) {
	caller := c.Caller
	if caller == "" {
		caller = "(no name)"
	}
	fmt.Fprintf(b, "  %s → %s\n    %d  - %s\n    %*s  + %s\n", caller, c.Callee, c.Count, c.Was, len(fmt.Sprint(c.Count)), "", c.Now)
	examples(b, c.Examples, c.Count)
}

func examples(b *strings.Builder, all []Example, count int) {
	for _, e := range all {
		sub := e.Sub
		if sub == "" {
			sub = "nobody"
		}
		fmt.Fprintf(b, "         %s  %s %s  %s  txn %s\n", e.Time.UTC().Format(time.RFC3339), e.Method, e.Path, sub, orNone(e.Txn))
	}
	if more := count - len(all); more > 0 {
		fmt.Fprintf(b, "         … and %d more\n", more)
	}
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
