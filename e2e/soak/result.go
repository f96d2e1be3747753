package soak

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Result is the outcome of a run.
type Result struct {
	Requests  int            `json:"requests"`
	NotAsked  int            `json:"not_asked"` // 503 by Envoy: no authorizer answered
	Denied    int            `json:"denied"`    // wrong answers to requests that must be allowed
	Allowed   int            `json:"allowed"`   // requests that must be denied and were allowed
	Streams   []Stream       `json:"streams"`
	Rotations int            `json:"rotations"`
	Signed    []string       `json:"signed"`  // kids that the gateway has signed with
	Dropped   int            `json:"dropped"` // keys that were removed from the set
	Restarts  map[string]int `json:"restarts"`
	Latency   Latency        `json:"latency_ms"`
	Wrong     []string       `json:"wrong"` // everything that was not as expected; empty: the run passed
}

// Stream has the outcomes of one kind of request.
type Stream struct {
	Name     string         `json:"name"`
	Want     string         `json:"want"`
	Outcomes map[string]int `json:"outcomes"`
}

// Latency of allowed requests, in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func newResult(t *tally, keys *rotator, turns *killer) Result {
	r := Result{Latency: t.latencySummary(), Wrong: []string{}}
	t.mu.Lock()
	for _, s := range t.streams {
		r.addStream(s, maps.Clone(t.counts[s.name]))
	}
	t.mu.Unlock()
	for _, kid := range keys.unusedKeys(time.Now()) {
		r.addProblem("the gateway has not signed with %s", kid)
	}
	keys.mu.Lock()
	r.Rotations, r.Dropped, r.Signed = len(keys.made), keys.dropped, slices.Sorted(maps.Keys(keys.signed))
	keys.mu.Unlock()
	turns.mu.Lock()
	r.Restarts = maps.Clone(turns.restarts)
	turns.mu.Unlock()
	return r
}

func (r *Result) addStream(s stream, outcomes map[string]int) {
	r.Streams = append(r.Streams, Stream{Name: s.name, Want: s.want, Outcomes: outcomes})
	for _, outcome := range slices.Sorted(maps.Keys(outcomes)) {
		n := outcomes[outcome]
		r.Requests += n
		switch {
		case outcome == s.want:
			continue
		case notAsked[outcome]:
			r.NotAsked += n
			continue
		case s.wantsAllow():
			r.Denied += n
		case strings.HasPrefix(outcome, "2"):
			r.Allowed += n
		}
		r.addProblem("%s: %d times %s, want %s", s.name, n, outcome, s.want)
	}
	// Without answers there are no wrong answers either.
	if right, all := outcomes[s.want], sumCounts(outcomes); right <= all/2 {
		r.addProblem("%s: only %d of %d times %s", s.name, right, all, s.want)
	}
}

func sumCounts(outcomes map[string]int) int {
	all := 0
	for _, n := range outcomes {
		all += n
	}
	return all
}

func (r *Result) addProblem(format string, args ...any) {
	r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
}

func (r *Result) summaryLine() string {
	return fmt.Sprintf("requests %d, denied %d, wrongly allowed %d, not asked %d; rotations %d; restarts %s",
		r.Requests, r.Denied, r.Allowed, r.NotAsked, r.Rotations, r.restartCounts())
}

func (r *Result) restartCounts() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.Restarts)) {
		all = append(all, fmt.Sprintf("%s %d", name, r.Restarts[name]))
	}
	return strings.Join(all, ", ")
}

// Print writes the result as a table.
func (r *Result) Print(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "STREAM\tOUTCOME\tREQUESTS\t")
	for _, s := range r.Streams {
		for _, outcome := range slices.Sorted(maps.Keys(s.Outcomes)) {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", s.Name, outcome, s.Outcomes[outcome], outcomeNote(s, outcome))
		}
	}
	_, _ = fmt.Fprintf(table, "\n%s\nkeys that the gateway signed with: %d; keys that were removed: %d\n", r.summaryLine(), len(r.Signed), r.Dropped)
	_, _ = fmt.Fprintf(table, "latency of allowed requests: p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, max %.1f ms\n", r.Latency.P50, r.Latency.P90, r.Latency.P99, r.Latency.Max)
	for _, wrong := range r.Wrong {
		_, _ = fmt.Fprintln(table, "WRONG:", wrong)
	}
	return table.Flush()
}

func outcomeNote(s Stream, outcome string) string {
	switch {
	case outcome == s.Want:
		return ""
	case notAsked[outcome]:
		return "no authorizer answered Envoy"
	default:
		return "WRONG"
	}
}
