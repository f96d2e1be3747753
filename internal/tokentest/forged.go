package tokentest

import (
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
)

// Forgery is an invalid token, with the reason that a verifier must give.
type Forgery struct {
	Name   string
	Raw    string // the token
	Reason decision.Reason
}

// ForgedTokens returns the catalogue of forged tokens. Each has one fault. Tests run it
// through every entry point for tokens.
func ForgedTokens(t testing.TB, now time.Time) []Forgery {
	t.Helper()
	list := forgedText(t, now)
	list = append(list, forgedHeaders(t, now)...)
	list = append(list, forgedClaims(t, now)...)
	return append(list, forgedSignatures(t, now)...)
}
