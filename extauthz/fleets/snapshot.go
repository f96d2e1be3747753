package fleets

import (
	"github.com/meshpass/meshpass/extauthz/jwks"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// snapshot is all that follows from the entries and their key sets at one moment.
type snapshot struct {
	verifier  *token.Verifier
	owners    map[string]string       // issuer by kid
	keys      map[string]int          // how many may be used, by issuer
	conflicts map[string]error        // why an issuer's set is not used, though it was fetched
	sources   map[string]*jwks.Source // by issuer, of those at a URL
	published map[string][]byte       // key set by issuer; of all under the empty name; nil: no keys now
}

// changed follows a source. What is in force stays if nothing can be made of it.
func (f *Fleets) changed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.fleets) == 0 {
		return // the first Apply is under way
	}
	if err := f.remake(); err != nil {
		f.Log.Error("trust not made anew, what was trusted before still is", "error", err)
	}
}

// remake makes the snapshot; f.mu is held. Sets of files come first: should a URL
// hold a key of theirs, its issuer is without keys, and of two URLs the later one.
func (f *Fleets) remake() error {
	s := &snapshot{
		owners: map[string]string{}, keys: map[string]int{}, conflicts: map[string]error{},
		sources: map[string]*jwks.Source{}, published: map[string][]byte{},
	}
	for _, fleet := range f.fleets {
		if fleet.source == nil {
			s.own(fleet.Trust.Issuer, fleet.Trust.Keys)
		}
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
	if len(s.owners) > 0 {
		f.once.Do(func() { close(f.usable) })
	}
	return nil
}

func (s *snapshot) own(issuer string, keys *keyset.Public) {
	for _, kid := range keys.IDs() {
		s.owners[kid] = issuer
	}
	s.keys[issuer] = len(keys.IDs())
}

func (s *snapshot) trustOf(f fleet) token.Trust {
	trust := f.Trust
	if f.source == nil {
		return trust
	}
	s.sources[trust.Issuer] = f.source
	keys := f.source.State().Keys
	if keys != nil {
		if kid, owner := s.foreign(trust.Issuer, keys); kid != "" {
			keys, s.conflicts[trust.Issuer] = nil, keyOf(kid, owner)
		}
	}
	if keys != nil {
		s.own(trust.Issuer, keys)
	}
	trust.Keys, trust.NoKeys = keys, keys == nil
	return trust
}

// foreign finds a key that is another issuer's; empty: there is none.
func (s *snapshot) foreign(issuer string, keys *keyset.Public) (kid, owner string) {
	for _, kid := range keys.IDs() {
		if owner, known := s.owners[kid]; known && owner != issuer {
			return kid, owner
		}
	}
	return "", ""
}

// accept judges a set that a source has fetched, before it is in force.
func (f *Fleets) accept(issuer string, keys *keyset.Public) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.snapshot.Load()
	if s == nil {
		return nil
	}
	if kid, owner := s.foreign(issuer, keys); kid != "" {
		return keyOf(kid, owner)
	}
	return nil
}

func (s *snapshot) publish(fleets []fleet, trust []token.Trust) error {
	var all []*keyset.Public
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
func (f *Fleets) Published(issuer string) (data []byte, known bool) {
	s := f.snapshot.Load()
	if s == nil {
		return nil, false
	}
	data, known = s.published[issuer]
	return data, known
}
