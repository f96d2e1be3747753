package trust

import (
	"log/slog"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/trust/jwks"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// snapshot is the state of all entries and their key sets at one moment. It never
// changes.
type snapshot struct {
	verifier  *token.Verifier
	owners    owners
	usable    map[string][]string     // kids that may be used, by issuer; sorted
	dropped   map[string][]string     // kids of an issuer's set that another issuer owns: not used
	sources   map[string]*jwks.Source // by issuer, of key sets at a URL
	published map[string][]byte       // JWKS document by issuer, and of all of them under ""; nil: no keys now
}

// newSnapshot makes the verifier of the entries, whose field keys it sets. A key that
// several sets hold is used for its owner only: it is dropped from the other sets, and
// the rest of these is used.
func newSnapshot(config Config, before *snapshot, entries []trustEntry) (*snapshot, error) {
	var known owners
	if before != nil {
		known = before.owners
	}
	for i := range entries {
		entries[i].keys = entries[i].currentKeys()
	}
	s := &snapshot{
		owners: assignOwners(entries, known.withSeeds(entries)), usable: map[string][]string{}, dropped: map[string][]string{},
		sources: map[string]*jwks.Source{}, published: map[string][]byte{},
	}
	var trusted []token.Trust
	for _, e := range entries {
		trusted = append(trusted, s.addEntry(e))
	}
	var err error
	if s.verifier, err = token.NewVerifier(trusted, config.Domains, config.Options); err != nil {
		return nil, err
	}
	return s, s.publishKeys(entries, trusted)
}

// addEntry returns what the verifier trusts of an entry.
func (s *snapshot) addEntry(e trustEntry) token.Trust {
	trusted := e.config.Trust
	issuer := trusted.Issuer
	if e.source != nil {
		s.sources[issuer] = e.source
	}
	trusted.Keys = e.keys
	if trusted.Keys != nil {
		s.dropped[issuer] = s.owners.keysOfOthers(issuer, trusted.Keys)
		trusted.Keys = trusted.Keys.Without(s.dropped[issuer]...)
	}
	trusted.NoKeys = trusted.Keys == nil
	if trusted.Keys != nil {
		s.usable[issuer] = slices.Sorted(slices.Values(trusted.Keys.KeyIDs()))
	}
	return trusted
}

func (s *snapshot) publishKeys(entries []trustEntry, trusted []token.Trust) error {
	var all []*keyset.PublicKeys
	for i, e := range entries {
		if !e.config.Publish {
			continue
		}
		s.published[""], s.published[e.issuer()] = nil, nil
		keys := trusted[i].Keys
		if keys == nil {
			continue
		}
		all = append(all, keys)
		data, err := keyset.MarshalJWKS(keys)
		if err != nil {
			return err
		}
		s.published[e.issuer()] = data
	}
	if len(all) == 0 {
		return nil
	}
	var err error
	s.published[""], err = keyset.MarshalJWKS(all...)
	return err
}

// hasUsableKeys reports whether the keys of at least one issuer may be used.
func (s *snapshot) hasUsableKeys() bool {
	for _, kids := range s.usable {
		if len(kids) > 0 {
			return true
		}
	}
	return false
}

// logDroppedKeys logs each key that is dropped and was not dropped before.
func logDroppedKeys(log *slog.Logger, before, after *snapshot) {
	for issuer, kids := range after.dropped {
		if before != nil && slices.Equal(before.dropped[issuer], kids) {
			continue
		}
		for _, kid := range kids {
			log.Error("the key set of an issuer contains a key of another issuer: the key is not used for it, the rest of the set is",
				"issuer", issuer, "kid", kid, "owner", after.owners[kid])
		}
	}
}

// saveSeeds writes the seeds of the entries whose keys have changed owners.
func saveSeeds(entries []trustEntry, before, after *snapshot) {
	for _, e := range entries {
		if e.source != nil && (before == nil || !slices.Equal(before.owners.keysOf(e.issuer()), after.owners.keysOf(e.issuer()))) {
			e.source.SaveSeed()
		}
	}
}
