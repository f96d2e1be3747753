package revocation

import (
	"time"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/shared/decision"
)

// Checker checks tokens against several lists. A token is revoked if one of them revokes
// it. The zero value revokes nothing.
type Checker struct {
	Lists []func() *List           // each returns the active list
	Stale func(now time.Time) bool // reports whether the lists are too old to allow any token; nil: they never are
}

// DenialReason returns token_revoked or revocation_stale, or the empty reason if the token
// is neither revoked nor are the lists too old.
func (c Checker) DenialReason(t Token, now time.Time) decision.Reason {
	for _, list := range c.Lists {
		if list().Revokes(t, now) {
			return decision.TokenRevoked
		}
	}
	if c.Stale != nil && c.Stale(now) {
		return decision.RevocationStale
	}
	return ""
}

// ReadFile reads the list in a file, as [Parse] does.
func ReadFile(path string) (*List, error) {
	data, err := readfile.Read(path, MaxBytes+1)
	if err != nil {
		return nil, err
	}
	return Parse(data)
}
