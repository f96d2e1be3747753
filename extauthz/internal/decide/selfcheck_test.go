package decide_test

import (
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/token"
)

// The self-check takes all that a decision takes, and leaves nothing.
func TestCheckSelf(t *testing.T) {
	used := map[string]int{}
	count := func(name string) { used[name]++ }
	l := newListener(t, func(c *decide.Config) {
		verifier, policies := c.Verifier, c.Policies
		c.Verifier = func() *token.Verifier { count("verifier"); return verifier() }
		c.Policies = func() *policy.Set { count("policies"); return policies() }
		c.Peers.Callee = func(*decide.Request) (identity.Workload, error) { count("callee"); return "", nil }
	})
	for range 100 {
		l.CheckSelf(t.Context())
	}
	if used["verifier"] != 100 || used["policies"] != 100 || used["callee"] != 100 {
		t.Errorf("used: %v", used)
	}
	if l.meter != (countingMeter{}) || l.log.Len() > 0 || l.records.TakeRecords() != "" {
		t.Errorf("counted %v, logged %s", l.meter, l.log.String())
	}
}

// A panic is an answer: Checks get a denial, and a restart would meet it again.
func TestCheckSelfThatPanics(t *testing.T) {
	l := newListener(t, func(c *decide.Config) { c.Policies = func() *policy.Set { panic("policies") } })
	l.CheckSelf(t.Context())
	if l.meter != (countingMeter{}) || l.log.Len() > 0 || l.records.TakeRecords() != "" {
		t.Errorf("counted %v, logged %s", l.meter, l.log.String())
	}
}
