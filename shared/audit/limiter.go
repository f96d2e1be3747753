package audit

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultAnonymous is how many denials a second are recorded of callers of whom nothing
// was verified, for each reason by itself, so that a flood of one kind does not hide
// another.
const DefaultAnonymous = 10

// burstSeconds is for how long a flood is recorded in full after a quiet time.
const burstSeconds = 20

// noteInterval is how long suppressed denials are gathered before they are noted.
const noteInterval = time.Second

// limiter decides which anonymous denials are recorded one by one. Reasons are a
// closed list, so the number of its buckets is bounded.
type limiter struct {
	perSecond atomic.Int64
	report    func(reason string, count uint64, since time.Time)
	total     atomic.Uint64

	mu      sync.Mutex
	buckets map[string]*bucket
	waiting bool // a timer will note what was suppressed
}

type bucket struct {
	left       float64 // records that may be written now
	filled     time.Time
	suppressed uint64 // that were not noted yet
	since      time.Time
}

func newLimiter(perSecond int, report func(string, uint64, time.Time)) *limiter {
	l := &limiter{report: report, buckets: map[string]*bucket{}}
	l.perSecond.Store(int64(perSecond))
	return l
}

// admits reports whether a denial is recorded by itself. If not, it is counted in
// the note of its reason.
func (l *limiter) admits(now time.Time, reason string) bool {
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
		time.AfterFunc(noteInterval, l.note)
	}
	return false
}

// fill adds what has become free since the last time. A clock that was set back
// adds nothing, and counts on from there.
func (b *bucket) fill(now time.Time, rate float64) {
	if passed := now.Sub(b.filled).Seconds(); passed > 0 {
		b.left = min(rate*burstSeconds, b.left+passed*rate)
	}
	b.filled = now
}

// note reports what was suppressed since it was called last.
func (l *limiter) note() {
	l.mu.Lock()
	noted := map[string]bucket{}
	for reason, b := range l.buckets {
		if b.suppressed > 0 {
			noted[reason] = *b
			b.suppressed = 0
		}
	}
	l.waiting = false
	l.mu.Unlock()
	for reason, b := range noted {
		l.report(reason, b.suppressed, b.since)
	}
}

// newID is a record's, from 128 random bits.
func newID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // without an error it fills; an id of zeros in a gap harms nobody
	return hex.EncodeToString(id)
}
