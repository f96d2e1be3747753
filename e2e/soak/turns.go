package soak

import (
	"context"
	"sync"
	"time"
)

const (
	between = 2 * time.Second         // from one part's return to the next one's end
	absent  = 1500 * time.Millisecond // how long a part is away
)

// part is something that is killed and started again.
type part struct {
	name  string
	kill  func() error
	start func(context.Context) error
	hold  *rotor // nil; or whose rotations wait until it is back
}

// turns kills one part after the other.
type turns struct {
	parts []part
	mu    sync.Mutex
	done  map[string]int // how often a part has come back, by its name
}

func (t *turns) run(ctx context.Context) error {
	for i := 0; pause(ctx, between); i++ {
		p := t.parts[i%len(t.parts)]
		if err := p.restart(ctx); err != nil {
			return err
		}
		t.mu.Lock()
		t.done[p.name]++
		t.mu.Unlock()
	}
	return nil
}

// restart brings the part back even when the time is over meanwhile.
func (p part) restart(ctx context.Context) error {
	if p.hold != nil {
		p.hold.publishing.Lock()
		defer p.hold.publishing.Unlock()
		pause(ctx, p.hold.Lead) // what was published last is known by then
		defer pause(ctx, p.hold.Lead)
	}
	if err := p.kill(); err != nil {
		return err
	}
	pause(ctx, absent)
	return p.start(context.WithoutCancel(ctx))
}
