// Package listedit changes a list of revocations, as `meshpass revoke` does: it adds and
// removes entries for tokens, sessions, users and keys, and shows the list.
//
// A list is a file or a key in Redis. Every change replaces the whole document at once,
// may be repeated, and names who made it. Adding an entry never shortens an earlier
// entry: to admit a user earlier, remove the entry.
package listedit

import (
	"errors"
	"fmt"
	"time"

	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// ErrNotDone is the error of a change that the state of the list does not allow. Nothing
// was written.
var ErrNotDone = errors.New("not done")

var (
	errNoList  = fmt.Errorf("%w: there is no list yet: make one with meshpass revoke init, if no list was lost", ErrNotDone)
	errNoEntry = fmt.Errorf("%w: no such entry", ErrNotDone)
)

// MaxFor is the longest Request.For.
const MaxFor = 366 * 24 * time.Hour

// longestAcceptance is how long a verifier can still accept a token after it was issued:
// its lifetime, and the largest clock difference that a verifier may tolerate.
const longestAcceptance = token.MaxLifetime + token.MaxLeeway

// Store is a place that holds a list.
type Store interface {
	// Change calls change with the list, or nil if there is no list, and writes the list
	// that it returns; nil: nothing is written.
	Change(change func(*revocation.List) (*revocation.List, error)) error
	// String names the place in messages.
	String() string
}

// Request describes an entry to add or remove, and who asks for it.
type Request struct {
	Issuer string
	Kind   revocation.Kind
	Value  string
	For    time.Duration // sid, sub: how long no token is accepted; kid: how long the key counts as revoked
	By     string
	Reason string
	Now    time.Time
	After  uint64 // of Init: the serial that the new list follows; 0: the clock alone decides
}

// newEntry also covers gateways whose clocks are ahead: their tokens may have an iat up
// to a leeway from now. The list does not know the leeway of its readers, so it uses the
// largest one that can be configured.
func (r Request) newEntry() revocation.Entry {
	entry := revocation.Entry{Issuer: r.Issuer, Kind: r.Kind, Value: r.Value, By: r.By, Reason: r.Reason}
	until := r.Now.Add(r.For + token.MaxLeeway).UTC().Truncate(time.Second)
	if r.Kind == revocation.SID || r.Kind == revocation.Sub {
		entry.NotBefore = until
	}
	entry.Expires = until.Add(longestAcceptance)
	return entry
}

// newReport is the report of a request that has not changed the list yet.
func (r Request) newReport(action string, s Store) Report {
	return Report{Action: action, Place: s.String(), At: r.Now.UTC(), By: r.By}
}

// requireUsable rejects a list that every reader rejects: a change would have no effect
// and look as if it had one.
func requireUsable(before *revocation.List, now time.Time) error {
	if before == nil {
		return errNoList
	}
	if err := before.CheckSerial(now); err != nil {
		return fmt.Errorf("%w: authorizers and gateways reject this list: remove it (the file, or the key in Redis), run meshpass revoke init, and add the entries again", err)
	}
	return nil
}

// Add adds an entry, or extends the one that exists.
func Add(s Store, r Request) (Report, error) {
	report := r.newReport("revoked", s)
	if err := r.checkValue(); err != nil {
		return report, err
	}
	err := s.Change(func(before *revocation.List) (*revocation.List, error) {
		if err := requireUsable(before, r.Now); err != nil {
			return nil, err
		}
		after, changed, err := before.WithEntries(r.Now, r.newEntry())
		if err != nil {
			return nil, err
		}
		report.Changed, report.Entry, report.Entries, report.Serial = changed, findEntry(after, r), after.Len(), after.Serial()
		if !changed {
			report.Serial = before.Serial()
			return nil, nil
		}
		return after, nil
	})
	return report, err
}

// Remove removes an entry. Its tokens that have not expired are accepted again.
func Remove(s Store, r Request) (Report, error) {
	report := r.newReport("removed", s)
	report.Changed = true
	err := s.Change(func(before *revocation.List) (*revocation.List, error) {
		if err := requireUsable(before, r.Now); err != nil {
			return nil, err
		}
		after, removed, found, err := before.WithoutEntry(r.Now, r.Issuer, r.Kind, r.Value)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, errNoEntry
		}
		report.Entry, report.Entries, report.Serial = &removed, after.Len(), after.Serial()
		return after, nil
	})
	return report, err
}

// Init makes an empty list, if there is no list.
func Init(s Store, r Request) (Report, error) {
	report := r.newReport("made", s)
	err := s.Change(func(before *revocation.List) (*revocation.List, error) {
		if before != nil {
			report.Entries, report.Serial = before.Len(), before.Serial()
			return nil, nil
		}
		empty, err := revocation.NewEmptyList(r.Now, r.After)
		if err != nil {
			return nil, err
		}
		report.Changed, report.Serial = true, empty.Serial()
		return empty, nil
	})
	return report, err
}

// ReadAll returns all entries of the list.
func ReadAll(s Store) (Listing, error) {
	l := Listing{Place: s.String(), Entries: []revocation.Entry{}}
	err := s.Change(func(list *revocation.List) (*revocation.List, error) {
		if list == nil {
			return nil, errNoList
		}
		l.Serial, l.Entries = list.Serial(), append(l.Entries, list.Entries()...)
		return nil, nil
	})
	return l, err
}

func findEntry(l *revocation.List, r Request) *revocation.Entry {
	for _, e := range l.Entries() {
		if e.Issuer == r.Issuer && e.Kind == r.Kind && e.Value == r.Value {
			return &e
		}
	}
	return nil
}
