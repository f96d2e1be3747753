package pace

import (
	"context"
	"testing"
	"time"
)

// A sender that is late ends with its flood too.
func TestPaceEndsWithItsFlood(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	late := New(1e6)
	late.began = time.Now().Add(-time.Hour)
	if !late.Wait(ctx) {
		t.Error("a late sender waits")
	}
	cancel()
	for _, p := range []*Pace{late, New(0), New(1)} {
		for range 100 {
			if p.Wait(ctx) {
				t.Fatalf("a sender goes on after the end, with an interval of %v", p.interval)
			}
		}
	}
}
