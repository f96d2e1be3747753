package audit

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultAnonymous is the limit of recorded denials a second of anonymous callers, whose
// token or session was not verified. It holds for each reason by itself, so that a flood
// with one reason does not hide another one.
const DefaultAnonymous = 10

// burstSeconds is for how many seconds the limit can be saved up in quiet times.
const burstSeconds = 20

// reportInterval is the time over which suppressed denials are counted in one gap.
const reportInterval = time.Second

// limiter decides which anonymous denials are recorded one by one. Reasons are a
// closed list, so the number of its buckets is bounded.
type limiter struct {
	perSecond atomic.Int64
	report    func(reason string, count uint64, since time.Time)
	total     atomic.Uint64

	mu      sync.Mutex
	buckets map[string]*bucket
	waiting bool // a timer will report the suppressed denials
}

type bucket struct {
	left       float64 // denials that may be recorded now
	filled     time.Time
	suppressed uint64    // not reported yet
	since      time.Time // of the first of them
}

func newLimiter(perSecond int, report func(string, uint64, time.Time)) *limiter {
	l := &limiter{report: report, buckets: map[string]*bucket{}}
	l.perSecond.Store(int64(perSecond))
	return l
}

// admit reports whether a denial may be recorded. If not, it counts the denial as
// suppressed.
func (l *limiter) admit(now time.Time, reason string) bool {
	rate := float64(l.perSecond.Load())
	l.mu.Lock()
	defer l.mu.Unlock()
	b, known := l.buckets[reason]
	if !known {
		b = &bucket{left: rate * burstSeconds, filled: now}
		l.buckets[reason] = b
	}
	b.fill(now, rate)
	if b.left >= 1 {
		b.left--
		return true
	}
	if b.suppressed == 0 {
		b.since = now
	}
	b.suppressed++
	l.total.Add(1)
	if !l.waiting {
		l.waiting = true
		time.AfterFunc(reportInterval, l.reportSuppressed)
	}
	return false
}

// fill adds the denials that may be recorded since the last call. A clock that was set
// back adds nothing, and the next call counts from there.
func (b *bucket) fill(now time.Time, rate float64) {
	if passed := now.Sub(b.filled).Seconds(); passed > 0 {
		b.left = min(rate*burstSeconds, b.left+passed*rate)
	}
	b.filled = now
}

// reportSuppressed reports the denials that were suppressed since the last call.
func (l *limiter) reportSuppressed() {
	l.mu.Lock()
	pending := map[string]bucket{}
	for reason, b := range l.buckets {
		if b.suppressed > 0 {
			pending[reason] = *b
			b.suppressed = 0
		}
	}
	l.waiting = false
	l.mu.Unlock()
	for reason, b := range pending {
		l.report(reason, b.suppressed, b.since)
	}
}

// newID returns the id of a line: 128 random bits in hexadecimal.
func newID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // crypto/rand fills the slice or returns an error; an id of zeros does no harm in a gap
	return hex.EncodeToString(id)
}
