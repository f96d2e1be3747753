package app

import (
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/trust"
)

// hasHome reports whether one of the entries is home: without one, there is no outage
// that onOutage: allow could mean.
func hasHome(entries []trust.Entry) bool {
	return slices.ContainsFunc(entries, func(e trust.Entry) bool { return e.Trust.Home })
}

// followHome has documents that say onOutage: allow judged again when the first home
// entry comes or the last one goes. In the latter case they have no effect at once:
// a change of trust never waits for a document.
func (a *authorizer) followHome(entries []trust.Entry) {
	a.warnTrust(entries)
	a.warnUnknownIssuers()
	if homeless := !hasHome(entries); a.homeless.Swap(homeless) != homeless {
		a.enforce()
		a.documents.LoadAgain()
	}
}

// warnTrust warns of what makes several entries weaker than they need to be.
func (a *authorizer) warnTrust(entries []trust.Entry) {
	if len(entries) < 2 {
		return
	}
	if !hasHome(entries) {
		a.Log.Warn("trust: no entry is home, so the entry that publishes a key first keeps it: write home: true in the entries of your own gateways")
	}
	var all, foreign []string // that may speak of any subject and requester
	for _, e := range entries {
		if !e.Trust.Subjects.IsAny() || !e.Trust.Requesters.IsAny() {
			continue
		}
		all = append(all, e.Trust.Issuer)
		if !e.Trust.Home {
			foreign = append(foreign, e.Trust.Issuer)
		}
	}
	if len(all) > 1 || len(foreign) > 0 {
		a.Log.Warn("trust: entries without subjects and requesters may name the users and gateways of all others: give each its own", "issuers", all)
	}
}
