package tykrules

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

var (
	policyInactive = registry.Define("tyk_policy_inactive", finding.Error,
		"A Tyk policy or key is inactive, or a key has expired.",
		"Every request of its callers is denied, also what their other policies grant: 401 (session_inactive) by the plugin, 403 (Key is inactive) by Tyk, 401 for an expired key.",
		"Remove the policy from callers and definitions, or set is_inactive: false; give the key a later expires.")
	activeIgnored = registry.Define("tyk_policy_active_ignored", finding.Error,
		"A Tyk policy has active: false.",
		"The gateway does not read this member: its callers keep all rights.",
		"Set is_inactive: true, which denies its callers, or remove the rights.")
	policyVersion = registry.Define("tyk_policy_version_unknown", finding.Error,
		"A Tyk policy or key has rights for a version that its API does not have, or for none of a versioned API.",
		"The right has no effect: requests of the callers get 403.",
		"Write the names of versions of the definition into versions.")
	policyRejected = registry.Define("tyk_policy_rejected", finding.Error,
		"Tyk cannot apply a policy: its organisation is not that of the API, its partitions exclude those of another one, or no policy of a key has the partition acl.",
		"Tyk answers the callers with an error (403 or 500).",
		"Write one org_id into the definition and the policy; use per_api with no other partition, and not beside partitioned policies.")
	policiesNotRead = registry.Define("tyk_policies_not_read", finding.Error,
		"The gateway does not read the file of policies: it has another form, or the gateway takes policies from elsewhere.",
		"With a file of another form the gateway loads no API at all. Otherwise it has no policies: callers with one get an error, and scopes by policy are never granted.",
		"Write the file as an object with the ids as members, name it in policies.policy_record_name, and set policies.policy_source: file.")
	noPolicy = registry.Define("tyk_no_policy", finding.Error,
		"An API authenticates by JWT or OpenID Connect and gives no Tyk policy to its callers, or none with a right for the API.",
		"Tyk denies every caller: 403 (no matching policy; access disallowed), or 401.",
		"Write jwt_default_policies, jwt_policy_field_name or a mapping of scopes; for OpenID Connect client_ids. Name the API in access_rights of the policy, with partitions.acl if it has partitions.")
)

// checkPolicies checks Tyk policies and keys by themselves, and with the definitions that name them.
func (c *checker) checkPolicies() {
	for _, p := range c.Policies {
		c.checkActive(p.Node, "policy "+p.ID)
		if active := p.Node.Find("active"); active.IsFalse() && !p.Node.Find("is_inactive").IsTrue() {
			c.report.Add(activeIgnored, active, "policy %s is not active, and the gateway applies it", p.ID)
		}
		c.checkPartitions(p)
		c.checkOrganisation(p)
		c.checkVersionsOf(p.Node, p.ID)
	}
	for _, key := range c.Set.ContentsOf(objects.TykKey) {
		c.checkActive(key.Root, "the key "+key.Name)
		if expires := key.Root.Find("expires"); expires.Int() > 0 && int64(expires.Int()) < c.now.Unix() {
			c.report.Add(policyInactive, expires, "the key %s has expired at %s", key.Name, time.Unix(int64(expires.Int()), 0).UTC().Format(time.RFC3339))
		}
		c.checkVersionsOf(key.Root, key.Name)
		c.checkCombination(key.Root.Find("apply_policies").Entries(), "the key "+key.Name)
		c.checkKeyRights(key)
	}
	for _, a := range c.apis {
		c.checkCombination(a.DefaultPolicies, "API "+a.Title())
		if !a.Keyless && (c.leadsToUs(a) || a.ListsHooks()) {
			for _, m := range a.Methods {
				if (m.Name == "jwt" || m.Name == "oidc") && !m.Grants {
					c.report.Add(noPolicy, m.Node, "API %s gives no policy to callers with %s", a.Title(), m.Name)
				}
			}
			c.checkGrantedRights(a)
		}
	}
	c.checkPolicyFiles()
}

