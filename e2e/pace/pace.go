// Package pace waits: for a time, until a time, and so that sends are spread evenly over time.
package pace

import (
	"context"
	"sync/atomic"
	"time"
)

// Pace spreads the sends of all senders over time. A sender that is late does not wait.
type Pace struct {
	began    time.Time
	interval time.Duration // between two sends; 0: no time
	turns    atomic.Int64
}

// New makes a pace; 0 a second means as fast as possible.
func New(perSecond float64) *Pace {
	p := &Pace{began: time.Now()}
	if perSecond > 0 {
		p.interval = time.Duration(float64(time.Second) / perSecond)
	}
	return p
}

// Wait waits for the next turn. It returns false when ctx has ended.
func (p *Pace) Wait(ctx context.Context) bool {
	if p.interval == 0 {
		return ctx.Err() == nil
	}
	return Until(ctx, p.began.Add(time.Duration(p.turns.Add(1))*p.interval))
}

// Until returns false if ctx ends before, or has ended when the time is over already.
func Until(ctx context.Context, at time.Time) bool {
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

// For returns false if ctx ends before the time is over.
func For(ctx context.Context, d time.Duration) bool { return Until(ctx, time.Now().Add(d)) }

// EverySecond calls do each second until ctx ends or do fails.
func EverySecond(ctx context.Context, do func(context.Context) error) error {
	for For(ctx, time.Second) {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}
