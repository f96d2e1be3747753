// Package revoke is `meshpass revoke`: it puts tokens, sessions, users and keys on
// the list of what does not hold any more, shows the list, and takes entries off.
//
// A list is a file or a key in Redis. Every change is of the whole document and
// atomic, may be repeated, and says who made it. Adding never shortens what stands
// there: to let somebody in earlier, remove the entry.
package listedit

import (
	"errors"
	"fmt"
	"time"

	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// ErrNo says that the list's state speaks against what was asked. Nothing was
// written.
var ErrNotDone = errors.New("not done")

var (
	errNoList  = fmt.Errorf("%w: there is no list yet: make one with meshpass revoke init, if none was lost", ErrNotDone)
	errNoEntry = fmt.Errorf("%w: no such entry", ErrNotDone)
)

// MaxFor is the longest time that an entry can be asked for.
const MaxFor = 366 * 24 * time.Hour

// afterwards is how long a token can still be accepted once no more are signed:
// its life, and the largest difference of clocks that a verifier may forgive.
const longestAcceptance = token.MaxLifetime + token.MaxLeeway

// Store is a place that holds a list.
type Store interface {
	Change(func(*revocation.List) (*revocation.List, error)) error
	String() string
}

// Request is what is to be revoked.
type Request struct {
	Issuer string
	Kind   revocation.Kind
	Value  string
	For    time.Duration // sid, sub: how long nobody gets in; kid: how long the key counts as revoked
	By     string
	Reason string
	Now    time.Time
	After  uint64 // of Init: the serial that the new list follows; 0: none
}

// newEntry covers gateways whose clocks are ahead: what they sign now may say that it
// was issued up to a leeway from now. That leeway is the largest that any verifier may
// have: this list does not know theirs.
func (o Request) newEntry() revocation.Entry {
	e := revocation.Entry{Issuer: o.Issuer, Kind: o.Kind, Value: o.Value, By: o.By, Reason: o.Reason}
	until := o.Now.Add(o.For + token.MaxLeeway).UTC().Truncate(time.Second)
	if o.Kind == revocation.SID || o.Kind == revocation.Sub {
		e.NotBefore = until
	}
	e.Expires = until.Add(longestAcceptance)
	return e
}

// requireUsable refuses to build on a list that no reader accepts: the change would have no
// effect and look as if it had.
func requireUsable(before *revocation.List, now time.Time) error {
	if before == nil {
		return errNoList
	}
	if err := before.CheckSerial(now); err != nil {
		return fmt.Errorf("%w: no authorizer and no gateway accepts this list: remove it (the file, or the key in Redis), run meshpass revoke init, and revoke again what must hold", err)
	}
	return nil
}

// Add revokes. A second time it prolongs the entry.
func Add(s Store, o Request) (Report, error) {
	r := Report{Action: "revoked", Place: s.String(), At: o.Now.UTC(), By: o.By}
	if err := o.checkValue(); err != nil {
		return r, err
	}
	err := s.Change(func(before *revocation.List) (*revocation.List, error) {
		if err := requireUsable(before, o.Now); err != nil {
			return nil, err
		}
		after, changed, err := before.WithEntries(o.Now, o.newEntry())
		if err != nil {
			return nil, err
		}
		r.Changed, r.Entry, r.Entries, r.Serial = changed, findEntry(after, o), after.Len(), after.Serial()
		if !changed {
			r.Serial = before.Serial()
			return nil, nil
		}
		return after, nil
	})
	return r, err
}

// Remove takes an entry off: tokens that it refused and that have not ended hold
// again.
func Remove(s Store, o Request) (Report, error) {
	r := Report{Action: "removed", Place: s.String(), At: o.Now.UTC(), By: o.By, Changed: true}
	err := s.Change(func(before *revocation.List) (*revocation.List, error) {
		if err := requireUsable(before, o.Now); err != nil {
			return nil, err
		}
		after, lifted, found, err := before.WithoutEntry(o.Now, o.Issuer, o.Kind, o.Value)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, errNoEntry
		}
		r.Entry, r.Entries, r.Serial = &lifted, after.Len(), after.Serial()
		return after, nil
	})
	return r, err
}

// Init makes an empty list where there is none.
func Init(s Store, o Request) (Report, error) {
	r := Report{Action: "made", Place: s.String(), At: o.Now.UTC(), By: o.By}
	err := s.Change(func(before *revocation.List) (*revocation.List, error) {
		if before != nil {
			r.Entries, r.Serial = before.Len(), before.Serial()
			return nil, nil
		}
		empty, err := revocation.NewEmptyList(o.Now, o.After)
		if err != nil {
			return nil, err
		}
		r.Changed, r.Serial = true, empty.Serial()
		return empty, nil
	})
	return r, err
}

// ReadAll gives the list.
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

func findEntry(l *revocation.List, o Request) *revocation.Entry {
	for _, e := range l.Entries() {
		if e.Issuer == o.Issuer && e.Kind == o.Kind && e.Value == o.Value {
			return &e
		}
	}
	return nil
}
