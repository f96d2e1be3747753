package rbac

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/rbac/hops"
	"github.com/meshpass/meshpass/extauthz/internal/rbac/rights"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// findCallers lists the roles: each Tyk policy, each key, and the default policies that an API gives together.
func findCallers(m *model.Model, input rights.Input) []rights.Caller {
	var all []rights.Caller
	for _, id := range input.Order {
		all = append(all, rights.Caller{Name: id, Policies: []string{id}})
	}
	known := map[string]bool{}
	addTogether := func(ids []string) {
		if name := strings.Join(ids, " + "); len(ids) > 1 && !known[name] {
			known[name] = true
			all = append(all, rights.Caller{Name: name, Policies: ids})
		}
	}
	for _, a := range m.ServedAPIs() {
		addTogether(a.Root.FindFold("jwt_default_policies").Texts())
		for _, scheme := range a.Root.FindFold("server", "authentication", "securitySchemes").Members() {
			addTogether(scheme.FindFold("defaultPolicies").Texts())
		}
	}
	for _, key := range input.Keys {
		all = append(all, rights.Caller{Name: "key " + key.Name, Policies: key.Policies, Key: key})
	}
	return all
}

// scopeGrants knows which scopes a caller's token has.
type scopeGrants struct {
	*model.Model
	input rights.Input
	roles map[string][]string // scopes by policy, of roles that are generated; nil: the plugin's file decides
}

// decideAll gives the answer for a token that needs all of these scopes.
func (g scopeGrants) decideAll(a *model.API, c rights.Caller, wanted []string) (hops.Verdict, string) {
	if g.roles != nil {
		return g.decideByRoles(c, wanted)
	}
	result, reasons := hops.Yes, []string(nil)
	for _, scope := range wanted {
		one, why := g.verdictOn(a, c, scope)
		switch one {
		case hops.No:
			return hops.No, why
		case hops.Conditional:
			result, reasons = hops.Conditional, append(reasons, why)
		default:
		}
	}
	return result, strings.Join(reasons, "; ")
}

// decideByRoles gives each role what it contributes to: a rule that asks for scopes of several roles belongs to all of them.
func (g scopeGrants) decideByRoles(c rights.Caller, wanted []string) (hops.Verdict, string) {
	own := 0
	var missing []string
	for _, scope := range wanted {
		if slices.ContainsFunc(c.Policies, func(id string) bool { return slices.Contains(g.roles[id], scope) }) {
			own++
			continue
		}
		var others []string
		for _, id := range slices.Sorted(maps.Keys(g.roles)) {
			if slices.Contains(g.roles[id], scope) {
				others = append(others, id)
			}
		}
		if len(others) == 0 {
			return hops.No, fmt.Sprintf("it asks for the scope %s, which no role has", scope)
		}
		missing = append(missing, fmt.Sprintf("scope %s: a caller that also has the role %s", scope, strings.Join(others, " or ")))
	}
	switch {
	case len(missing) == 0:
		return hops.Yes, ""
	case own == 0:
		return hops.No, fmt.Sprintf("it asks for the scopes %s, which other roles have", strings.Join(wanted, ", "))
	}
	return hops.Conditional, strings.Join(missing, "; ")
}

// blocks are the blocks of the plugin's file by the methods of an API.
var blocks = []string{"apiKeys", "oauth", "basic", "hmac", "mtls", "custom"}

// verdictOn gives the answer for a token of a caller at an API.
func (g scopeGrants) verdictOn(a *model.API, c rights.Caller, scope string) (hops.Verdict, string) {
	if len(g.Plugins) == 0 {
		return hops.Conditional, fmt.Sprintf("scope %s: no configuration of the plugin is in the input", scope)
	}
	if len(a.Methods) == 0 {
		return hops.Conditional, fmt.Sprintf("scope %s: how API %s authenticates callers is unknown", scope, a.Title())
	}
	result, reason := hops.Verdict(-1), ""
	for _, method := range a.Methods {
		one, why := g.verdictByMethod(a, method.Name, c, scope)
		switch {
		case result < 0:
			result, reason = one, why
		case result != one:
			result, reason = hops.Conditional, fmt.Sprintf("scope %s: it depends on how the caller authenticates", scope)
		}
	}
	return result, reason
}

func (g scopeGrants) verdictByMethod(a *model.API, method string, c rights.Caller, scope string) (hops.Verdict, string) {
	if slices.Contains(blocks, method) {
		return g.verdictByPolicy(method, c, scope)
	}
	mapsScopes := false
	for _, p := range g.Plugins {
		for _, idp := range p.Config.IDPs {
			mapsScopes = mapsScopes || len(idp.Scopes) > 0
		}
	}
	switch {
	case !mapsScopes:
		return hops.No, fmt.Sprintf("scope %s: no identity provider's scopes are mapped", scope)
	case slices.Contains(scopesOfPolicies(a, c.Policies), scope):
		return hops.Yes, ""
	}
	return hops.Conditional, fmt.Sprintf("scope %s: the identity provider's token decides", scope)
}

// verdictByPolicy reads scopes.byPolicy of the plugin's file.
func (g scopeGrants) verdictByPolicy(block string, c rights.Caller, scope string) (hops.Verdict, string) {
	var granting []string
	for _, p := range g.Plugins {
		for _, list := range p.Root.FindPath(block, "scopes", "byPolicy").Members() {
			if slices.Contains(list.Texts(), scope) {
				granting = append(granting, list.Key)
			}
		}
	}
	if slices.ContainsFunc(granting, func(id string) bool { return slices.Contains(c.Policies, id) }) {
		return hops.Yes, ""
	}
	others := slices.DeleteFunc(granting, func(id string) bool { return g.input.Policies[id] == nil })
	switch {
	case c.Key != nil || len(others) == 0:
		return hops.No, fmt.Sprintf("it asks for the scope %s, which the policies of the caller do not grant", scope)
	default:
		return hops.Conditional, fmt.Sprintf("scope %s: a caller that also has the policy %s", scope, strings.Join(slices.Compact(others), " or "))
	}
}

// scopesOfPolicies gives the scopes of a provider's token that make an API give one of the policies.
func scopesOfPolicies(a *model.API, policies []string) (all []string) {
	add := func(scope, policy string) {
		if slices.Contains(policies, policy) {
			all = append(all, scope)
		}
	}
	addMap := func(n *objects.Node) {
		for _, m := range n.Members() {
			add(m.Key, m.String())
		}
	}
	addMap(a.Root.FindFold("jwt_scope_to_policy_mapping"))
	for _, kind := range []string{"jwt", "oidc"} {
		addMap(a.Root.FindFold("scopes", kind, "scope_to_policy"))
	}
	auth := a.Root.FindFold("server", "authentication")
	for _, n := range append(slices.Clone(auth.FindFold("securitySchemes").Members()), auth.FindFold("oidc")) {
		for _, mapping := range n.FindFold("scopes", "scopeToPolicyMapping").Entries() {
			add(mapping.FindFold("scope").String(), mapping.FindFold("policyId").String())
		}
	}
	return all
}
