package revocation

import (
	"errors"
	"fmt"
	"time"
)

// WithEntries returns the list with these entries added. An entry that is listed already is
// prolonged where the new one is later, and never shortened. Expired entries are removed.
// changed is false if no entry is new or longer. The error is [ErrFull].
func (l *List) WithEntries(now time.Time, added ...Entry) (next *List, changed bool, err error) {
	entries, index := l.unexpired(now), map[entryName]int{}
	for i, e := range entries {
		index[e.name()] = i
	}
	for _, e := range added {
		i, known := index[e.name()]
		switch {
		case !known:
			index[e.name()] = len(entries)
			entries = append(entries, e)
		case entries[i].NotBefore.Before(e.NotBefore) || entries[i].Expires.Before(e.Expires):
			entries[i] = e.prolongedBy(entries[i])
		default:
			continue
		}
		changed = true
	}
	next, err = l.next(now, entries)
	return next, changed, err
}

// prolongedBy returns the entry with the later times of both.
func (e Entry) prolongedBy(old Entry) Entry {
	if e.NotBefore.Before(old.NotBefore) {
		e.NotBefore = old.NotBefore
	}
	if e.Expires.Before(old.Expires) {
		e.Expires = old.Expires
	}
	return e
}

// WithoutEntry returns the list without the entry for this value, and the removed entry.
// found is false if there is no such entry.
func (l *List) WithoutEntry(now time.Time, issuer string, kind Kind, value string) (next *List, removed Entry, found bool, err error) {
	var kept []Entry
	for _, e := range l.unexpired(now) {
		if e.name() == (entryName{issuer: issuer, kind: kind, value: value}) {
			removed, found = e, true
			continue
		}
		kept = append(kept, e)
	}
	next, err = l.next(now, kept)
	return next, removed, found, err
}

func (l *List) unexpired(now time.Time) []Entry {
	var entries []Entry
	for _, e := range l.entries {
		if now.Before(e.Expires) {
			entries = append(entries, e)
		}
	}
	return entries
}

// next returns a later list with these entries. It reads the new document back as a reader
// will, so that no writer makes a document that readers reject. The serial is the time in
// milliseconds, so that a new list is later than one that was lost.
func (l *List) next(now time.Time, entries []Entry) (*List, error) {
	if len(entries) > MaxEntries {
		return nil, ErrFull
	}
	later := List{serial: max(l.serial+1, uint64(now.UnixMilli())), entries: entries}
	return Parse(later.Document())
}

// MaxAhead is how far the serial of a list, a time in milliseconds, may be ahead of the
// reader's clock. The clocks of writers differ by seconds. A list that is further ahead
// would be the latest one until its time has come.
const MaxAhead = 24 * time.Hour

// ErrAhead is the error for a serial that is more than [MaxAhead] ahead of the clock.
var ErrAhead = errors.New("the serial is more than 24 h ahead of the clock here")

// CheckSerial rejects a list whose serial is more than [MaxAhead] ahead of now.
func (l *List) CheckSerial(now time.Time) error {
	if l.serial <= uint64(max(now.Add(MaxAhead).UnixMilli(), 0)) {
		return nil
	}
	return fmt.Errorf("%w: serial %d is of %s, the clock here says %s; the writer of the list has a wrong clock, or this machine has",
		ErrAhead, l.serial, time.UnixMilli(int64(l.serial)).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
}

// NewEmptyList returns a list without entries that is later than a list with the serial
// after. The error is [ErrAhead] if that serial is not below now plus [MaxAhead].
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
