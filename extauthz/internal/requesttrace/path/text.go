package path

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/search"
)

// Report is the answer of `meshpass trace`.
type Report struct {
	Requests []*Request  `json:"requests"` // the newest first
	More     bool        `json:"more"`     // older requests match too
	Read     search.Read `json:"read"`
}

// NewReport makes the ways of all requests that a search found.
func NewReport(result search.Result) Report {
	r := Report{Requests: []*Request{}, More: result.More, Read: result.Read}
	for _, g := range result.Groups {
		r.Requests = append(r.Requests, New(g))
	}
	return r
}

// Print writes the report as text.
func (r Report) Print(to io.Writer) error {
	var text strings.Builder
	for _, q := range r.Requests {
		q.printWay(&text)
		text.WriteString("\n")
	}
	if len(r.Requests) == 0 {
		text.WriteString("no record matches\n\n")
	}
	if r.More {
		fmt.Fprintf(&text, "older requests match too: --limit shows more, --since fewer\n\n")
	}
	for _, line := range r.Read.Describe() {
		printer.Fprintf(&text, "%s\n", line)
	}
	_, err := io.WriteString(to, text.String())
	return err
}

// describeVerdict returns the verdict in a few words.
func (q *Request) describeVerdict() string {
	switch q.Verdict {
	case Denied:
		return fmt.Sprintf("denied at %s: %s", q.DeniedAt, q.Reason)
	case Allowed:
		return "allowed"
	default:
		return "no decision"
	}
}

// listFacts returns what is known of the whole request.
func (q *Request) listFacts() []fact {
	user := q.Sub
	if user != "" && q.Iss != "" {
		user += " of " + q.Iss
	}
	facts := []fact{
		{"transaction", q.Txn}, {"user", user}, {"actor", q.Actor}, {"trace id", strings.Join(q.TraceIDs, ", ")}, {"request id", strings.Join(q.RequestIDs, ", ")},
		{"began", q.Began.Format(time.RFC3339Nano) + ", took " + formatDuration(q.TookUS)},
	}
	if len(q.OtherTxns) > 0 {
		facts = append(facts, fact{"see also", "other transactions with the same trace id or request id: " + strings.Join(q.OtherTxns, ", ")})
	}
	if q.SkewUS > 0 {
		facts = append(facts, fact{"clocks", "differ by at least " + formatDuration(q.SkewUS) + ": compare times of one machine only"})
	}
	if q.Omitted > 0 {
		facts = append(facts, fact{"left out", fmt.Sprintf("%d more records", q.Omitted)})
	}
	return slices.DeleteFunc(facts, func(f fact) bool { return f.value == "" })
}

type fact struct{ name, value string }

func (q *Request) printWay(text *strings.Builder) {
	printer.Fprintf(text, "%s\n", q.describeVerdict())
	for _, f := range q.listFacts() {
		printer.Fprintf(text, "  %-12s %s\n", f.name, f.value)
	}
	text.WriteString("\n")
	printSteps(text, q.Steps, "")
}

var signs = map[Verdict]string{Allowed: "✓", Denied: "✗", Undecided: "?"}

func printSteps(text *strings.Builder, steps []*Step, indent string) {
	for i, s := range steps {
		branch, below := "├─ ", "│  "
		if i == len(steps)-1 {
			branch, below = "└─ ", "   "
		}
		printer.Fprintf(text, "%s%s%s %s  %s  +%s\n", indent, branch, signs[s.Verdict()], s.Callee, s.requestLine(), formatDuration(s.OffsetUS))
		rail := indent + below
		if len(s.Steps) > 0 {
			rail += "│  "
		} else {
			rail += "   "
		}
		for _, line := range s.describeLines() {
			printer.Fprintf(text, "%s%s\n", rail, line)
		}
		printSteps(text, s.Steps, indent+below)
	}
}

func (s *Step) requestLine() string { return strings.TrimSpace(s.Method + " " + s.Path) }

// describeLines describes the decision and the answers of a step.
func (s *Step) describeLines() (lines []string) {
	if d := s.Decision; d != nil {
		lines = append(lines, d.summarize())
		if d.Detail != "" {
			lines = append(lines, d.Detail)
		}
		if inputs := d.listInputs(); inputs != "" {
			lines = append(lines, inputs)
		}
		for _, shadow := range d.Shadow {
			lines = append(lines, "shadow: "+shadow)
		}
	}
	for _, a := range s.Answers {
		lines = append(lines, a.summarize())
	}
	return lines
}

func (d *Decision) summarize() string {
	text := d.Decision + " " + d.Reason
	if d.RuleName != "" {
		text += " " + d.RuleName
	}
	if d.Mode != "" {
		text += ", " + d.Mode
	}
	if d.NoRecord {
		return text + ", by the access log: its audit record is not in the input"
	}
	return text + " in " + formatDuration(d.TookUS)
}

func (d *Decision) listInputs() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(d.Inputs)) {
		parts = append(parts, name+" = "+valueText(d.Inputs[name]))
	}
	return strings.Join(parts, ", ")
}

func valueText(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}

var programs = map[string]string{"envoy": "Envoy", "tyk": "Tyk"}

func (a *Answer) summarize() string {
	by := programs[a.By]
	if a.By == "envoy" && a.Joined != "decision_id" {
		by += " of the caller"
		if strings.HasPrefix(a.Cluster, "inbound") {
			by = "Envoy"
		}
	}
	text := fmt.Sprintf("%d by %s in %s", a.Status, by, formatDuration(a.TookUS))
	if a.Details != "" && a.Details != "via_upstream" {
		text += ", " + a.Details
	}
	if a.Flags != "" {
		text += " " + a.Flags
	}
	if a.Joined == "time" {
		text += " (the only line of this API and path at that time)"
	}
	return text
}

// formatDuration prints microseconds with at most three digits after the point.
func formatDuration(us int64) string {
	switch {
	case us < 1000:
		return fmt.Sprintf("%d µs", us)
	case us < 1e6:
		return fmt.Sprintf("%.4g ms", float64(us)/1e3)
	default:
		return fmt.Sprintf("%.4g s", float64(us)/1e6)
	}
}
