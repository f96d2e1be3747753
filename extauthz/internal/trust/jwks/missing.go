package jwks

import (
	"sync"
	"time"
)

// missingKeys decides whether a missing key causes a fetch. Clients choose the kids, so
// a flood of them must cause neither a flood of fetches nor unlimited memory: at most
// one entry is made per pause, and each entry is removed after a while.
//
// A kid that is asked for again causes another fetch, after a wait that doubles: a
// gateway may sign some seconds before its key is published.
type missingKeys struct {
	mu   sync.Mutex
	last time.Time // the last fetch, for any reason
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

// startFetch reports whether to fetch because of this kid, and then remembers the fetch.
// The wait between two fetches for one kid is pause at first and doubles up to longest.
// No two fetches are closer than pause.
func (m *missingKeys) startFetch(kid string, now time.Time, pause, longest time.Duration) bool {
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
