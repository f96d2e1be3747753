package main

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/meshpass/meshpass/plugins/identity/promtext"
)

// scopeClaim stands for all the claims of an idp that hold scopes.
const scopeClaim = ""

// mappedClaim is one line of a mapping in the file.
type mappedClaim struct {
	mapping string // alias of the idp, or block of a kind of session
	claim   string // of tctx, or scopeClaim
}

// path is how a policy names what the mapping writes.
func (m mappedClaim) path() string {
	if m.claim == scopeClaim {
		return "scope"
	}
	return "tctx." + m.claim
}

// claimCounts says how many credentials had the claim. A name that is spelt in
// another way than the provider spells it is never found, and a rule that denies
// by its value denies nobody.
type claimCounts struct {
	from          string // as the file names it
	found, absent atomic.Uint64
}

// mappedClaims are counted as long as the gateway runs and the mapping stays. The
// zero value counts nothing.
type mappedClaims struct {
	lock   sync.RWMutex
	counts map[mappedClaim]*claimCounts
}

// follow counts for the mappings of this configuration, from 0 where one is new.
func (m *mappedClaims) follow(c *config) {
	m.lock.Lock()
	defer m.lock.Unlock()
	before := m.counts
	m.counts = map[mappedClaim]*claimCounts{}
	add := func(mapping, claim, from string) {
		key := mappedClaim{mapping, claim}
		if known := before[key]; known != nil && known.from == from {
			m.counts[key] = known
			return
		}
		m.counts[key] = &claimCounts{from: from}
	}
	for _, p := range c.IDPs {
		if len(p.Scopes) > 0 {
			add(p.Alias, scopeClaim, strings.Join(p.Scopes, ", "))
		}
		for name, rule := range p.Claims {
			add(p.Alias, name, rule.From)
		}
	}
	for _, k := range kinds {
		if mapping := k.rules(c); mapping != nil {
			for name, rule := range mapping.Claims {
				add(k.block, name, rule.From)
			}
		}
	}
}

// note counts one credential. It gives the counts where this is the first one and
// no credential had the claim.
func (m *mappedClaims) note(claim mappedClaim, there bool) (missed *claimCounts) {
	m.lock.RLock()
	counts := m.counts[claim]
	m.lock.RUnlock()
	switch {
	case counts == nil: // of a configuration that was replaced meanwhile
	case there:
		counts.found.Add(1)
	case counts.absent.Add(1) == 1 && counts.found.Load() == 0:
		return counts
	}
	return nil
}

// foundIn notes which claims of one mapping a credential has. The log hears once
// of a claim that was never found.
func (s *signer) foundIn(mapping string) func(name string, there bool) {
	return func(name string, there bool) {
		claim := mappedClaim{mapping, name}
		if missed := s.meter.mapped.note(claim, there); missed != nil {
			s.log.Warn("a mapped claim was not in the first credential that could have it; if it is not optional, compare its name with a token of the provider",
				slog.String("mapping", mapping), slog.String("claim", claim.path()), slog.String("from", missed.from),
				slog.String("metric", "meshpass_edge_mapped_claims_total"))
		}
	}
}

func (m *mappedClaims) write(t *promtext.Text) {
	m.lock.RLock()
	defer m.lock.RUnlock()
	t.Family("meshpass_edge_mapped_claims_total", promtext.Counter, "Credentials that had a mapped claim, or had not.")
	for _, claim := range slices.SortedFunc(maps.Keys(m.counts), func(a, b mappedClaim) int {
		return strings.Compare(a.mapping+" "+a.path(), b.mapping+" "+b.path())
	}) {
		counts := m.counts[claim]
		t.Sample(count(&counts.found), "mapping", claim.mapping, "claim", claim.path(), "found", "true")
		t.Sample(count(&counts.absent), "mapping", claim.mapping, "claim", claim.path(), "found", "false")
	}
}
