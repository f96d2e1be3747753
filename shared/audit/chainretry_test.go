package audit

import (
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/logqueue"
)

// A checkpoint that could not be written does not wait for the whole interval.
func TestTheTimeUntilTheNextCheckpoint(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{time.Hour: 5 * time.Second, time.Second: time.Second} {
		chain := &Chain{Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), Checkpoint: interval}
		c := newChainWriter(nil, func() *Chain { return chain }, time.Now)
		for i, step := range []struct {
			line string
			kept int
			want time.Duration
		}{{"", 0, want}, {"", 1, 0}, {"{}\n", 1, interval}} {
			b, isLinking := c.AppendOwn(nil, logqueue.Occasion{})
			if step.line != "" {
				c.AppendLinked(b, []byte(step.line))
			}
			if got := c.Keep(step.kept); got != step.want || !isLinking {
				t.Errorf("%v, step %d: got %v, want %v", interval, i+1, got, step.want)
			}
		}
	}
}
