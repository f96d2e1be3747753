package localcopy

import "slices"

// Policy is what a policy of Tyk grants: a limit for all its APIs together, and limits for single ones.
type Policy struct {
	Limit Limit
	APIs  map[string]Limit // only those with a limit of their own
	Rates map[string][]Endpoint
}

// Limit is the rate and the quota of a caller.
type Limit struct {
	Rate
	Quota float64 // requests in a renewal period; 0 or less: no quota
}

func newLimit(o object) Limit {
	return Limit{Rate: Rate{numberAt(o, "rate"), numberAt(o, "per")}, Quota: numberAt(o, "quota_max")}
}

func (l Limit) isEmpty() bool { return l.Rate.Rate == 0 && l.Quota == 0 }

func newPolicy(o object) Policy {
	p := Policy{Limit: newLimit(o), APIs: map[string]Limit{}, Rates: map[string][]Endpoint{}}
	for id, rights := range objectAt(o, "access_rights") {
		if limit := newLimit(objectAt(toObject(rights), "limit")); !limit.isEmpty() {
			p.APIs[id] = limit
		}
		p.Rates[id] = readEndpointLimits(toObject(rights))
	}
	return p
}

func readEndpointLimits(rights object) (all []Endpoint) {
	for _, e := range toObjects(rights["endpoints"]) {
		for _, m := range toObjects(e["methods"]) {
			limit := objectAt(m, "limit")
			all = append(all, Endpoint{textAt(m, "name"), textAt(e, "path"), Rate{numberAt(limit, "rate"), numberAt(limit, "per")}})
		}
	}
	return all
}

// Session is what the gateway holds of a caller, with the policies applied.
type Session struct {
	Alias    string
	Policies []string
	Limit    Limit
	APIs     map[string]APIRights
}

// APIRights is what a session may do with an API.
type APIRights struct {
	Limit     Limit
	Scope     string // of the count; empty: all APIs of the session are counted together
	Endpoints []Endpoint
}

func newSession(o object) Session {
	s := Session{Alias: textAt(o, "alias"), Limit: newLimit(o), APIs: map[string]APIRights{}}
	for _, id := range toList(o["apply_policies"]) {
		if name, ok := id.(string); ok {
			s.Policies = append(s.Policies, name)
		}
	}
	if id := textAt(o, "apply_policy_id"); id != "" && !slices.Contains(s.Policies, id) {
		s.Policies = append(s.Policies, id)
	}
	for id, rights := range objectAt(o, "access_rights") {
		r := toObject(rights)
		s.APIs[id] = APIRights{Limit: newLimit(objectAt(r, "limit")), Scope: textAt(r, "allowance_scope"), Endpoints: readEndpointLimits(r)}
	}
	return s
}
