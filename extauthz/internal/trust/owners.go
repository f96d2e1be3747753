package trust

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/keyset"
)

// owners maps each kid to the issuer whose tokens the key may sign. That is one issuer
// only: otherwise the holder of the private key could sign for several.
type owners map[string]string

// keyClaim is the claim of an entry to own a key.
type keyClaim struct {
	issuer   string
	home     bool
	wasOwner bool // it owns the key already, in this process or by its seed
	file     bool // its key set is of a file, which was read before any set was fetched
	position int  // of the entry in the configuration
}

// compareClaims sorts the stronger claim first. Home is strongest, so that no other
// entry can take a key of ours, whenever it publishes that key. Then the entry that
// owned the key first counts.
func compareClaims(a, b keyClaim) int {
	return cmp.Or(trueFirst(a.home, b.home), trueFirst(a.wasOwner, b.wasOwner), trueFirst(a.file, b.file), cmp.Compare(a.position, b.position))
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// assignOwners gives each key of the entries' sets to one entry. An owner whose set is
// unavailable keeps its keys, so that no entry can take them while its server is down.
func assignOwners(entries []trustEntry, before owners) owners {
	claims := map[string][]keyClaim{}
	for i, e := range entries {
		claim := keyClaim{issuer: e.issuer(), home: e.isHome(), file: e.source == nil, position: i}
		for _, kid := range claimedKeys(e, before) {
			claim.wasOwner = before[kid] == claim.issuer
			claims[kid] = append(claims[kid], claim)
		}
	}
	all := owners{}
	for kid, rivals := range claims {
		all[kid] = slices.MinFunc(rivals, compareClaims).issuer
	}
	return all
}

// claimedKeys lists the keys of the entry's set, or those that it owned where the set is
// unavailable.
func claimedKeys(e trustEntry, before owners) []string {
	if e.keys != nil {
		return e.keys.KeyIDs()
	}
	return before.keysOf(e.issuer())
}

// withSeeds adds to the owners until now the owners in the seeds of new entries. Issuers
// without an entry are left out. Where two seeds claim one key, the earlier entry's
// counts.
func (o owners) withSeeds(entries []trustEntry) owners {
	all := owners{}
	for kid, issuer := range o {
		if slices.ContainsFunc(entries, func(e trustEntry) bool { return e.issuer() == issuer }) {
			all[kid] = issuer
		}
	}
	for _, e := range entries {
		if e.source == nil || e.stop != nil { // the seed of a running source has been counted
			continue
		}
		for _, kid := range e.source.SeedOwned() {
			if _, taken := all[kid]; !taken {
				all[kid] = e.issuer()
			}
		}
	}
	return all
}

// keysOf lists the keys that an issuer owns, sorted.
func (o owners) keysOf(issuer string) (kids []string) {
	for kid, owner := range o {
		if owner == issuer {
			kids = append(kids, kid)
		}
	}
	slices.Sort(kids)
	return kids
}

// keysOfOthers lists the keys of a set that another issuer owns, sorted.
func (o owners) keysOfOthers(issuer string, keys *keyset.PublicKeys) (kids []string) {
	for _, kid := range keys.KeyIDs() {
		if owner, known := o[kid]; known && owner != issuer {
			kids = append(kids, kid)
		}
	}
	slices.Sort(kids)
	return kids
}

// conflictError names the owners of keys that are dropped; nil: no key is dropped.
func (o owners) conflictError(kids []string) error {
	if len(kids) == 0 {
		return nil
	}
	var texts []string
	for _, kid := range kids {
		texts = append(texts, fmt.Sprintf("key %s is also a key of %s", kid, o[kid]))
	}
	return fmt.Errorf("%s: a key may sign for one issuer only", strings.Join(texts, ", "))
}
