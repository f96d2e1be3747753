package jwks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/internal/secretfile"
	"github.com/meshpass/meshpass/shared/keyset"
)

// seed is the file's content: the set, and what tells whether it is still good.
type seed struct {
	Issuer  string          `json:"issuer"`
	URL     string          `json:"url"`
	Fetched time.Time       `json:"fetched"`
	JWKS    json.RawMessage `json:"jwks"`
	Owned   *[]string       `json:"owned,omitempty"` // kids of the set that are the issuer's own, not another's; absent: all
}

// maxAhead is how far the clock of another start may have been ahead of ours. A
// time of success in the future would keep a set beyond MaxStale.
const maxAhead = time.Minute

// maxSeedBytes is more than a key set of the largest size takes with all around it.
const maxSeedBytes = 2 * keyset.MaxSetBytes

// loadSeed puts the seed in force. Its error leaves the source as it is without one:
// the seed is our own copy, and the server has the original.
func (s *Source) loadSeed() error {
	if s.Seed == "" {
		return nil
	}
	data, err := secretfile.Read(s.Seed, secretfile.Trusted, maxSeedBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	s.seedOwned = s.readClaims(data)
	keys, fetched, err := s.readSeed(data)
	if err != nil {
		return fmt.Errorf("seed %s is not used: %w", s.Seed, err)
	}
	s.last.keys = keys
	s.activate(State{Keys: keys, Fetched: fetched})
	return nil
}

func (s *Source) readSeed(data []byte) (*keyset.PublicKeys, time.Time, error) {
	var from seed
	if err := json.Unmarshal(data, &from); err != nil {
		return nil, time.Time{}, errors.New("not what a fetch writes")
	}
	now := s.Now()
	switch {
	case from.Issuer != s.Issuer || from.URL != s.URL:
		return nil, time.Time{}, fmt.Errorf("it is of issuer %q at %q", from.Issuer, from.URL)
	case from.Fetched.After(now.Add(maxAhead)):
		return nil, time.Time{}, errors.New("it is from the future")
	case !now.Before(from.Fetched.Add(s.MaxStale)):
		return nil, time.Time{}, fmt.Errorf("it is of %s, longer ago than %s", from.Fetched.UTC().Format(time.RFC3339), s.MaxStale)
	}
	keys, err := keyset.ParseJWKS(from.JWKS)
	if from.Fetched.After(now) {
		from.Fetched = now
	}
	return keys, from.Fetched, err
}

// readClaims gives the keys that were the issuer's own when the seed was written. They
// count when the set itself is too old to be used, or from another URL: whose key
// it is does not depend on either.
func (s *Source) readClaims(data []byte) []string {
	var from seed
	if json.Unmarshal(data, &from) != nil || from.Issuer != s.Issuer {
		return nil
	}
	keys, err := keyset.ParseJWKS(from.JWKS)
	if err != nil {
		return nil
	}
	if from.Owned == nil {
		return keys.KeyIDs()
	}
	return slices.DeleteFunc(*from.Owned, func(kid string) bool { _, there := keys.KeyByID(kid); return !there })
}

// SeedOwned are the kids that were this issuer's own at the end of the last process, as
// its seed says.
func (s *Source) SeedOwned() []string { return s.seedOwned }

// SaveSeed writes the seed for the next start: the set and which of its keys are the
// issuer's own. A failure leaves this process as good as before, so that it is only
// logged.
func (s *Source) SaveSeed() {
	if s.Seed == "" {
		return
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	state := s.State()
	if state.Keys == nil {
		return // the seed on disk still says whose keys were whose
	}
	owned, known := s.Owned(state.Keys)
	if !known {
		owned = slices.DeleteFunc(slices.Clone(s.seedOwned), func(kid string) bool { _, there := state.Keys.KeyByID(kid); return !there })
	}
	slices.Sort(owned)
	set, err := keyset.MarshalJWKS(state.Keys)
	if err == nil {
		var data []byte
		if data, err = json.Marshal(seed{s.Issuer, s.URL, state.Fetched.UTC(), set, &owned}); err == nil {
			err = atomicfile.Write(s.Seed, data, 0o600)
		}
	}
	if err != nil {
		s.Log.Error("seed not written: a restart while the server is away will be without keys", "issuer", s.Issuer, "error", err)
	}
}
