package soak

import (
	"context"
	"time"
)

// wait returns false if ctx ends before the time is over.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// everySecond calls do each second until ctx ends or do fails.
func everySecond(ctx context.Context, do func(context.Context) error) error {
	for wait(ctx, time.Second) {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}