// checkKeyRights finds a key whose policies have partitions without rights alone: Tyk rejects the key.
func (c *checker) checkKeyRights(key *objects.Content) {
	ids := key.Root.Find("apply_policies").Entries()
	if len(ids) == 0 || slices.ContainsFunc(ids, func(id *objects.Node) bool {
		p := c.FindPolicy(id.String())
		return p == nil || !isPartitioned(p) || p.Node.FindPath("partitions", "acl").IsTrue()
	}) {
		return
	}
	c.report.Add(policyRejected, ids[0], "the key %s: none of its policies has rights, because their partitions do not have acl", key.Name)
}

// checkGrantedRights looks for a right among the policies that an API gives to its callers.
func (c *checker) checkGrantedRights(a *model.API) {
	if takesOtherPolicies(a) {
		return
	}
	if len(a.DefaultPolicies) > 0 && !slices.ContainsFunc(a.DefaultPolicies, func(id *objects.Node) bool { return c.mayAdmit(id.String(), a) }) {
		c.report.Add(noPolicy, a.DefaultPolicies[0], "API %s: its default policies have no right for it", a.Title())
	}
	if a.Form != model.Classic {
		return
	}
	for _, client := range a.ClientIDs {
		if !c.mayAdmit(client.String(), a) {
			c.report.Add(noPolicy, client, "API %s: the policy %s of a client has no right for it", a.Title(), client.String())
		}
	}
}

// takesOtherPolicies reports an API whose callers can have policies that the definition does not name, or name by scopes.
func takesOtherPolicies(a *model.API) bool {
	if len(a.Scopes) > 0 {
		return true
	}
	for _, key := range []string{"jwt_policy_field_name", "jwt_client_base_field"} {
		if a.Root.FindFold(key).String() != "" {
			return true
		}
	}
	return slices.ContainsFunc(a.Root.FindFold("server", "authentication", "securitySchemes").Members(), func(n *objects.Node) bool {
		return n.FindFold("policyFieldName").String() != "" || n.FindFold("clientBaseField").String() != ""
	})
}

// mayAdmit reports a policy with a right for an API; one that is not in the input can have it. Tyk reads rights of a policy with partitions only if
// acl is one of them.
func (c *checker) mayAdmit(id string, a *model.API) bool {
	p := c.FindPolicy(id)
	if p == nil {
		return true
	}
	if isPartitioned(p) && !p.Node.FindPath("partitions", "acl").IsTrue() {
		return false
	}
	for _, right := range p.Rights {
		if c.FindAPI(right.Key) == a || right.Key == a.ID {
			return true
		}
	}
	return slices.ContainsFunc(p.Node.Find("access_rights_array").Entries(), func(right *objects.Node) bool {
		return a.Object != nil && right.Find("name").String() == a.Object.Name || right.Find("api_id").String() == a.ID && a.ID != ""
	})
}

func (c *checker) checkActive(n *objects.Node, title string) {
	inactive := n.Find("is_inactive")
	if !inactive.IsTrue() {
		return
	}
	granted := c.scopesOf(n)
	if len(granted) > 0 {
		title += ", which grants the scopes " + strings.Join(granted, ", ") + ","
	}
	c.report.Add(policyInactive, inactive, "%s is inactive", title)
}

// scopesOf are the scopes that the plugin grants for a policy.
func (c *checker) scopesOf(n *objects.Node) (all []string) {
	for _, p := range c.Policies {
		for _, plugin := range c.Plugins {
			for _, block := range plugin.Root.Members() {
				for _, list := range block.FindPath("scopes", "byPolicy").Members() {
					if p.Node == n && p.IsNamed(list.Key) {
						all = append(all, list.Texts()...)
					}
				}
			}
		}
	}
	return all
}

func isPartitioned(p *model.TykPolicy) bool {
	return slices.ContainsFunc([]string{"quota", "rate_limit", "acl", "complexity"}, func(name string) bool { return p.Node.FindPath("partitions", name).IsTrue() })
}

func isPerAPI(p *model.TykPolicy) bool { return p.Node.FindPath("partitions", "per_api").IsTrue() }

