package flood

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// pace spreads the sends of all senders over time. A sender that is late does not wait.
type pace struct {
	began    time.Time
	interval time.Duration // between two sends; 0: no time
	turns    atomic.Int64
}

func newPace(perSecond float64) *pace {
	p := &pace{began: time.Now()}
	if perSecond > 0 {
		p.interval = time.Duration(float64(time.Second) / perSecond)
	}
	return p
}

// wait returns false when ctx has ended.
func (p *pace) wait(ctx context.Context) bool {
	if p.interval == 0 {
		return ctx.Err() == nil
	}
	return waitUntil(ctx, p.began.Add(time.Duration(p.turns.Add(1))*p.interval))
}

// waitUntil returns false if ctx ends before, or has ended when the time is over already.
func waitUntil(ctx context.Context, at time.Time) bool {
	if ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

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
