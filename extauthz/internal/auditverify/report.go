package auditverify

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

// Report is the answer of `meshpass audit verify`.
type Report struct {
	Verified   bool              `json:"verified"` // no finding
	Signed     bool              `json:"signed"`   // signatures were checked
	Files      int               `json:"files"`
	Lines      uint64            `json:"lines"`   // of chains
	Records    map[string]uint64 `json:"records"` // of these, by kind
	Gaps       map[string]uint64 `json:"gaps"`    // records that are counted as missing by the trail itself, by cause
	Unchained  uint64            `json:"unchained,omitempty"`
	Torn       uint64            `json:"torn,omitempty"`
	OtherLines uint64            `json:"otherLines,omitempty"` // lines that are no records, such as those of a log
	Chains     []Chain           `json:"chains"`
	Count      int               `json:"count"` // of findings
	Findings   []Finding         `json:"findings"`
	Notes      []Note            `json:"notes,omitempty"`
}

// Chain is what the files have of one chain.
type Chain struct {
	ID              string     `json:"id"`
	Replica         string     `json:"replica,omitempty"`
	Follows         string     `json:"follows,omitempty"`
	From            *time.Time `json:"from,omitempty"`       // when the chain began, if its first line is here
	Checkpoint      *time.Time `json:"checkpoint,omitempty"` // of the last valid checkpoint
	CheckpointPlace string     `json:"checkpointPlace,omitempty"`
	First           uint64     `json:"first"` // seq of the first line
	Last            uint64     `json:"last"`
	LastPlace       string     `json:"lastPlace"`
	Lines           uint64     `json:"lines"`
	Covered         uint64     `json:"covered"`   // highest seq that a signature covers
	Uncovered       uint64     `json:"uncovered"` // lines after that, which could be changed without a trace
	Ended           bool       `json:"ended"`     // the writer has ended the chain; else later lines may have been cut off
	Head            string     `json:"head,omitempty"`
}

// Finding is a line that is not as it was written, or is missing.
type Finding struct {
	Kind    string `json:"kind"`           // edited, removed, reordered, repeated, added, unchained, unsigned, unknown_key or too_many_breaks
	File    string `json:"file,omitempty"` // empty: no place in the files
	Line    int    `json:"line,omitempty"`
	Chain   string `json:"chain,omitempty"`
	Seq     uint64 `json:"seq,omitempty"`     // of the line, or of the first one that is missing
	Count   uint64 `json:"count,omitempty"`   // of the lines that are missing or repeated
	Perhaps string `json:"perhaps,omitempty"` // FILE:LINE of another line that may be the changed one
	Message string `json:"message"`

	at mark
}

// Note is something that a reader must know and that is no finding.
type Note struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
}

func formatPlace(file string, line int) string {
	if file == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d: ", file, line)
}

// Print writes the text for people.
func (r Report) Print(to io.Writer) error {
	for _, f := range r.Findings {
		printer.Fprintf(to, "%s%s: %s\n", formatPlace(f.File, f.Line), f.Kind, f.Message)
	}
	if more := r.Count - len(r.Findings); more > 0 {
		fmt.Fprintf(to, "and %d more findings\n", more)
	}
	for _, n := range r.Notes {
		printer.Fprintf(to, "%snote: %s\n", formatPlace(n.File, n.Line), n.Message)
	}
	for _, c := range r.Chains {
		c.print(to)
	}
	printer.Fprintf(to, "records: %s\n", describeCounts(r.Records))
	if len(r.Gaps) > 0 {
		printer.Fprintf(to, "gaps: %s\n", describeCounts(r.Gaps))
	}
	if r.Unchained+r.OtherLines > 0 {
		fmt.Fprintf(to, "not checked: %d records in no chain, %d other lines\n", r.Unchained, r.OtherLines)
	}
	if !r.Signed {
		fmt.Fprintln(to, "signatures were not checked: a party that can write the files could have computed all hashes again")
	}
	_, err := printer.Fprintf(to, "%s: %d lines of %d chains in %d files, %d findings%s\n", verdict(r.Verified), r.Lines, len(r.Chains), r.Files, r.Count, r.describeUncovered())
	return err
}

func (c Chain) print(to io.Writer) {
	name := c.ID
	if c.Replica != "" {
		name += " of " + c.Replica
	}
	printer.Fprintf(to, "chain %s: seq %d to %d", name, c.First, c.Last)
	if c.Uncovered == 0 {
		fmt.Fprint(to, ", all covered by checkpoints")
	} else {
		after := ""
		if c.CheckpointPlace != "" {
			after = " at " + c.CheckpointPlace
		}
		printer.Fprintf(to, "; the last %d lines are after the last checkpoint%s, and a change there cannot be seen", c.Uncovered, after)
	}
	if c.Ended {
		fmt.Fprintln(to, "; ended by its writer")
		return
	}
	printer.Fprintf(to, "; not ended at %s: whether more lines followed is not known without --head\n", c.LastPlace)
}

func verdict(verified bool) string {
	if verified {
		return "verified"
	}
	return "NOT verified"
}

// describeUncovered makes the verdict true where it is read alone.
func (r Report) describeUncovered() string {
	lines := uint64(0)
	for _, c := range r.Chains {
		lines += c.Uncovered
	}
	if lines == 0 {
		return ""
	}
	return fmt.Sprintf("; %d of the lines are after the last checkpoint and could not be checked", lines)
}

func describeCounts(counts map[string]uint64) string {
	parts := []string{}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(parts, ", ")
}

// Heads are the last valid checkpoints of the chains, one a line: kept elsewhere, they show later whether lines were cut off.
func (r Report) Heads() []byte {
	var text strings.Builder
	for _, c := range r.Chains {
		if c.Head != "" {
			text.WriteString(c.Head + "\n")
		}
	}
	return []byte(text.String())
}
