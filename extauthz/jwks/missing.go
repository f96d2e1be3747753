package jwks

import (
	"sync"
	"time"
)

// missing remembers when keys were asked for. Kids are whatever clients send, so
// that a flood of them must cause neither a flood of fetches nor a growing memory:
// one entry is made per pause, and each goes after a while.
type missing struct {
	mu   sync.Mutex
	last time.Time            // the last fetch, whatever it was for
	kids map[string]time.Time // not found, and since when
}

func (m *missing) asked(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = now
}

// want says whether to fetch for the sake of this kid.
func (m *missing) want(kid string, now time.Time, pause, memory time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.last) < pause {
		return false
	}
	if since, known := m.kids[kid]; known && now.Sub(since) < memory {
		return false
	}
	kids := map[string]time.Time{kid: now}
	for other, since := range m.kids {
		if other != kid && now.Sub(since) < memory {
			kids[other] = since
		}
	}
	m.kids, m.last = kids, now
	return true
}

// Missing has the set fetched soon if it may have got this key meanwhile. It never
// waits: whoever sent the kid is refused at once.
func (s *Source) Missing(kid string) {
	if !s.missing.want(kid, s.Now(), min(s.bounds.pause, s.Refresh), s.bounds.memory) {
		return
	}
	select {
	case s.nudges <- struct{}{}:
	default: // one is due already
	}
}
