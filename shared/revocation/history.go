package revocation

import (
	"fmt"
	"sort"
	"sync"
	"time"
)

// alarmFor is how long a vanished entry is reported.
const alarmFor = time.Hour

// Vanished is an entry that was removed from the list, or made shorter, before it expired.
// meshpass revoke remove does that, and so do an older copy of the list and a hostile
// writer.
type Vanished struct {
	Entry
	At time.Time
}

// History follows the active lists of one source. It remembers changes that an honest
// writer makes only on request: entries that vanish, and a serial that goes back. The zero
// value is ready. Its methods may be called from many goroutines.
type History struct {
	mu       sync.Mutex
	list     *List  // the active one; nil before the first
	highest  uint64 // serial
	vanished map[entryName]Vanished
	count    uint64
}

// Observe records that this list is active from now on. It returns the entries that vanish
// with the change, in the order of the list before.
func (h *History) Observe(next *List, now time.Time) (gone []Vanished) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for n, v := range h.vanished {
		if now.Sub(v.At) >= alarmFor || !now.Before(v.Expires) || next.covers(v.Entry) {
			delete(h.vanished, n)
		}
	}
	if h.list != nil {
		for _, e := range h.list.unexpired(now) {
			if !next.covers(e) {
				gone = append(gone, Vanished{Entry: e, At: now})
			}
		}
	}
	if h.vanished == nil {
		h.vanished = map[entryName]Vanished{}
	}
	for _, v := range gone {
		if len(h.vanished) < MaxEntries {
			h.vanished[v.name()] = v
		}
	}
	h.count += uint64(len(gone))
	h.list, h.highest = next, max(h.highest, next.serial)
	return gone
}

// covers reports whether the list revokes every token that the entry revokes.
func (l *List) covers(e Entry) bool {
	current, listed := l.index[e.name()]
	return listed && !current.NotBefore.Before(e.NotBefore) && !current.Expires.Before(e.Expires)
}

// Vanished returns the entries that vanished within the last hour, have not expired since,
// and have not come back. They are sorted by issuer, kind and value.
func (h *History) Vanished(now time.Time) (all []Vanished) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range h.vanished {
		if now.Sub(v.At) < alarmFor && now.Before(v.Expires) {
			all = append(all, v)
		}
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i].name(), all[j].name()
		if a.issuer != b.issuer {
			return a.issuer < b.issuer
		}
		if a.kind != b.kind {
			return a.kind < b.kind
		}
		return a.value < b.value
	})
	return all
}

// VanishedCount returns the number of entries that have vanished since the start.
func (h *History) VanishedCount() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// RolledBack reports whether an earlier list had a higher serial than the active one, and
// returns both serials. before is the highest of all.
func (h *History) RolledBack() (active, before uint64, rolledBack bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.list == nil {
		return 0, 0, false
	}
	return h.list.serial, h.highest, h.list.serial < h.highest
}

// maxNamed is how many entries an alarm names.
const maxNamed = 5

// Alarms returns one line for each state that an operator should look at: a list that went
// back, and vanished entries.
func (h *History) Alarms(now time.Time) (all []string) {
	if active, before, rolledBack := h.RolledBack(); rolledBack {
		all = append(all, fmt.Sprintf("the list is older than the one before: serial %d after %d; an old copy replaced it, or it was written by hand: "+
			"revoke again what must stay revoked, with meshpass revoke, which makes it the latest list", active, before))
	}
	vanished := h.Vanished(now)
	if len(vanished) == 0 {
		return all
	}
	text := fmt.Sprintf("%d entries vanished before they expire", len(vanished))
	for i, v := range vanished {
		if i == maxNamed {
			text += ", and more"
			break
		}
		text += fmt.Sprintf("%s %s %s of %s at %s", map[bool]string{true: ":", false: ","}[i == 0], v.Kind, v.Value, v.Issuer, v.At.UTC().Format(time.RFC3339))
	}
	return append(all, text+"; expected after meshpass revoke remove; otherwise revoke them again and find out who writes the list")
}
