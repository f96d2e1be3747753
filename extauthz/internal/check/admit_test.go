package check_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/token"
)

// Who may not ask gets a refusal, never an error, and nothing of what it sent is
// recorded as if it were so.
func TestClientRefused(t *testing.T) {
	h := newHop(t, func(c *check.Config) {
		c.Admit = func(context.Context) error { return errors.New("ns/shop/sa/reports is not among the clients") }
	})
	for _, r := range []row{
		{name: "what would be allowed"},
		{name: "what is public", change: path("/healthz")},
		{name: "nothing", change: empty},
	} {
		r.status, r.reason = 403, decision.ClientRefused
		r.record = map[string]any{"caller": nil, "callee": nil, "method": nil, "path": nil, "host": nil, "sub": nil, "request_id": nil, "inputs": nil}
		t.Run(r.name, func(t *testing.T) { r.test(t, h) })
	}
	if got := strings.Join(h.meter.decided, ","); got != strings.Repeat(",deny client_refused", 3)[1:] {
		t.Errorf("counted: %s", got)
	}
	if !strings.Contains(h.log.String(), "ns/shop/sa/reports") {
		t.Errorf("log: %s", &h.log)
	}
}

// A Check is answered and recorded by one set of policies and one of keys: what
// comes into force meanwhile is for the next one.
func TestOneSnapshotForEachCheck(t *testing.T) {
	verifiers, sets := 0, 0
	h := newHop(t, func(c *check.Config) {
		verifier, policies := c.Decide.Verifier, c.Decide.Policies
		c.Decide.Verifier = func() *token.Verifier { verifiers++; return verifier() }
		c.Decide.Policies = func() *policy.Set { sets++; return policies() }
	})
	for i := 1; i <= 3; i++ {
		h.ask(t, nil)
		if verifiers != i || sets != i {
			t.Errorf("after %d Checks: %d verifiers and %d sets asked for", i, verifiers, sets)
		}
	}
}
