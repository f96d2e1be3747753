package replay

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

// Report is the result of replaying all records.
type Report struct {
	Old         string        `json:"old"` // generations
	New         string        `json:"new"`
	Replayed    int           `json:"replayed"`    // decided by OLD and NEW
	Changed     int           `json:"changed"`     // of the replayed: with another decision or reason
	OtherRule   int           `json:"otherRule"`   // of the replayed: with the same answer by another rule
	Undecidable int           `json:"undecidable"` // not replayed
	NotByPolicy int           `json:"notByPolicy"` // answered before any document was asked
	OtherLines  int           `json:"otherLines"`  // no audit records
	Missing     uint64        `json:"missing"`     // decisions without a record, as counted by gaps in the records
	Changes     []Change      `json:"changes"`
	Doubts      []Undecidable `json:"undecidables"`
}

// Change is one change of decisions, for one caller and callee.
type Change struct {
	Was      Answer    `json:"was"`
	Now      Answer    `json:"now"`
	Caller   string    `json:"caller,omitempty"`
	Callee   string    `json:"callee"`
	Count    int       `json:"count"`
	Examples []Example `json:"examples"` // the first records
}

// Undecidable is one cause that makes decisions undecidable.
type Undecidable struct {
	Why      string    `json:"why"`
	Count    int       `json:"count"`
	Examples []Example `json:"examples"`
}

// Example identifies a record.
type Example struct {
	ID     string    `json:"id,omitempty"`
	Time   time.Time `json:"time"`
	Txn    string    `json:"txn,omitempty"`
	Sub    string    `json:"sub,omitempty"`
	Method string    `json:"method,omitempty"`
	Path   string    `json:"path,omitempty"`
}

// maxExamples is the number of records that a change or a cause lists.
const maxExamples = 3

// sortEntries puts the changes of one rule together, and the most frequent entries first.
func (r *Report) sortEntries() {
	slices.SortStableFunc(r.Changes, func(a, b Change) int {
		return cmp.Or(strings.Compare(a.decisiveRule(), b.decisiveRule()), -cmp.Compare(a.Count, b.Count), strings.Compare(a.Caller, b.Caller))
	})
	slices.SortStableFunc(r.Doubts, func(a, b Undecidable) int {
		return cmp.Or(-cmp.Compare(a.Count, b.Count), strings.Compare(a.Why, b.Why))
	})
}

// decisiveRule returns the rule that makes the difference: the new one that decides now,
// or the old one that no longer does.
func (c Change) decisiveRule() string {
	if c.Now.Rule != "" {
		return c.Now.ruleName()
	}
	if c.Was.Rule != "" {
		return c.Was.ruleName()
	}
	return c.Now.Reason
}

// Print writes the report for people: by rule, then by caller.
func (r Report) Print(to io.Writer) error {
	var b strings.Builder
	rule := ""
	for _, c := range r.Changes {
		if c.decisiveRule() != rule {
			rule = c.decisiveRule()
			fmt.Fprintln(&b, rule)
		}
		c.printTo(&b)
	}
	if len(r.Doubts) > 0 {
		fmt.Fprintln(&b, "undecidable")
	}
	for _, u := range r.Doubts {
		printer.Fprintf(&b, "  %d  %s\n", u.Count, u.Why)
		printExamples(&b, u.Examples, u.Count)
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

func (c Change) printTo(b *strings.Builder) {
	printer.Fprintf(b, "  %s → %s\n    %d  - %s\n    %*s  + %s\n", cmp.Or(c.Caller, "(no name)"), c.Callee, c.Count, c.Was, len(fmt.Sprint(c.Count)), "", c.Now)
	printExamples(b, c.Examples, c.Count)
}

func printExamples(b *strings.Builder, all []Example, count int) {
	for _, e := range all {
		printer.Fprintf(b, "         %s  %s %s  %s  txn %s\n", e.Time.UTC().Format(time.RFC3339), e.Method, e.Path, cmp.Or(e.Sub, "(no user)"), cmp.Or(e.Txn, "-"))
	}
	if more := count - len(all); more > 0 {
		fmt.Fprintf(b, "         … and %d more\n", more)
	}
}
