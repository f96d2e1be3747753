package trust

import (
	"fmt"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/trust/jwks"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// snapshot is all that follows from the entries and their key sets at one moment.
type snapshot struct {
	verifier  *token.Verifier
	owners    owners
	keys      map[string]int          // how many may be used, by issuer
	dropped   map[string][]string     // kids in an issuer's set that are another issuer's, and not used
	sources   map[string]*jwks.Source // by issuer, of those at a URL
	published map[string][]byte       // key set by issuer; of all under the empty name; nil: no keys now
}

// changed follows a source. What is in force stays if nothing can be made of it.
func (f *Registry) changed() {
	f.mu.Lock()
	if len(f.fleets) == 0 {
		f.mu.Unlock()
		return // the first Apply is under way
	}
	before := f.snapshot.Load()
	if err := f.remake(); err != nil {
		f.Log.Error("trust not made anew, what was trusted before still is", "error", err)
	}
	after, fleets := f.snapshot.Load(), slices.Clone(f.fleets)
	f.mu.Unlock()
	saveOwners(fleets, before, after)
}

// saveOwners has the seeds say what changed of whose key is whose.
func saveOwners(fleets []fleet, before, after *snapshot) {
	for _, fleet := range fleets {
		if fleet.source != nil && (before == nil || !slices.Equal(before.owned(fleet), after.owned(fleet))) {
			fleet.source.SaveSeed()
		}
	}
}

// owned lists the keys of the fleet's set that are its own, sorted.
func (s *snapshot) owned(f fleet) (kids []string) {
	for kid, owner := range s.owners {
		if owner == f.Trust.Issuer {
			kids = append(kids, kid)
		}
	}
	slices.Sort(kids)
	return kids
}

// remake makes the snapshot; f.mu is held. A key that several sets have is used for its
// owner alone: of the other sets it is dropped, and the rest of them is used.
func (f *Registry) remake() error {
	before := f.snapshot.Load()
	var had owners
	if before != nil {
		had = before.owners
	}
	for i := range f.fleets {
		f.fleets[i].set = f.fleets[i].keysNow()
	}
	s := &snapshot{
		owners: ownersOf(f.fleets, remembered(had, f.fleets)), keys: map[string]int{}, dropped: map[string][]string{},
		sources: map[string]*jwks.Source{}, published: map[string][]byte{},
	}
	var trust []token.Trust
	for _, fleet := range f.fleets {
		trust = append(trust, s.trustOf(fleet))
	}
	var err error
	if s.verifier, err = token.NewVerifier(trust, f.Domains, f.Options); err != nil {
		return err
	}
	if err := s.publish(f.fleets, trust); err != nil {
		return err
	}
	f.snapshot.Store(s)
	f.logDropped(before, s)
	for _, n := range s.keys {
		if n > 0 {
			f.once.Do(func() { close(f.usable) })
		}
	}
	return nil
}

func (s *snapshot) trustOf(f fleet) token.Trust {
	trust := f.Trust
	issuer := trust.Issuer
	if f.source != nil {
		s.sources[issuer] = f.source
	}
	trust.Keys = f.set
	if trust.Keys != nil {
		s.dropped[issuer] = s.owners.foreign(issuer, trust.Keys)
		trust.Keys = trust.Keys.Without(s.dropped[issuer]...)
	}
	trust.NoKeys = trust.Keys == nil
	if trust.Keys != nil {
		s.keys[issuer] = len(trust.Keys.KeyIDs())
	}
	return trust
}

// logDropped logs each key that is dropped from now on, once.
func (f *Registry) logDropped(before, after *snapshot) {
	for issuer, kids := range after.dropped {
		if before != nil && slices.Equal(before.dropped[issuer], kids) {
			continue
		}
		for _, kid := range kids {
			f.Log.Error("an issuer publishes a key of another issuer: it is not used for the former, the rest of its set is",
				"issuer", issuer, "kid", kid, "owner", after.owners[kid])
		}
	}
}

// accept judges a set that a source has fetched, before it is active. Keys of other
// issuers in it are dropped later; a set that has no key of its own is no set to use.
// A source that is being applied is not judged by the entries that it replaces: of
// these, one may be gone in a moment, and home is what the new entries say.
func (f *Registry) accept(c jwks.Config, keys *keyset.PublicKeys) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.snapshot.Load()
	if s == nil || !slices.ContainsFunc(f.fleets, func(now fleet) bool { return now.source != nil && now.source.Config == c }) {
		return nil
	}
	issuer := c.Issuer
	home := f.home()
	foreign := slices.DeleteFunc(s.owners.foreign(issuer, keys), func(kid string) bool {
		return home[issuer] && !home[s.owners[kid]] // which home takes back
	})
	if keys.Without(foreign...) == nil {
		return fmt.Errorf("no key of its own: %w", s.owners.conflict(foreign))
	}
	return nil
}

func (f *Registry) home() map[string]bool {
	home := map[string]bool{}
	for _, fleet := range f.fleets {
		home[fleet.Trust.Issuer] = fleet.Trust.Home
	}
	return home
}

// ownedBy lists the kids of the set that are the issuer's own. It is not known of an
// issuer whose entry is being applied.
func (f *Registry) ownedBy(issuer string, keys *keyset.PublicKeys) (kids []string, known bool) {
	s := f.snapshot.Load()
	if s == nil || s.sources[issuer] == nil {
		return nil, false
	}
	return slices.DeleteFunc(keys.KeyIDs(), func(kid string) bool { return s.owners[kid] != issuer }), true
}

func (s *snapshot) publish(fleets []fleet, trust []token.Trust) error {
	var all []*keyset.PublicKeys
	for i, fleet := range fleets {
		if !fleet.Publish {
			continue
		}
		s.published[""], s.published[fleet.Trust.Issuer] = nil, nil
		keys := trust[i].Keys
		if keys == nil {
			continue
		}
		all = append(all, keys)
		data, err := keyset.MarshalJWKS(keys)
		if err != nil {
			return err
		}
		s.published[fleet.Trust.Issuer] = data
	}
	if len(all) == 0 {
		return nil
	}
	var err error
	s.published[""], err = keyset.MarshalJWKS(all...)
	return err
}

// Published is the key set of an issuer whose entry says so, or of all of them for
// the empty name. Nil data: there are no keys now.
func (f *Registry) Published(issuer string) (data []byte, known bool) {
	s := f.snapshot.Load()
	if s == nil {
		return nil, false
	}
	data, known = s.published[issuer]
	return data, known
}
