package main

import (
	"maps"
	"slices"
	"strings"
)

// preset is how a provider's access tokens say who the caller is. Its subject and
// its scopes give way to the idp's own; of its claims, those do that the idp names.
type preset struct {
	subject string
	scopes  []string
	claims  map[string]claimRule
}

var presets = map[string]preset{
	// sub is the login, which can be given to somebody else; uid stays. A service
	// has a client and no user.
	"okta": {"uid|cid", []string{"scp"}, from("client", "cid", "groups", "groups")},
	// permissions are all that the user's roles grant, scope what this client was given of them.
	"auth0": {"sub", []string{"scope"}, from("client", "azp", "permissions", "permissions")},
	// Roles of the realm stand in an object.
	"keycloak": {"sub", []string{"scope"}, from("client", "azp", "roles", "realm_access.roles")},
	// sub differs from application to application; oid names the user or service in the tenant tid.
	"entra": {"oid+tid", []string{"scp"}, from("client", "azp", "roles", "roles", "tenant", "tid")},
}

// from makes claim rules of pairs: our name, the provider's.
func from(pairs ...string) map[string]claimRule {
	rules := map[string]claimRule{}
	for pair := range slices.Chunk(pairs, 2) {
		rules[pair[0]] = claimRule{From: pair[1]}
	}
	return rules
}

// usePresets fills in what the file leaves to presets and to defaults. Claims are
// laid over those of the preset one by one.
func (c *config) usePresets() {
	for i := range c.IDPs {
		p := &c.IDPs[i]
		known := presets[p.Preset] // an unknown one is empty, and reported
		if p.Subject == "" {
			p.Subject = known.subject
		}
		if p.Scopes == nil {
			p.Scopes = known.scopes
		}
		if p.Types == nil {
			p.Types = slices.Clone(defaultTypes) // the check writes each in one form
		}
		p.Claims = over(known.claims, p.Claims)
	}
}

// over keeps a removal of what the preset does not have: it is a slip, and reported.
func over(preset, own map[string]claimRule) map[string]claimRule {
	merged := map[string]claimRule{}
	maps.Copy(merged, preset)
	for name, rule := range own {
		if _, known := preset[name]; known && rule.removed {
			delete(merged, name)
			continue
		}
		merged[name] = rule
	}
	return merged
}

func presetNames() string { return strings.Join(slices.Sorted(maps.Keys(presets)), ", ") }
