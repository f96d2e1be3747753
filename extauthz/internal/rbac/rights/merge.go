package rights

import (
	"fmt"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// Caller is a caller of Tyk, by the policies that it has, or by the rights of its own key.
type Caller struct {
	Name     string // for people: policy reader, key partner
	Policies []string
	Key      *Key // nil: the policies alone
}

// Access is what a caller may do with one API.
type Access struct {
	Denied   string  // why Tyk denies every request; "": it does not
	Grants   []Grant // empty: every path and method
	Versions []string
	Notes    []string      // about changes by a merge
	Node     *objects.Node // the right; nil: no right is written
}

// On is what the caller may do with an API of an organisation.
func (c Caller) On(api, org string, input Input) Access {
	if c.Key != nil && c.Key.Inactive {
		return Access{Denied: "the key is inactive"}
	}
	if len(c.Policies) == 0 {
		return c.accessOfKey(api)
	}
	rights, access := input.merge(c.Policies, api, org)
	if access.Denied != "" {
		return access
	}
	right, found := rights[api]
	if !found {
		return Access{Denied: noRight}
	}
	access.Grants, access.Versions, access.Node = right.Grants, right.Versions, right.Node
	return access
}

// noRight is why a caller without a right for an API is denied.
const noRight = "it has no right for this API"

// LacksRight reports an access that is denied for nothing but a missing right.
func (a Access) LacksRight() bool { return a.Denied == noRight }

// accessOfKey is that of a key without policies. A key without rights has all of them.
func (c Caller) accessOfKey(api string) Access {
	if c.Key == nil {
		return Access{Denied: "it has neither a policy nor a key"}
	}
	right, found := c.Key.Rights[api]
	switch {
	case len(c.Key.Rights) == 0:
		return Access{Notes: []string{"a key without access_rights: Tyk admits it to every API"}}
	case !found:
		return Access{Denied: noRight}
	}
	return Access{Grants: right.Grants, Versions: right.Versions, Node: right.Node}
}

// merge applies policies in their order, as Service.Apply of Tyk does. The notes are about one API.
func (input Input) merge(ids []string, noted, org string) (rights map[string]Right, access Access) {
	rights = map[string]Right{}
	granted := map[string]bool{}
	inactive, didPerAPI, didPartition := false, false, false
	deny := func(format string, args ...any) (map[string]Right, Access) {
		return nil, Access{Denied: fmt.Sprintf(format, args...)}
	}
	for _, id := range ids {
		p := input.Policies[id]
		switch {
		case p == nil && len(ids) > 1:
			access.Notes = append(access.Notes, fmt.Sprintf("the policy %q does not exist: Tyk passes over it", id))
			continue
		case p == nil:
			return deny("the policy %q does not exist", id)
		case p.Org != org:
			return deny("the policy %s is of the organisation %q, and the API of %q", id, p.Org, org)
		case p.PerAPI && p.Partitions:
			return deny("the policy %s has per_api and another partition", id)
		case p.PerAPI && didPartition, !p.PerAPI && p.Partitions && didPerAPI:
			return deny("the policy %s cannot be merged: one policy has per_api and another one other partitions", id)
		}
		if p.PerAPI {
			didPerAPI = didPerAPI || len(p.Rights) > 0
		} else {
			didPartition = p.Partitions
		}
		for api, right := range p.Rights {
			if !p.PerAPI && p.Partitions && !p.ACL {
				continue // limits alone
			}
			before := rights[api]
			if note := describeLoss(id, api, before, right, granted[api], p.PerAPI); note != "" && api == noted {
				access.Notes = append(access.Notes, note)
			}
			granted[api] = true
			if p.PerAPI {
				rights[api] = right
				continue
			}
			rights[api] = Right{Versions: addMissing(before.Versions, right.Versions), Grants: mergeGrants(before.Grants, right.Grants), Node: right.Node}
		}
		inactive = inactive || p.Inactive
	}
	slices.Sort(access.Notes)
	switch {
	case len(rights) == 0:
		return deny("no policy grants a right: Tyk denies every request")
	case inactive:
		return deny("a policy is inactive")
	}
	return rights, access
}

// describeLoss names what a merge takes away: Tyk reads an empty list of URLs as no change, and not as all URLs.
func describeLoss(id, api string, before, now Right, granted, perAPI bool) string {
	switch {
	case !granted:
		return ""
	case perAPI && len(before.Grants) > 0:
		return fmt.Sprintf("API %s: the policy %s has per_api and replaces the URLs of the policies before it", api, id)
	case !perAPI && (len(before.Grants) == 0) != (len(now.Grants) == 0):
		return fmt.Sprintf("API %s: one policy has all URLs and another one has a list: together they have the list alone", api)
	}
	return ""
}

// mergeGrants joins the methods of entries with one URL.
func mergeGrants(before, more []Grant) []Grant {
	var merged []Grant
	for _, g := range slices.Concat(before, more) {
		at := slices.IndexFunc(merged, func(known Grant) bool { return known.URL == g.URL })
		if at < 0 {
			merged = append(merged, g)
			continue
		}
		merged[at].Methods = addMissing(merged[at].Methods, g.Methods)
	}
	return merged
}

// addMissing does not change the lists.
func addMissing(list, more []string) []string {
	list = slices.Clone(list)
	for _, text := range more {
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}
