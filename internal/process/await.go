package process

import (
	"context"
	"fmt"
	"time"
)

const pollInterval = 25 * time.Millisecond

// AwaitReady polls ready until it returns nil, the program ends, or ctx ends. ctx must have a
// deadline. The error wraps the last error of ready.
func (p *Proc) AwaitReady(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.Err()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready (%w): %w; see %s", p.spec.Name, ctx.Err(), err, p.spec.Stderr)
		case <-tick.C:
		}
	}
}