func (c *checker) checkPartitions(p *model.TykPolicy) {
	if isPerAPI(p) && isPartitioned(p) {
		c.report.Add(policyRejected, p.Node.FindPath("partitions", "per_api"), "policy %s has per_api and another partition", p.ID)
	}
}

// checkCombination finds policies of one caller that exclude each other.
func (c *checker) checkCombination(ids []*objects.Node, title string) {
	var perAPI, partitioned *model.TykPolicy
	for _, id := range ids {
		p := c.FindPolicy(id.String())
		switch {
		case p == nil || isPerAPI(p) && isPartitioned(p):
			continue
		case isPerAPI(p):
			perAPI = p
		case isPartitioned(p):
			partitioned = p
		}
		if perAPI != nil && partitioned != nil {
			c.report.Add(policyRejected, id, "%s has the policies %s, with per_api, and %s, with partitions", title, perAPI.ID, partitioned.ID)
			return
		}
	}
}

// checkOrganisation compares the organisations of files; Tyk Operator and the Dashboard set their own.
func (c *checker) checkOrganisation(p *model.TykPolicy) {
	if p.Content == nil {
		return
	}
	for _, right := range p.Node.Find("access_rights").Members() {
		if a := c.FindAPI(right.Key); a != nil && a.FromFile && a.Object == nil && a.Org.String() != p.Node.Find("org_id").String() {
			at := p.Node.Find("org_id")
			if at == nil {
				at = p.Node
			}
			c.report.Add(policyRejected, at, "policy %s is of the organisation %q, and API %s is of %q", p.ID, p.Node.Find("org_id").String(), a.Title(), a.Org.String())
			return
		}
	}
}

// checkVersionsOf compares the versions of rights with those of definitions of the old form; Tyk does not read them for other APIs.
func (c *checker) checkVersionsOf(n *objects.Node, title string) {
	for _, right := range slices.Concat(n.Find("access_rights").Members(), n.Find("access_rights_array").Entries()) {
		id := right.Key
		if id == "" {
			id = right.Find("name").String()
		}
		a := c.FindAPI(id)
		if a == nil || a.NotVersioned || len(a.Versions) == 0 {
			continue
		}
		if right.Find("versions").IsEmpty() {
			c.report.Add(policyVersion, right, "%s has rights for no version of API %s", title, a.Title())
		}
		for _, v := range right.Find("versions").Entries() {
			if !slices.ContainsFunc(a.Versions, func(known *objects.Node) bool { return known.Key == v.String() }) {
				c.report.Add(policyVersion, v, "%s has rights for the version %q of API %s, which it does not have", title, v.String(), a.Title())
			}
		}
	}
}

// checkPolicyFiles checks whether the gateway reads the files of policies.
func (c *checker) checkPolicyFiles() {
	for _, file := range c.Set.ContentsOf(objects.TykPolicies) {
		g := c.GatewayIn(file.Namespace)
		record, _ := g.Setting("policies.policy_record_name")
		if g == nil || g.Conf == nil || path.Base(record) != file.Name || file.Namespace != g.Namespace {
			continue
		}
		folder, _ := g.Setting("policies.policy_path")
		source, from := g.Setting("policies.policy_source")
		switch {
		case source == "service" || source == "rpc":
			c.report.Add(policiesNotRead, from, "policy_source is %s, and not file", source)
		case g.IsOn("use_db_app_configs"):
			c.report.Add(policiesNotRead, g.At("use_db_app_configs"), "with use_db_app_configs the gateway takes policies from the Dashboard")
		case folder != "" && path.Clean(folder) != path.Dir(record):
			c.report.Add(policiesNotRead, g.At("policies.policy_path"), "policy_path is %s, so that the gateway does not read %s", folder, record)
		case folder == "" && (file.Root.Kind == objects.List || file.Root.Find("access_rights") != nil && file.Root.FindPath("access_rights", "access_rights") == nil):
			c.report.Add(policiesNotRead, file.Root, "%s is no object of policies by their ids", record)
		}
	}
}
