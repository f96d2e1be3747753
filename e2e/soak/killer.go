package soak

import (
	"context"
	"sync"
	"time"

	"github.com/meshpass/meshpass/e2e/pace"
)

const (
	leastPause = 2 * time.Second         // from the start of one part to the end of the next
	turnsOfRun = 40                      // in a longer run the pauses are longer, so that its processes live longer
	downTime   = 1500 * time.Millisecond // how long a part is down
)

// part is a server or a program that is killed and started again.
type part struct {
	name    string
	kill    func() error
	start   func(context.Context) error
	rotator *rotator // its rotations wait until the part is back; nil: rotations go on
	spared  bool     // in the second half of the run, so that its memory is compared over a long life
}

// killer kills one part after the other.
type killer struct {
	parts    []part
	duration time.Duration // of the run
	began    time.Time
	mu       sync.Mutex
	restarts map[string]int // how often a part was restarted, by its name
	events   []Event
}

// Event is something that happened to the mesh.
type Event struct {
	Seconds float64 `json:"seconds"` // since the load began
	What    string  `json:"what"`
}

// killInTurn restarts one part after the other until ctx ends.
func (k *killer) killInTurn(ctx context.Context) error {
	for i := 0; pace.For(ctx, max(leastPause, k.duration/turnsOfRun)); i++ {
		p := k.parts[i%len(k.parts)]
		if p.spared && time.Since(k.began) > k.duration/2 {
			continue
		}
		at := time.Since(k.began)
		if err := p.restart(ctx); err != nil {
			return err
		}
		k.mu.Lock()
		k.restarts[p.name]++
		k.events = append(k.events, Event{at.Seconds(), "restart of " + p.name})
		k.mu.Unlock()
	}
	return nil
}

// restart kills the part and starts it again, even if ctx ends meanwhile.
func (p part) restart(ctx context.Context) error {
	if p.rotator != nil {
		p.rotator.publishing.Lock()
		defer p.rotator.publishing.Unlock()
		pace.For(ctx, p.rotator.lead) // every verifier has the last published key by then
		defer pace.For(ctx, p.rotator.lead)
	}
	if err := p.kill(); err != nil {
		return err
	}
	pace.For(ctx, downTime)
	return p.start(context.WithoutCancel(ctx))
}
