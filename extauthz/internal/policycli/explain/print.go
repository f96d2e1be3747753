package explain

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/shared/policy"
)

// Print writes the report for people.
func (r Report) Print(to io.Writer) error {
	var b strings.Builder
	for i, e := range r.Explanations {
		if i > 0 {
			b.WriteByte('\n')
		}
		e.printTo(&b)
	}
	_, err := io.WriteString(to, b.String())
	return err
}

func (e Explanation) printTo(b *strings.Builder) {
	fmt.Fprintf(b, "%s: %s\n", e.Answer[0], e.Why)
	for _, shadow := range e.Answer[1:] {
		fmt.Fprintf(b, "  in shadow: %s\n", shadow)
	}
	fmt.Fprintf(b, "\nrequest  %s %s of %s, by %s, at %s\n", e.Request.Method, e.Request.Path,
		cmp.Or(e.Request.Callee, "an unknown callee"), cmp.Or(e.Request.Caller, "an unknown caller"), e.Request.Now.UTC().Format(time.RFC3339))
	fmt.Fprintf(b, "token    %s\n", strings.TrimPrefix(e.Subject+", "+e.ClaimsSource, ", "))
	for _, note := range e.Notes {
		fmt.Fprintf(b, "note     %s\n", note)
	}
	for _, d := range e.Documents {
		fmt.Fprintf(b, "\n%s  %s  targets %s\n", e.documentName(d), d.File, strings.Join(d.Targets, ", "))
		fmt.Fprintf(b, "  mode %s, identity %s, onOutage %s%s\n", d.Mode, d.Identity, d.OnOutage, guardrailNote(d))
		for _, r := range d.Rules {
			printRule(b, r)
		}
	}
}

// documentName returns the name of a document, with its folder if another document of
// the trace has the same name.
func (e Explanation) documentName(d policy.DocumentTrace) string {
	for _, other := range e.Documents {
		if other.Name == d.Name && other.Folder != d.Folder {
			return d.Folder + "/" + d.Name
		}
	}
	return d.Name
}

func guardrailNote(d policy.DocumentTrace) string {
	if d.Guardrail {
		return ", a guardrail"
	}
	return ""
}

func printRule(b *strings.Builder, r policy.RuleTrace) {
	mark := "   "
	if r.Decided {
		mark = "  >"
	}
	fmt.Fprintf(b, "%s %s %s: %s", mark, r.Effect, r.Rule, r.Verdict)
	if r.Mode == policy.Shadow {
		b.WriteString(", in shadow")
	}
	fmt.Fprintf(b, "  (line %d)\n", r.Line)
	for _, c := range r.Conditions {
		fmt.Fprintf(b, "      %-9s  %s  %s", c.Verdict, c.Field, policycli.FormatValue(c.Want))
		if got := policycli.FormatValue(c.Got); got != policycli.NoValue {
			fmt.Fprintf(b, "  has  %s", got)
		}
		if c.Why != "" {
			fmt.Fprintf(b, "  (%s)", c.Why)
		}
		b.WriteByte('\n')
	}
}
