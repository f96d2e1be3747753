package flood

import (
	"maps"
	"sync"
	"sync/atomic"
)

// counter gives each number once.
type counter struct{ atomic.Int64 }

func (c *counter) take() int64 { return c.Add(1) }

// tally counts outcomes.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) count(outcome string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.counts[outcome]++
}

func (t *tally) outcomes() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}
