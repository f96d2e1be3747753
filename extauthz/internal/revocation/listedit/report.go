package listedit

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/shared/revocation"
)

// Report describes a change, its author and its time.
type Report struct {
	Action  string            `json:"did"` // revoked, removed or made
	Changed bool              `json:"changed"`
	Entry   *revocation.Entry `json:"entry,omitempty"`
	Place   string            `json:"list"`
	Entries int               `json:"entries"`
	Serial  uint64            `json:"serial"`
	At      time.Time         `json:"at"`
	By      string            `json:"by"`
}

// Print writes the report as text.
func (r Report) Print(to io.Writer) error {
	action := r.Action
	if !r.Changed {
		action = "already " + action
	}
	text := fmt.Sprintf("%s by %s at %s", action, r.By, printer.FormatTime(r.At))
	if e := r.Entry; e != nil {
		text = fmt.Sprintf("%s %s %s of %s by %s at %s", action, e.Kind, e.Value, e.Issuer, r.By, printer.FormatTime(r.At)) + r.describeEffect()
	}
	_, err := fmt.Fprintf(to, "%s\n%s: serial %d, %d entries\n", text, r.Place, r.Serial, r.Entries)
	return err
}

// describeEffect describes the consequence of the change, and its time.
func (r Report) describeEffect() string {
	e := r.Entry
	switch {
	case r.Action == "removed":
		return "\nits tokens that have not expired are accepted again, at most 2 s after the list has arrived"
	case e.NotBefore.IsZero():
		return fmt.Sprintf("\nits tokens are rejected until %s", printer.FormatTime(e.Expires))
	default:
		return fmt.Sprintf("\ntokens issued until %s are rejected, and no new ones are signed before that; the entry expires at %s", printer.FormatTime(e.NotBefore), printer.FormatTime(e.Expires))
	}
}

// Listing is the content of a list.
type Listing struct {
	Place   string             `json:"list"`
	Serial  uint64             `json:"serial"`
	Entries []revocation.Entry `json:"entries"`
}

// Print writes the list as a table.
func (l Listing) Print(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KIND\tVALUE\tISSUER\tNOT BEFORE\tEXPIRES\tBY\tREASON")
	for _, e := range l.Entries {
		notBefore := "-"
		if !e.NotBefore.IsZero() {
			notBefore = printer.FormatTime(e.NotBefore)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Kind, e.Value, e.Issuer, notBefore, printer.FormatTime(e.Expires), e.By, e.Reason)
	}
	return table.Flush()
}
