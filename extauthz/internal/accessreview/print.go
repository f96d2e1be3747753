package accessreview

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

// Print writes the text for people.
func (r Report) Print(to io.Writer) error {
	printer.Fprintf(to, "access review, %s to %s\n", printer.FormatTime(r.Since), printer.FormatTime(r.Until))
	printer.Fprintf(to, "%d decisions; documents of generation %s\n", r.Records, r.Generation)
	if r.OtherTimes > 0 {
		fmt.Fprintf(to, "decisions before or after that time: %d\n", r.OtherTimes)
	}
	if r.OtherLines > 0 {
		fmt.Fprintf(to, "lines that are no records, or parts of records: %d\n", r.OtherLines)
	}
	for _, cause := range slices.Sorted(maps.Keys(r.Missing)) {
		printer.Fprintf(to, "not recorded: %d, %s\n", r.Missing[cause], cause)
	}
	if r.OtherRules > 0 {
		fmt.Fprintf(to, "decided by rules that these documents do not have: %d; rules of a folder are found by its name, see NAME=SOURCE\n", r.OtherRules)
	}
	fmt.Fprintln(to, "\nwho could: rules of the active documents")
	for _, c := range r.Could {
		used := "not used"
		if c.Used > 0 {
			used = fmt.Sprintf("used %d times, last %s", c.Used, printer.FormatTime(*c.Last))
		}
		printer.Fprintf(to, "  %s/%s (%s, %s:%d): %s\n    %s\n    %s\n", c.Policy, c.Rule, describeEffect(c), c.File, c.Line, used, c.Targets, c.Text)
	}
	printUses(to, "who did", r.Did)
	printUses(to, "allowed only by an override", r.Overridden)
	fmt.Fprintln(to, "\noverrides that are active now")
	for _, o := range r.Overrides {
		printer.Fprintf(to, "  %s until %s, by %s: %s\n", o.Target, printer.FormatTime(o.Until), o.By, o.Reason)
	}
	fmt.Fprintln(to, "\ndenied")
	for _, d := range r.Denied {
		printer.Fprintf(to, "  %d times %s %s %s\n", d.Count, d.Callee, d.Reason, d.Rule)
	}
	if r.NotListed > 0 {
		fmt.Fprintf(to, "\n%d decisions are not in these lists, because the lists have an end\n", r.NotListed)
	}
	fmt.Fprintln(to, "\nchanges of policies: generations that decided")
	for _, g := range r.Generations {
		given := ""
		if g.IsGiven {
			given = ", the documents of this report"
		}
		printer.Fprintf(to, "  %s from %s to %s, %d decisions%s\n", g.Generation, printer.FormatTime(g.First), printer.FormatTime(g.Last), g.Count, given)
	}
	return nil
}

func describeEffect(c Right) string {
	if c.Mode == "shadow" {
		return c.Effect + ", shadow"
	}
	return c.Effect
}

func printUses(to io.Writer, title string, uses []Use) {
	printer.Fprintf(to, "\n%s\n", title)
	for _, u := range uses {
		printer.Fprintf(to, "  %s at %s from %s, %s %s: %d times, %s to %s\n", cmp.Or(u.Subject, "(no token)"), u.Callee, cmp.Or(u.Caller, "-"), u.Reason, joinNames(u.Policy, u.Rule),
			u.Count, printer.FormatTime(u.First), printer.FormatTime(u.Last))
	}
}
