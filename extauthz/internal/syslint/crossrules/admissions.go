package crossrules

import (
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/shared/identity"
)

var gatewayNotAdmitted = registry.Define("gateway_not_admitted", finding.Error,
	"An API leads to a guarded workload, and no rule of the workload's documents admits the gateway as caller.",
	"The hop denies every request of the API (no_rule).",
	"Add the service account of Tyk's pods to from.workloads of the rules for what clients may do, or take the API away.")

// checkAdmissions looks for APIs whose targets admit other callers only.
func (c *checker) checkAdmissions() {
	for _, a := range c.served {
		g := c.GatewayOf(a)
		if g == nil || g.Workload == nil || !a.ListsHooks() {
			continue
		}
		seen := map[string]bool{}
		for _, w := range c.targetsOf(a) {
			if seen[w.Identity()] || !c.IsGuarded(w) {
				continue
			}
			seen[w.Identity()] = true
			if c.admitsOthersOnly(w, g.Workload) {
				c.report.Add(gatewayNotAdmitted, a.Root, "API %s leads to %s, and no rule for it admits %s", a.Title(), w.Identity(), g.Workload.Identity())
			}
		}
	}
}

// admitsOthersOnly reports a workload with rules that allow, each of which names its callers, and none of them the gateway or a workload that
// does not exist: see caller_unknown.
func (c *checker) admitsOthersOnly(w, gateway *model.Workload) bool {
	others := false
	for _, d := range c.documentsOf(w.Identity()) {
		if !d.Spec().Find("public").IsEmpty() {
			return false
		}
		for _, rule := range d.Spec().Find("rules").Entries() {
			if rule.Find("effect").String() != "allow" {
				continue
			}
			callers := rule.FindPath("from", "workloads").Entries()
			if len(callers) == 0 {
				return false
			}
			for _, n := range callers {
				if pattern, err := c.Domains().ParsePattern(n.String()); err != nil || c.mayBeGateway(pattern, gateway) || !c.existsWorkload(n.String()) {
					return false
				}
			}
			others = true
		}
	}
	return others
}

// mayBeGateway also takes the workload that a plugin names if no plugin names the gateway's own: see gateway_account_mismatch.
func (c *checker) mayBeGateway(caller identity.Pattern, gateway *model.Workload) bool {
	var named []identity.Workload
	for _, p := range c.Plugins {
		workload, err := c.Domains().ParseWorkload(p.Config.Workload)
		if err != nil {
			return true
		}
		named = append(named, workload)
	}
	own := identity.Workload(gateway.Identity())
	return caller.Match(own) || !slices.Contains(named, own) && slices.ContainsFunc(named, caller.Match)
}
