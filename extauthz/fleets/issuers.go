package fleets

import (
	"cmp"
	"fmt"

	"github.com/meshpass/meshpass/extauthz/ops"
)

// Issuers is the state of each entry, in the order of the configuration.
func (f *Fleets) Issuers() []ops.Issuer {
	f.mu.Lock()
	defer f.mu.Unlock()
	inForce := f.snapshot.Load()
	var all []ops.Issuer
	for _, fleet := range f.fleets {
		issuer := ops.Issuer{Name: fleet.Trust.Issuer, Keys: inForce.keys[fleet.Trust.Issuer]}
		if fleet.source != nil {
			fleet.describe(&issuer)
			issuer.Err = cmp.Or(issuer.Err, inForce.conflicts[fleet.Trust.Issuer])
		}
		all = append(all, issuer)
	}
	return all
}

func (f fleet) describe(i *ops.Issuer) {
	s := f.source.State()
	i.Remote, i.Fetched, i.Until = true, s.Fetched, f.source.Until()
	i.Err, i.Unreachable, i.Refused = s.Err, s.Unreachable, s.Refused
}

// Conflict refuses entries whose files hold a key that is, now, the key of another
// entry's URL.
func (f *Fleets) Conflict(entries []Entry) error {
	s := f.snapshot.Load()
	if s == nil {
		return nil
	}
	remote := map[string]bool{}
	for _, entry := range entries {
		remote[entry.Trust.Issuer] = entry.Remote != nil
	}
	for _, entry := range entries {
		if entry.Remote != nil {
			continue
		}
		if kid, owner := s.foreign(entry.Trust.Issuer, entry.Trust.Keys); remote[owner] {
			return keyOf(kid, owner)
		}
	}
	return nil
}

func keyOf(kid, owner string) error {
	return fmt.Errorf("key %s is also a key of %s: one key speaks for one issuer", kid, owner)
}
