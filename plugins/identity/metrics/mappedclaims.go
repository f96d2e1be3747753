package metrics

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/plugins/identity/metrics/promtext"
)

// MappedClaims counts, for each line of a mapping, how many credentials had the claim. A claim whose
// name differs from the provider's is never found, and a rule that denies by its value never applies.
//
// A line is counted as long as the gateway runs and the line stays. The zero value counts nothing.
type MappedClaims struct {
	lock   sync.RWMutex
	counts map[mappedClaim]*claimCounts
}

type mappedClaim struct{ mapping, claim string }

type claimCounts struct {
	from          string // as the file names it
	found, absent atomic.Uint64
}

// Follow counts for these lines from now on. A line that is new or changed begins at 0.
func (m *MappedClaims) Follow(lines []settings.MappedClaim) {
	m.lock.Lock()
	defer m.lock.Unlock()
	before := m.counts
	m.counts = map[mappedClaim]*claimCounts{}
	for _, line := range lines {
		key := mappedClaim{mapping: line.Mapping, claim: line.Claim}
		if known := before[key]; known != nil && known.from == line.From {
			m.counts[key] = known
			continue
		}
		m.counts[key] = &claimCounts{from: line.From}
	}
}

// Missed is a mapped claim that the first credential did not have.
type Missed struct {
	Claim string // as a policy names it
	From  string // as the file names what it is made of
}

// Count counts one credential. missed is not nil if this is the first credential and it did not have
// the claim.
func (m *MappedClaims) Count(mapping, claim string, found bool) (missed *Missed) {
	m.lock.RLock()
	counts := m.counts[mappedClaim{mapping: mapping, claim: claim}]
	m.lock.RUnlock()
	switch {
	case counts == nil: // the line is of a configuration that was replaced in between
	case found:
		counts.found.Add(1)
	case counts.absent.Add(1) == 1 && counts.found.Load() == 0:
		return &Missed{Claim: policyName(claim), From: counts.from}
	}
	return nil
}

// policyName is how a policy names what a line of a mapping writes.
func policyName(claim string) string {
	if claim == settings.ScopeClaim {
		return "scope"
	}
	return "tctx." + claim
}

func (m *MappedClaims) writeCounts(t *promtext.Text) {
	m.lock.RLock()
	defer m.lock.RUnlock()
	t.Family("meshpass_edge_mapped_claims_total", promtext.Counter, "Credentials that had a mapped claim, or did not have it.")
	for _, line := range slices.SortedFunc(maps.Keys(m.counts), func(a, b mappedClaim) int {
		return strings.Compare(a.mapping+" "+policyName(a.claim), b.mapping+" "+policyName(b.claim))
	}) {
		counts := m.counts[line]
		t.Sample(valueOf(&counts.found), "mapping", line.mapping, "claim", policyName(line.claim), "found", "true")
		t.Sample(valueOf(&counts.absent), "mapping", line.mapping, "claim", policyName(line.claim), "found", "false")
	}
}
