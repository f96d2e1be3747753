package jwks

import (
	"sync"
	"time"
)

// missingKeys remembers when keys were asked for. Kids are whatever clients send, so
// that a flood of them must cause neither a flood of fetches nor a growing memory:
// one entry is made per pause, and each goes after a while. A kid that is asked for
// again has the set fetched again, after a wait that doubles: a gateway may sign some
// seconds before its key is published.
type missingKeys struct {
	mu   sync.Mutex
	last time.Time // the last fetch, whatever it was for
	kids map[string]keyAttempt
}

// keyAttempt is the last fetch for a kid that was not found.
type keyAttempt struct {
	at   time.Time
	wait time.Duration // until the next one
}

func (m *missingKeys) noteFetch(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = now
}

// wantsFetch says whether to fetch for the sake of this kid: pause after the first time,
// longest after many. No two fetches are closer than pause.
func (m *missingKeys) wantsFetch(kid string, now time.Time, pause, longest time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.last) < pause {
		return false
	}
	next := keyAttempt{at: now, wait: pause}
	if before, known := m.kids[kid]; known && now.Sub(before.at) < 2*longest {
		if now.Sub(before.at) < before.wait {
			return false
		}
		next.wait = min(2*before.wait, longest)
	}
	kids := map[string]keyAttempt{kid: next}
	for other, before := range m.kids {
		if other != kid && now.Sub(before.at) < 2*longest {
			kids[other] = before
		}
	}
	m.kids, m.last = kids, now
	return true
}

// FetchForKey has the set fetched soon if it may have got this key meanwhile. It never
// waits: whoever sent the kid is refused at once.
func (s *Source) FetchForKey(kid string) {
	if !s.missing.wantsFetch(kid, s.Now(), min(s.bounds.pause, s.Refresh), s.bounds.longest) {
		return
	}
	select {
	case s.fetchNow <- struct{}{}:
	default: // one is due already
	}
}
