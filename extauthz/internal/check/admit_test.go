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

// A sender that may not ask gets a denial, never an error, and no field of its Check is recorded.
func TestClientRefused(t *testing.T) {
	h := newHop(t, func(c *check.Config) {
		c.Admit = func(context.Context) error { return errors.New("ns/shop/sa/reports is not among the clients") }
	})
	for _, r := range []checkRow{
		{name: "what would be allowed"},
		{name: "what is public", change: setPath("/healthz")},
		{name: "nothing", change: emptyCheck},
	} {
		r.status, r.reason = 403, decision.ClientRefused
		r.record = map[string]any{"caller": nil, "callee": nil, "method": nil, "path": nil, "host": nil, "sub": nil, "request_id": nil, "inputs": nil}
		t.Run(r.name, func(t *testing.T) { r.testRow(t, h) })
	}
	if got := strings.Join(h.meter.decided, ","); got != strings.Repeat(",deny client_refused", 3)[1:] {
		t.Errorf("counted: %s", got)
	}
	if !strings.Contains(h.log.String(), "ns/shop/sa/reports") {
		t.Errorf("log: %s", &h.log)
	}
}

// A Check is answered and recorded by one set of policies and one of keys. A set that is loaded
// meanwhile is for the next Check.
func TestOneSnapshotForEachCheck(t *testing.T) {
	verifiers, sets := 0, 0
	h := newHop(t, func(c *check.Config) {
		verifier, policies := c.Decide.Verifier, c.Decide.Policies
		c.Decide.Verifier = func() *token.Verifier { verifiers++; return verifier() }
		c.Decide.Policies = func() *policy.Set { sets++; return policies() }
	})
	for i := 1; i <= 3; i++ {
		h.sendCheck(t, nil)
		if verifiers != i || sets != i {
			t.Errorf("after %d Checks: %d verifiers and %d sets asked for", i, verifiers, sets)
		}
	}
}
