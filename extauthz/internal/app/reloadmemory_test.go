package app

import (
	"runtime/debug"
	"testing"
)

// Garbage is collected earlier during a reload, never later than the process is set to, and as usual afterwards.
func TestCollectEagerly(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	for usual, want := range map[int]int{100: 25, 400: 25, 10: 10, -1: 25} {
		debug.SetGCPercent(usual)
		collectEagerly(func() {
			during := debug.SetGCPercent(want)
			if during != want {
				t.Errorf("usual %d: %d during a reload, want %d", usual, during, want)
			}
		})
		if after := debug.SetGCPercent(usual); after != usual {
			t.Errorf("usual %d: %d after a reload", usual, after)
		}
	}
}
