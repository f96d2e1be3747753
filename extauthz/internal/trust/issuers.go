package trust

import (
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/ops"
)

// Issuers is the state of each entry, in the order of the configuration.
func (f *Registry) Issuers() []ops.Issuer {
	f.mu.Lock()
	defer f.mu.Unlock()
	inForce := f.snapshot.Load()
	var all []ops.Issuer
	for _, fleet := range f.fleets {
		issuer := ops.Issuer{Name: fleet.Trust.Issuer, Keys: inForce.keys[fleet.Trust.Issuer]}
		issuer.Dropped = len(inForce.dropped[issuer.Name])
		issuer.Conflict = inForce.owners.conflict(inForce.dropped[issuer.Name])
		if keys := fleet.Trust.Keys; keys != nil {
			issuer.Skipped = keys.SkippedKeys()
		}
		if fleet.source != nil {
			fleet.describe(&issuer)
		}
		all = append(all, issuer)
	}
	return all
}

func (f fleet) describe(i *ops.Issuer) {
	s := f.source.State()
	i.Remote, i.Fetched, i.Until = true, s.Fetched, f.source.ValidUntil()
	i.Err, i.Unreachable, i.Refused = s.Err, s.Unreachable, s.Rejected
	if s.Keys != nil {
		i.Skipped = s.Keys.SkippedKeys()
	}
}

// CheckConflicts refuses home entries whose files hold a key that is, now, the key of another
// home entry's URL: both are ours, so that it is a mistake of the configuration. Of any
// other two entries that share a key, one keeps it and the other's copy is dropped.
func (f *Registry) CheckConflicts(entries []Entry) error {
	s := f.snapshot.Load()
	if s == nil {
		return nil
	}
	remote := map[string]bool{}
	for _, entry := range entries {
		remote[entry.Trust.Issuer] = entry.Remote != nil && entry.Trust.Home
	}
	for _, entry := range entries {
		if entry.Remote != nil || !entry.Trust.Home {
			continue
		}
		foreign := s.owners.foreign(entry.Trust.Issuer, entry.Trust.Keys)
		foreign = slices.DeleteFunc(foreign, func(kid string) bool { return !remote[s.owners[kid]] })
		if err := s.owners.conflict(foreign); err != nil {
			return err
		}
	}
	return nil
}
