package soak

import (
	"slices"
	"sync"
	"time"
)

// tally counts the answers of all streams.
type tally struct {
	mu      sync.Mutex
	streams []stream
	counts  map[string]map[string]int // stream → outcome
	took    []time.Duration           // of requests that were let in
}

func newTally(streams []stream) *tally {
	t := &tally{streams: streams, counts: map[string]map[string]int{}}
	for _, s := range streams {
		t.counts[s.name] = map[string]int{}
	}
	return t
}

func (t *tally) add(s stream, outcome string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[s.name][outcome]++
	if s.admitted() && outcome == s.want {
		t.took = append(t.took, took)
	}
}

// quantile of the times so far; zero without any.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func (t *tally) latency() Latency {
	t.mu.Lock()
	sorted := slices.Sorted(slices.Values(t.took))
	t.mu.Unlock()
	ms := func(q float64) float64 { return float64(quantile(sorted, q).Microseconds()) / 1000 }
	return Latency{P50: ms(0.5), P90: ms(0.9), P99: ms(0.99), Max: ms(1)}
}
