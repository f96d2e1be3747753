package trust

import (
	"github.com/meshpass/meshpass/extauthz/internal/ops"
)

// Issuers reports the state of each entry, in the order of the configuration.
func (r *Registry) Issuers() []ops.Issuer {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.snapshot.Load()
	var all []ops.Issuer
	for _, e := range r.entries {
		all = append(all, describeIssuer(s, e))
	}
	return all
}

func describeIssuer(s *snapshot, e trustEntry) ops.Issuer {
	name := e.issuer()
	issuer := ops.Issuer{Name: name, Keys: len(s.usable[name]), KeyIDs: s.usable[name], Dropped: len(s.dropped[name]), Conflict: s.owners.conflictError(s.dropped[name])}
	if keys := e.config.Trust.Keys; keys != nil {
		issuer.Skipped = keys.SkippedKeys()
	}
	if e.source == nil {
		return issuer
	}
	state := e.source.State()
	issuer.Remote, issuer.Fetched, issuer.Until = true, state.Fetched, e.source.ValidUntil()
	issuer.Err, issuer.Unreachable, issuer.Refused = state.Err, state.Unreachable, state.Rejected
	if state.Keys != nil {
		issuer.Skipped = state.Keys.SkippedKeys()
	}
	return issuer
}
