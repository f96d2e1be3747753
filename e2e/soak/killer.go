package soak

import (
	"context"
	"sync"
	"time"
)

const (
	pauseBetween = 2 * time.Second         // from the start of one part to the end of the next
	downTime     = 1500 * time.Millisecond // how long a part is down
)

// part is a server or a program that is killed and started again.
type part struct {
	name    string
	kill    func() error
	start   func(context.Context) error
	rotator *rotator // its rotations wait until the part is back; nil: rotations go on
}

// killer kills one part after the other.
type killer struct {
	parts    []part
	mu       sync.Mutex
	restarts map[string]int // how often a part was restarted, by its name
}

// killInTurn restarts one part after the other until ctx ends.
func (k *killer) killInTurn(ctx context.Context) error {
	for i := 0; wait(ctx, pauseBetween); i++ {
		p := k.parts[i%len(k.parts)]
		if err := p.restart(ctx); err != nil {
			return err
		}
		k.mu.Lock()
		k.restarts[p.name]++
		k.mu.Unlock()
	}
	return nil
}

// restart kills the part and starts it again, even if ctx ends meanwhile.
func (p part) restart(ctx context.Context) error {
	if p.rotator != nil {
		p.rotator.publishing.Lock()
		defer p.rotator.publishing.Unlock()
		wait(ctx, p.rotator.lead) // every verifier has the last published key by then
		defer wait(ctx, p.rotator.lead)
	}
	if err := p.kill(); err != nil {
		return err
	}
	wait(ctx, downTime)
	return p.start(context.WithoutCancel(ctx))
}
