package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Result is that of one line.
type Result string

// The results.
const (
	OK         Result = "ok"
	Wrong      Result = "wrong"
	NotChecked Result = "not_checked"
	Skipped    Result = "skipped" // by the person who runs the command
)

// Line is the result of one check of one part.
type Line struct {
	Check   string `json:"check"`
	Subject string `json:"subject,omitempty"` // the part; empty: not known
	Result  Result `json:"result"`
	Detail  string `json:"detail"`
	Do      string `json:"do,omitempty"` // the next step; empty: nothing
}

// Report is the result of a run.
type Report struct {
	Lines []Line `json:"checks"`
}

// Count counts the lines with a result.
func (r Report) Count(result Result) int {
	count := 0
	for _, l := range r.Lines {
		if l.Result == result {
			count++
		}
	}
	return count
}

// Print writes one line for each check, and a summary.
func (r Report) Print(to io.Writer) error {
	for _, l := range r.Lines {
		fmt.Fprintf(to, "%-12s %-11s %s\n", printedResults[l.Result], l.Check, l.describe())
	}
	_, err := fmt.Fprintf(to, "%d checks: %d ok, %d wrong, %d not checked, %d skipped\n",
		len(r.Lines), r.Count(OK), r.Count(Wrong), r.Count(NotChecked), r.Count(Skipped))
	return err
}

var printedResults = map[Result]string{OK: "ok", Wrong: "WRONG", NotChecked: "NOT CHECKED", Skipped: "skipped"}

func (l Line) describe() string {
	text := l.Detail
	if l.Subject != "" {
		text = l.Subject + ": " + text
	}
	if l.Do != "" {
		text += "; do: " + l.Do
	}
	return strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(text) // an answer makes no line of its own
}
