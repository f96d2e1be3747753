//go:build !race

// Under the race detector sync.Pool drops values at random.

package decide_test

import (
	"io"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/internal/instructions"
	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/token"
)

// newRememberedDecision makes a function that decides a usual question, whose token is remembered, with its record.
func newRememberedDecision(t *testing.T) func() {
	t.Helper()
	verifier, err := token.NewVerifier([]token.Trust{tokentest.TrustEntry(t)}, tokentest.Domains, token.Options{Now: func() time.Time { return now }, Cache: token.NewCache(1<<20, 100)})
	if err != nil {
		t.Fatal(err)
	}
	l := newListener(t, func(c *decide.Config) {
		c.Verifier, c.Audit = func() *token.Verifier { return verifier }, audit.New(io.Discard, audit.Options{})
	})
	q := newQuestion(t, "/tenants/acme/orders", decide.Field{Name: "x-request-id", Value: "5d7d0f0e-4a8c-9d3b-a3f4-0d3f6e1f2a11"})
	return func() {
		if answer := l.Decide(t.Context(), q); !answer.Decision.Allowed() {
			t.Fatal(answer.Decision)
		}
	}
}

// The number of allocations does not depend on the machine, unlike the time.
func TestDecideAllocations(t *testing.T) {
	const most = 12
	if got := testing.AllocsPerRun(200, newRememberedDecision(t)); got > most {
		t.Errorf("%v allocations, at most %d", got, most)
	}
}

// The record is written beside the decision, and counts too. On amd64 with Go 1.26: .
func TestDecideInstructions(t *testing.T) {
	instructions.RequireAtMost(t, 64_000, newRememberedDecision(t))
}
