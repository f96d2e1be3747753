package jwks

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/shared/keyset"
)

// seedFile is the content of a seed: the key set, and when it was fetched from where.
type seedFile struct {
	Issuer  string          `json:"issuer"`
	URL     string          `json:"url"`
	Fetched time.Time       `json:"fetched"`
	JWKS    json.RawMessage `json:"jwks"`
	Owned   *[]string       `json:"owned,omitempty"` // kids of the set that the issuer owns, and no other issuer; absent: all
}

// maxClockAhead is how far ahead of ours the clock of the process that wrote the seed
// may have been. A later time of success would keep the set in use beyond MaxStale.
const maxClockAhead = time.Minute

// maxSeedBytes is more than a seed takes with a key set of the largest size.
const maxSeedBytes = 2 * keyset.MaxSetBytes

// readSeedKeys returns the keys of a seed and when they were fetched, if they may still
// be used.
func readSeedKeys(data []byte, c Config, now time.Time) (*keyset.PublicKeys, time.Time, error) {
	var seed seedFile
	if err := json.Unmarshal(data, &seed); err != nil {
		return nil, time.Time{}, errors.New("it is not a seed file")
	}
	switch {
	case seed.Issuer != c.Issuer || seed.URL != c.URL:
		return nil, time.Time{}, fmt.Errorf("it is of issuer %q at %q", seed.Issuer, seed.URL)
	case seed.Fetched.After(now.Add(maxClockAhead)):
		return nil, time.Time{}, errors.New("it was fetched in the future")
	case !now.Before(seed.Fetched.Add(c.MaxStale)):
		return nil, time.Time{}, fmt.Errorf("it was fetched at %s, more than %s ago", seed.Fetched.UTC().Format(time.RFC3339), c.MaxStale)
	}
	keys, err := keyset.ParseJWKS(seed.JWKS)
	if seed.Fetched.After(now) {
		seed.Fetched = now
	}
	return keys, seed.Fetched, err
}

// readSeedOwned returns the kids that the issuer owned when the seed was written. They
// count also when the set is too old to be used, or of another URL: the owner of a key
// depends on neither.
func readSeedOwned(data []byte, issuer string) []string {
	var seed seedFile
	if json.Unmarshal(data, &seed) != nil || seed.Issuer != issuer {
		return nil
	}
	keys, err := keyset.ParseJWKS(seed.JWKS)
	if err != nil {
		return nil
	}
	if seed.Owned == nil {
		return keys.KeyIDs()
	}
	return keepPresent(*seed.Owned, keys)
}

// keepPresent returns those of the kids whose keys are in the set.
func keepPresent(kids []string, keys *keyset.PublicKeys) []string {
	return slices.DeleteFunc(slices.Clone(kids), func(kid string) bool { _, present := keys.KeyByID(kid); return !present })
}

func writeSeed(c Config, state State, owned []string) error {
	slices.Sort(owned)
	set, err := keyset.MarshalJWKS(state.Keys)
	if err != nil {
		return err
	}
	data, err := json.Marshal(seedFile{Issuer: c.Issuer, URL: c.URL, Fetched: state.Fetched.UTC(), JWKS: set, Owned: &owned})
	if err != nil {
		return err
	}
	return atomicfile.Write(c.Seed, data, 0o600)
}
