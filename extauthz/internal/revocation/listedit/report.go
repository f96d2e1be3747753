package listedit

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/meshpass/meshpass/shared/revocation"
)

// Report is what a change did, and who made it when.
type Report struct {
	Action  string            `json:"did"` // revoked, removed, made
	Changed bool              `json:"changed"`
	Entry   *revocation.Entry `json:"entry,omitempty"`
	Place   string            `json:"list"`
	Entries int               `json:"entries"`
	Serial  uint64            `json:"serial"`
	At      time.Time         `json:"at"`
	By      string            `json:"by"`
}

// Print writes it for people.
func (r Report) Print(to io.Writer) error {
	did := r.Action
	if !r.Changed {
		did = "already " + did
	}
	text := fmt.Sprintf("%s by %s at %s", did, r.By, formatTime(r.At))
	if e := r.Entry; e != nil {
		text = fmt.Sprintf("%s %s %s of %s by %s at %s", did, e.Kind, e.Value, e.Issuer, r.By, formatTime(r.At)) + r.describeEffect()
	}
	_, err := fmt.Fprintf(to, "%s\n%s: serial %d, %d entries\n", text, r.Place, r.Serial, r.Entries)
	return err
}

// describeEffect is what happens next, and when.
func (r Report) describeEffect() string {
	e := r.Entry
	switch {
	case r.Action == "removed":
		return "\nits tokens that have not ended hold again within 2 s of the list's arrival"
	case e.NotBefore.IsZero():
		return fmt.Sprintf("\nits tokens are refused until %s", formatTime(e.Expires))
	default:
		return fmt.Sprintf("\nno token issued until %s holds, and none is signed before; the entry ends at %s", formatTime(e.NotBefore), formatTime(e.Expires))
	}
}

// Listing is a list as it stands.
type Listing struct {
	Place   string             `json:"list"`
	Serial  uint64             `json:"serial"`
	Entries []revocation.Entry `json:"entries"`
}

// Print writes it for people.
func (l Listing) Print(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KIND\tVALUE\tISSUER\tNOT BEFORE\tEXPIRES\tBY\tREASON")
	for _, e := range l.Entries {
		notBefore := "-"
		if !e.NotBefore.IsZero() {
			notBefore = formatTime(e.NotBefore)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Kind, e.Value, e.Issuer, notBefore, formatTime(e.Expires), e.By, e.Reason)
	}
	return table.Flush()
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
