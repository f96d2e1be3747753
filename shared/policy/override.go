package policy

import (
	"time"

	"github.com/meshpass/meshpass/shared/identity"
)

// Override lifts all documents from the workloads of a target for a bounded time, except
// the denials of guardrails. It is for an emergency: a policy locks out more than it
// should, and there is no time to fix it.
type Override struct {
	Target     string           // as in targets.workloads
	Pattern    identity.Pattern // Target, parsed
	Until      time.Time
	By, Reason string
}

// MaxOverride is how far ahead an override may end.
const MaxOverride = 24 * time.Hour

// Overrides lists the overrides that are active at that time.
func (s *Set) Overrides(now time.Time) []Override {
	var active []Override
	for _, o := range s.overrides {
		if now.Before(o.Until) {
			active = append(active, o)
		}
	}
	return active
}

// overrideFor is the override that is active for a workload; nil: there is no override.
func (s *Set) overrideFor(w identity.Workload, now time.Time) *Override {
	for i := range s.overrides {
		if o := &s.overrides[i]; o.Pattern.Match(w) && now.Before(o.Until) {
			return o
		}
	}
	return nil
}
