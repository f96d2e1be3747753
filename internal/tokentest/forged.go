package tokentest

import (
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
)

// Forgery is a token that must be refused, and for which reason.
type Forgery struct {
	Name   string
	Raw    string
	Reason decision.Reason
}

// ForgedTokens is the catalogue: tokens that are wrong in one thing each, for every
// entry point through which a token can come.
func ForgedTokens(t testing.TB, now time.Time) []Forgery {
	t.Helper()
	list := forgedText(t, now)
	list = append(list, forgedHeaders(t, now)...)
	list = append(list, forgedClaims(t, now)...)
	return append(list, forgedSignatures(t, now)...)
}
