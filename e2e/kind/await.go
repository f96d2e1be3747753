package kind

import (
	"context"
	"fmt"
	"time"
)

const (
	pollInterval   = time.Second
	repeatInterval = 20 * time.Second // a wait without output looks like one that hangs
)

// waitFor polls until missing returns "" (nothing is missing), and prints the text of missing when it
// changes. The error after bound contains the last text.
func (e *Environment) waitFor(ctx context.Context, what string, bound time.Duration, missing func(context.Context) (string, error)) error {
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	began := time.Now()
	var printed string
	var printedAt time.Time
	for {
		state, err := missing(ctx)
		if err == nil && state == "" {
			return nil
		}
		if err != nil {
			state = err.Error()
		}
		if state != printed || time.Since(printedAt) > repeatInterval {
			e.out.printLine("   waiting for %s, %.0f of %.0f s: %s", what, time.Since(began).Seconds(), bound.Seconds(), state)
			printed, printedAt = state, time.Now()
		}
		select {
		case <-ctx.Done():
			if err := outer.Err(); err != nil { // interrupted
				return err
			}
			return fmt.Errorf("%s: not after %v: %s", what, bound, printed)
		case <-time.After(pollInterval):
		}
	}
}
