package soak

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/plots"
)

// WriteReport writes report.md, its graphs and result.json into a folder, which is made.
func (r *Result) WriteReport(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var text strings.Builder
	verdict := "passed"
	if len(r.Wrong) > 0 {
		verdict = fmt.Sprintf("failed: %d problems", len(r.Wrong))
	}
	fmt.Fprintf(&text, "# Soak: %s\n\n```text\n", verdict)
	if err := r.Print(&text); err != nil {
		return err
	}
	fmt.Fprintf(&text, "```\n\nGrey lines mark restarts. Memory, descriptors and goroutines are compared over the longest life of each process: the lowest value of the last "+
		"third may be above that of the first third, after a warm-up of %.0f %%, by %.0f %% and %d MiB of memory, and by %.0f %% and %d of the others.\n\n",
		100*warmUpShare, 100*(memoryGrowth-1), memorySlack>>20, 100*(countGrowth-1), countSlack)
	for _, g := range r.graphs() {
		svg, err := plots.Draw(g)
		if err != nil {
			return err
		}
		name := strings.ReplaceAll(strings.ToLower(g.Title), " ", "-") + ".svg"
		if err := os.WriteFile(filepath.Join(dir, name), svg, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&text, "![%s](%s)\n\n", g.Title, name)
	}
	if err := os.WriteFile(filepath.Join(dir, "report.md"), []byte(text.String()), 0o644); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "result.json"), data, 0o644)
}

// graphs leaves out those without points.
func (r *Result) graphs() (all []plots.Graph) {
	marks := make([]float64, 0, len(r.Events))
	for _, e := range r.Events {
		marks = append(marks, e.Seconds)
	}
	add := func(title, unit string, series []plots.Series) {
		if slices.ContainsFunc(series, func(s plots.Series) bool { return len(s.Points) > 0 }) {
			all = append(all, plots.Graph{Title: title, X: "seconds", Y: unit, Series: series, Marks: marks, ZeroY: true})
		}
	}
	add("Requests", "allowed requests/s", r.rateSeries())
	add("Latency", "ms, of allowed requests", r.latencySeries())
	add("Memory", "MiB resident", r.sampleSeries(func(s Sample) float64 { return float64(s.Resident) / (1 << 20) }))
	add("Goroutines", "goroutines", r.sampleSeries(func(s Sample) float64 { return float64(s.Goroutines) }))
	add("Descriptors", "open descriptors", r.sampleSeries(func(s Sample) float64 { return float64(s.Descriptors) }))
	return all
}

// sampleSeries has a line for each process whose value is not always 0.
func (r *Result) sampleSeries(value func(Sample) float64) (all []plots.Series) {
	for _, name := range slices.Sorted(maps.Keys(r.Samples)) {
		s := plots.Series{Name: name}
		for _, sample := range r.Samples[name] {
			if y := value(sample); y > 0 {
				s.Points = append(s.Points, plots.Point{X: sample.Seconds, Y: y})
			}
		}
		if len(s.Points) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// bySecond groups the allowed requests by the second in which they were sent.
func (r *Result) bySecond() (groups [][]time.Duration) {
	for _, one := range r.timed {
		second := int(one.sent.Seconds())
		for len(groups) <= second {
			groups = append(groups, nil)
		}
		groups[second] = append(groups[second], one.took)
	}
	return groups
}

func (r *Result) rateSeries() []plots.Series {
	s := plots.Series{Name: "allowed"}
	for second, times := range r.bySecond() {
		s.Points = append(s.Points, plots.Point{X: float64(second), Y: float64(len(times))})
	}
	return []plots.Series{s}
}

func (r *Result) latencySeries() []plots.Series {
	half, most := plots.Series{Name: "p50"}, plots.Series{Name: "p99"}
	for second, times := range r.bySecond() {
		if len(times) == 0 {
			continue
		}
		l := newLatency(times)
		half.Points = append(half.Points, plots.Point{X: float64(second), Y: l.P50})
		most.Points = append(most.Points, plots.Point{X: float64(second), Y: l.P99})
	}
	return []plots.Series{half, most}
}
