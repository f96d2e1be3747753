package trust

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/keyset"
)

// owners says which issuer a key speaks for, by kid. One key speaks for one issuer,
// or the holder of its private half could sign for several.
type owners map[string]string

// claim is one entry's right to a key.
type claim struct {
	issuer string
	home   bool
	had    bool // it is the owner already, in this process or by its seed
	file   bool // its keys are in a file, which was read before any set was fetched
	order  int  // in the configuration
}

// before orders claims by strength. Home comes first, so that no other entry can take
// a key from it, whenever it publishes it; then the entry that had the key first.
func (c claim) before(o claim) int {
	return cmp.Or(yesFirst(c.home, o.home), yesFirst(c.had, o.had), yesFirst(c.file, o.file), cmp.Compare(c.order, o.order))
}

func yesFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// keysNow are all keys of the fleet's set; nil: there are none.
func (f fleet) keysNow() *keyset.PublicKeys {
	if f.source == nil {
		return f.Trust.Keys
	}
	return f.source.State().Keys
}

// ownersOf gives each key of the fleets' sets to one of them. An owner whose set
// cannot be had at the moment keeps its keys: nobody takes them while its server is
// away.
func ownersOf(fleets []fleet, had owners) owners {
	claims := map[string][]claim{}
	for i, f := range fleets {
		c := claim{issuer: f.Trust.Issuer, home: f.Trust.Home, file: f.source == nil, order: i}
		for _, kid := range f.claimed(had) {
			c.had = had[kid] == c.issuer
			claims[kid] = append(claims[kid], c)
		}
	}
	all := owners{}
	for kid, some := range claims {
		all[kid] = slices.MinFunc(some, claim.before).issuer
	}
	return all
}

func (f fleet) claimed(had owners) (kids []string) {
	if f.set != nil {
		return f.set.KeyIDs()
	}
	for kid, owner := range had {
		if owner == f.Trust.Issuer {
			kids = append(kids, kid)
		}
	}
	return kids
}

// remembered are the owners until now, and for what none of them has, those of the
// seeds; of two seeds that claim one key the earlier entry's counts.
func remembered(before owners, fleets []fleet) owners {
	had := owners{}
	for kid, issuer := range before {
		if slices.ContainsFunc(fleets, func(f fleet) bool { return f.Trust.Issuer == issuer }) {
			had[kid] = issuer
		}
	}
	for _, f := range fleets {
		if f.source == nil || f.stop != nil { // what runs has been asked already
			continue
		}
		for _, kid := range f.source.SeedOwned() {
			if _, taken := had[kid]; !taken {
				had[kid] = f.Trust.Issuer
			}
		}
	}
	return had
}

// foreign lists the keys that are another issuer's, sorted.
func (o owners) foreign(issuer string, keys *keyset.PublicKeys) (kids []string) {
	for _, kid := range keys.KeyIDs() {
		if owner, known := o[kid]; known && owner != issuer {
			kids = append(kids, kid)
		}
	}
	slices.Sort(kids)
	return kids
}

// conflict says which keys are dropped, and whose they are; nil: none is.
func (o owners) conflict(kids []string) error {
	if len(kids) == 0 {
		return nil
	}
	var texts []string
	for _, kid := range kids {
		texts = append(texts, fmt.Sprintf("key %s is also a key of %s", kid, o[kid]))
	}
	return fmt.Errorf("%s: one key speaks for one issuer", strings.Join(texts, ", "))
}
