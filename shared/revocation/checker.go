package revocation

import (
	"time"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/shared/decision"
)

// Checker judges tokens by several lists: what one of them revokes, no other
// lifts. The zero value revokes nothing.
type Checker struct {
	Lists []func() *List           // in force now
	Stale func(now time.Time) bool // the lists are too old to let anybody in; nil: never
}

// DenialReason gives the reason why the token does not hold any more, empty if it does.
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

// ReadFile reads the list in a file.
func ReadFile(path string) (*List, error) {
	data, err := readfile.Read(path, MaxBytes+1)
	if err != nil {
		return nil, err
	}
	return Parse(data)
}
