package jwks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/meshpass/meshpass/shared/atomicfile"
	"github.com/meshpass/meshpass/shared/keyset"
)

// seed is the file's content: the set, and what tells whether it is still good.
type seed struct {
	Issuer  string          `json:"issuer"`
	URL     string          `json:"url"`
	Fetched time.Time       `json:"fetched"`
	JWKS    json.RawMessage `json:"jwks"`
}

// maxAhead is how far the clock of another start may have been ahead of ours. A
// time of success in the future would keep a set beyond MaxStale.
const maxAhead = time.Minute

// sow puts the seed in force. Its error leaves the source as it is without one:
// the seed is our own copy, and the server has the original.
func (s *Source) sow() error {
	if s.Seed == "" {
		return nil
	}
	data, err := os.ReadFile(s.Seed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	keys, fetched, err := s.readSeed(data)
	if err != nil {
		return fmt.Errorf("seed %s is not used: %w", s.Seed, err)
	}
	s.last.keys = keys
	s.keep(State{Keys: keys, Fetched: fetched})
	return nil
}

func (s *Source) readSeed(data []byte) (*keyset.Public, time.Time, error) {
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

// save writes the seed for the next start. A failure leaves this process as good
// as before, so that it is told and no more.
func (s *Source) save(keys *keyset.Public, fetched time.Time) {
	if s.Seed == "" {
		return
	}
	set, err := keyset.MarshalJWKS(keys)
	if err == nil {
		var data []byte
		if data, err = json.Marshal(seed{s.Issuer, s.URL, fetched.UTC(), set}); err == nil {
			err = atomicfile.Write(s.Seed, data, 0o600)
		}
	}
	if err != nil {
		s.Log.Error("seed not written: a restart while the server is away will be without keys", "issuer", s.Issuer, "error", err)
	}
}
