package revocation

import "time"

// WithEntries gives a list with the entries added or, of those that stand there already,
// prolonged: adding never lifts what an entry refuses. Expired ones go. It
// reports whether anything but that changes.
func (l *List) WithEntries(now time.Time, added ...Entry) (*List, bool, error) {
	entries, at := l.live(now), map[name]int{}
	for i, e := range entries {
		at[e.name()] = i
	}
	changed := false
	for _, e := range added {
		i, known := at[e.name()]
		switch {
		case !known:
			at[e.name()] = len(entries)
			entries = append(entries, e)
		case entries[i].NotBefore.Before(e.NotBefore) || entries[i].Expires.Before(e.Expires):
			entries[i] = e.coveringAlso(entries[i])
		default:
			continue
		}
		changed = true
	}
	next, err := l.next(now, entries)
	return next, changed, err
}

func (e Entry) coveringAlso(old Entry) Entry {
	if e.NotBefore.Before(old.NotBefore) {
		e.NotBefore = old.NotBefore
	}
	if e.Expires.Before(old.Expires) {
		e.Expires = old.Expires
	}
	return e
}

// WithoutEntry gives a list in which no entry withdraws that value, and the entry that
// did.
func (l *List) WithoutEntry(now time.Time, issuer string, kind Kind, value string) (next *List, lifted Entry, found bool, err error) {
	var kept []Entry
	for _, e := range l.live(now) {
		if e.name() == (name{issuer, kind, value}) {
			lifted, found = e, true
			continue
		}
		kept = append(kept, e)
	}
	next, err = l.next(now, kept)
	return next, lifted, found, err
}

func (l *List) live(now time.Time) []Entry {
	var entries []Entry
	for _, e := range l.entries {
		if now.Before(e.Expires) {
			entries = append(entries, e)
		}
	}
	return entries
}

// next is read back as a reader will read it, so that no writer can make a
// document that readers refuse. The serial is the time in milliseconds, so that a
// list which is begun anew is later than the one that was lost.
func (l *List) next(now time.Time, entries []Entry) (*List, error) {
	if len(entries) > MaxEntries {
		return nil, ErrFull
	}
	made := List{serial: max(l.serial+1, uint64(now.UnixMilli())), entries: entries}
	return Parse(made.Document())
}
