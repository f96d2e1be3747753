package kind

import (
	"context"
	"fmt"
	"time"
)

const (
	pollInterval = time.Second
	sayAgain     = 20 * time.Second // a silent wait looks like one that hangs
)

// await polls until missing returns "" (nothing is missing), and prints what is missing whenever
// that changes. The error after bound names what was missing.
func (e *Environment) await(ctx context.Context, what string, bound time.Duration, missing func(context.Context) (string, error)) error {
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	began := time.Now()
	var said string
	var saidAt time.Time
	for {
		state, err := missing(ctx)
		if err == nil && state == "" {
			return nil
		}
		if err != nil {
			state = err.Error()
		}
		if state != said || time.Since(saidAt) > sayAgain {
			e.out.line("   waiting for %s, %.0f of %.0f s: %s", what, time.Since(began).Seconds(), bound.Seconds(), state)
			said, saidAt = state, time.Now()
		}
		select {
		case <-ctx.Done():
			if err := whole.Err(); err != nil { // interrupted
				return err
			}
			return fmt.Errorf("%s: not after %v: %s", what, bound, said)
		case <-time.After(pollInterval):
		}
	}
}
