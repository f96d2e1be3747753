package flood

import (
	"context"
	"testing"
	"time"
)

// A sender that is late ends with its flood too.
func TestPaceEndsWithItsFlood(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	late := newPace(1e6)
	late.began = time.Now().Add(-time.Hour)
	if !late.wait(ctx) {
		t.Error("a late sender waits")
	}
	cancel()
	for _, p := range []*pace{late, newPace(0), newPace(1)} {
		for range 100 {
			if p.wait(ctx) {
				t.Fatalf("a sender goes on after the end, with an interval of %v", p.interval)
			}
		}
	}
}
