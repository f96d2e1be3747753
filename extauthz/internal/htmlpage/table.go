package htmlpage

// Verdict marks a text as good or bad by colour and by a sign, so that neither is needed alone.
type Verdict string

// The verdicts. Each is the name of a CSS class too.
const (
	Neutral Verdict = ""
	Good    Verdict = "good"
	Bad     Verdict = "bad"
	Warning Verdict = "warning"
)

// Sign is the character in front of a text with this verdict.
func (v Verdict) Sign() string {
	switch v {
	case Good:
		return "✓"
	case Bad:
		return "✗"
	case Warning:
		return "!"
	default:
		return ""
	}
}

// Table is drawn by {{template "table" .}}.
type Table struct {
	Caption string
	Columns []Column
	Rows    []Row
	Empty   string // text that replaces a table without rows; may be empty
}

// Column is the head of a column.
type Column struct {
	Name   string
	Number bool // aligned at the right
}

// Row is one line of a table. Its cells are those of the columns, in order.
type Row struct {
	ID      string // target of links; may be empty
	Cells   []Cell
	Details []Detail // shown when the first cell is clicked, or chosen with Tab and Enter; may be empty
}

// Cell is a text with an optional verdict and link.
type Cell struct {
	Text    string
	Verdict Verdict
	Link    string // such as #hop-1; may be empty
}

// Detail is a name and its value.
type Detail struct{ Name, Value string }
