package revocation

import (
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"
)

// MaxAhead is how far the serial of a list, a time in milliseconds, may be ahead of the
// reader's clock. Writers' clocks differ by seconds; a list that is further ahead would
// count as the latest one for as long.
const MaxAhead = 24 * time.Hour

// ErrAhead says that a list's serial is further ahead than any honest clock.
var ErrAhead = errors.New("the serial is more than 24 h ahead of the clock here")

// CheckSerial rejects a list whose serial is more than [MaxAhead] ahead of now.
func (l *List) CheckSerial(now time.Time) error {
	if l.serial <= uint64(max(now.Add(MaxAhead).UnixMilli(), 0)) {
		return nil
	}
	return fmt.Errorf("%w: serial %d is of %s, the clock here says %s; the writer of the list has a wrong clock, or this machine has",
		ErrAhead, l.serial, time.UnixMilli(int64(l.serial)).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
}

// NewEmptyList is a list without entries that is later than a list with the serial after. It is
// an error if that is more than [MaxAhead] ahead of now.
func NewEmptyList(now time.Time, after uint64) (*List, error) {
	if after >= maxSerial {
		return nil, fmt.Errorf("%w: %d", ErrAhead, after)
	}
	l, err := (&List{serial: after}).next(now, nil)
	if err != nil {
		return nil, err
	}
	return l, l.CheckSerial(now)
}

// alarmFor is how long a vanished entry is shown.
const alarmFor = time.Hour

// Vanished is an entry that left the list, or refuses less than before, while it had not
// expired. That is what meshpass revoke remove does, and what an older copy of the list
// and a hostile writer do.
type Vanished struct {
	Entry
	At time.Time
}

// History follows the active lists of one source and remembers what no honest writer
// does without being asked. The zero value is ready. Its methods may be called from
// many goroutines.
type History struct {
	mu       sync.Mutex
	list     *List  // the active one; nil: none yet
	highest  uint64 // serial
	vanished map[name]Vanished
	count    uint64
}

// Observe notes the list that is active from now on, and gives the entries that vanished
// with this change, in the order of the list before.
func (h *History) Observe(next *List, now time.Time) (gone []Vanished) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for n, v := range h.vanished {
		if now.Sub(v.At) >= alarmFor || !now.Before(v.Expires) || next.covers(v.Entry) {
			delete(h.vanished, n)
		}
	}
	if h.list != nil {
		for _, e := range h.list.live(now) {
			if !next.covers(e) {
				gone = append(gone, Vanished{e, now})
			}
		}
	}
	if h.vanished == nil {
		h.vanished = map[name]Vanished{}
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

// covers reports whether the list refuses all that the entry does.
func (l *List) covers(e Entry) bool {
	now, listed := l.index[e.name()]
	return listed && !now.NotBefore.Before(e.NotBefore) && !now.Expires.Before(e.Expires)
}

// Vanished are the entries that vanished within the last hour, would not have expired
// yet, and have not come back; sorted by issuer, kind and value.
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

// VanishedCount is how many entries have vanished since the start.
func (h *History) VanishedCount() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// RolledBack gives the serial of the active list and, if that is lower, the highest one that
// was active before it.
func (h *History) RolledBack() (active, before uint64, back bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.list == nil {
		return 0, 0, false
	}
	return h.list.serial, h.highest, h.list.serial < h.highest
}

// maxNamed is how many entries a text names.
const maxNamed = 5

// Alarms says in words what should alarm an operator, a line each.
func (h *History) Alarms(now time.Time) (all []string) {
	if active, before, back := h.RolledBack(); back {
		all = append(all, fmt.Sprintf("the list is older than the one before: serial %d after %d; an old copy was put in its place, or it was written by hand: "+
			"revoke again what must hold, by meshpass revoke, which makes it the latest list", active, before))
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
	return append(all, text+"; expected after meshpass revoke remove, otherwise revoke them again and find out who writes the list")
}

// UnknownIssuers lists the issuers of entries that are none of those given, each once and
// sorted, and counts these entries. They refuse nothing here.
func (l *List) UnknownIssuers(issuers []string) (unknown []string, entries int) {
	known := map[string]bool{}
	for _, issuer := range issuers {
		known[issuer] = true
	}
	seen := map[string]bool{}
	for _, e := range l.entries {
		if known[e.Issuer] {
			continue
		}
		entries++
		if !seen[e.Issuer] {
			seen[e.Issuer] = true
			unknown = append(unknown, e.Issuer)
		}
	}
	sort.Strings(unknown)
	return unknown, entries
}
