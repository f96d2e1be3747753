package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Result is one run.
type Result struct {
	Machine    Machine       `json:"machine"`
	Commit     string        `json:"commit"` // with "+changes" if the folder had uncommitted ones
	Began      time.Time     `json:"began"`
	Took       float64       `json:"took_seconds"`
	LoadBefore string        `json:"load_before"` // of 1, 5 and 15 minutes
	LoadAfter  string        `json:"load_after"`
	Rounds     int           `json:"rounds"`
	Length     time.Duration `json:"round_nanoseconds"`
	Rows       []RowResult   `json:"rows"`
	NotRun     []string      `json:"not_run,omitempty"` // with the reason
}

// RowResult is what was measured of one row.
type RowResult struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Values []float64 `json:"values"` // of each round
	Value  Spread    `json:"value"`
	Base   string    `json:"base,omitempty"` // that the ratio compares with
	Ratios []float64 `json:"ratios,omitempty"`
	Ratio  *Spread   `json:"ratio,omitempty"`
	Target string    `json:"target,omitempty"` // of the ratio, or of the value if there is no ratio
	Met    *bool     `json:"met,omitempty"`    // by the median

	row   Row
	group string
}

// Spread is the median, the lowest and the highest of all rounds.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

func newSpread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Spread{Median: median, Low: sorted[0], High: sorted[len(sorted)-1]}
}

func newResult(o Options) Result {
	return Result{Machine: readMachine(), Commit: readCommit(), Began: time.Now().UTC(), LoadBefore: readLoad(), Rounds: o.Rounds, Length: o.Length}
}

func (r *Result) end() {
	r.LoadAfter, r.Took = readLoad(), math.Round(time.Since(r.Began).Seconds())
}

// add adds the value of one round. values are those of the same round.
func (r *RowResult) add(value float64, values map[string]float64) {
	r.Values = append(r.Values, value)
	if len(r.row.Base) == 0 {
		return
	}
	base := 0.0
	for _, name := range r.row.Base {
		base += values[name]
	}
	for _, name := range r.row.Minus {
		value -= values[name]
	}
	r.Ratios = append(r.Ratios, value/base)
}

func (r *RowResult) describeLast() string {
	text := fmt.Sprintf("%s %.4g %s", r.row.Name, r.Values[len(r.Values)-1], r.Unit)
	if len(r.Ratios) > 0 {
		text += fmt.Sprintf(", ratio %.3f", r.Ratios[len(r.Ratios)-1])
	}
	return text
}

func (r *RowResult) summarise() {
	r.Value, r.Base = newSpread(r.Values), strings.Join(r.row.Base, " + ")
	decisive := r.Value.Median
	if len(r.Ratios) > 0 {
		ratio := newSpread(r.Ratios)
		r.Ratio, decisive = &ratio, ratio.Median
	}
	if len(r.row.Minus) > 0 {
		r.Base = "(less " + strings.Join(r.row.Minus, ", ") + ") " + r.Base
	}
	if r.row.Target.isSet() {
		met := r.row.Target.isMet(decisive)
		r.Target, r.Met = r.row.Target.String(), &met
	}
}

// MissedRows are the names of the rows that miss their target.
func (r Result) MissedRows() (names []string) {
	for _, row := range r.Rows {
		if row.Met != nil && !*row.Met {
			names = append(names, row.Name)
		}
	}
	return names
}

// Print writes a table.
func (r Result) Print(to io.Writer) error {
	_, _ = fmt.Fprintf(to, "%s\ncommit %s; %s, %.0f s; load before %s, after %s\nmedian [lowest, highest] of %d rounds of %v\n\n",
		r.Machine, r.Commit, r.Began.Format(time.RFC3339), r.Took, r.LoadBefore, r.LoadAfter, r.Rounds, r.Length)
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "row\tvalue\t\tratio\t\tto\ttarget\t")
	for _, row := range r.Rows {
		_, _ = fmt.Fprintf(table, "%s\t%s %s\t%s\t", row.Name, formatFigure(row.Value.Median), row.Unit, formatRange(row.Value))
		if row.Ratio != nil {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t", formatFigure(row.Ratio.Median), formatRange(*row.Ratio), row.Base)
		} else {
			_, _ = fmt.Fprint(table, "\t\t\t")
		}
		outcome := ""
		if row.Met != nil {
			outcome = map[bool]string{true: "met", false: "MISSED"}[*row.Met]
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\n", row.Target, outcome)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, missing := range r.NotRun {
		if _, err := fmt.Fprintln(to, "NOT RUN:", missing); err != nil {
			return err
		}
	}
	return nil
}

func formatRange(s Spread) string {
	return "[" + formatFigure(s.Low) + ", " + formatFigure(s.High) + "]"
}

// formatFigure writes three or more significant digits.
func formatFigure(value float64) string {
	if magnitude := math.Abs(value); magnitude >= 100 {
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprintf("%.3g", value)
}
