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
	Signed    []string       `json:"signed"`     // kids that the gateway has signed with, in the order of time
	Used      []string       `json:"algorithms"` // of these keys
	Dropped   int            `json:"dropped"`    // keys that were removed from the set
	Restarts  map[string]int `json:"restarts"`
	Latency   Latency        `json:"latency_ms"`
	Wrong     []string       `json:"wrong"` // everything that was not as expected; empty: the run passed

	Capacity    float64             `json:"capacity,omitempty"` // requests a second; 0: not measured
	Rate        float64             `json:"rate"`               // that was wanted
	Seconds     float64             `json:"seconds"`
	Policies    int                 `json:"policy_changes"`
	Switches    int                 `json:"policy_switches"` // changes of the document that denies an order at times
	Revocations int                 `json:"revocations"`
	Growths     []Growth            `json:"growths"`
	Events      []Event             `json:"events"`
	Samples     map[string][]Sample `json:"samples"`
	timed       []timed
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

// newResult is the result up to now.
func (p *parts) newResult() Result {
	t, keys := p.tally, p.keys
	r := Result{
		Latency: t.latencySummary(), Wrong: []string{}, Capacity: p.capacity, Rate: p.rate, Seconds: time.Since(t.began).Seconds(),
		Revocations: int(p.revoked.added.Load()), Samples: p.sampler.samples(), timed: t.timedRequests(),
	}
	t.mu.Lock()
	for _, s := range t.streams {
		r.addStream(s, maps.Clone(t.counts[s.name]))
	}
	t.mu.Unlock()
	for _, kid := range keys.unusedKeys(time.Now()) {
		r.addProblem("the gateway has not signed with %s", kid)
	}
	keys.mu.Lock()
	r.Rotations, r.Dropped, r.Signed, r.Used = len(keys.made), keys.dropped, slices.Clone(keys.signed), keys.usedAlgorithms()
	keys.mu.Unlock()
	p.restarts.mu.Lock()
	r.Restarts, r.Events = maps.Clone(p.restarts.restarts), slices.Clone(p.restarts.events)
	p.restarts.mu.Unlock()
	r.Policies, r.Switches = p.policies.count()
	r.Growths = findGrowths(r.Samples)
	for _, g := range r.Growths {
		if !g.isFlat() {
			r.addProblem("grows: %s", g)
		}
	}
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
	return fmt.Sprintf("requests %d, denied %d, wrongly allowed %d, not asked %d; rotations %d, policy changes %d, revocations %d; restarts %s",
		r.Requests, r.Denied, r.Allowed, r.NotAsked, r.Rotations, r.Policies, r.Revocations, r.restartCounts())
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
	_, _ = fmt.Fprintf(table, "\n%s\nkeys that the gateway signed with: %d (%s); keys that were removed: %d\n", r.summaryLine(), len(r.Signed), strings.Join(r.Used, ", "), r.Dropped)
	_, _ = fmt.Fprintf(table, "latency of allowed requests: p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, max %.1f ms\n", r.Latency.P50, r.Latency.P90, r.Latency.P99, r.Latency.Max)
	_, _ = fmt.Fprintf(table, "rate: %.0f requests/s wanted, %.0f sent; capacity %s\n", r.Rate, float64(r.Requests)/r.Seconds, r.capacityText())
	for _, g := range r.Growths {
		_, _ = fmt.Fprintln(table, g)
	}
	for _, wrong := range r.Wrong {
		_, _ = fmt.Fprintln(table, "WRONG:", wrong)
	}
	return table.Flush()
}

func (r *Result) capacityText() string {
	if r.Capacity == 0 {
		return "not measured"
	}
	return fmt.Sprintf("%.0f requests/s", r.Capacity)
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
