package policy

import (
	"reflect"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// verdict is what a condition says of a request.
type verdict int

// The zero verdict matches nothing.
const (
	no verdict = iota
	yes
	undecided // what would decide it is missing or of another kind
)

func (v verdict) String() string { return [...]string{"no", "yes", "undecided"}[v] }

func verdictOf(matched bool) verdict {
	if matched {
		return yes
	}
	return no
}

// both is the conjunction: one no decides, whatever else is undecided.
func both(a, b verdict) verdict {
	if a == no || b == no {
		return no
	}
	return max(a, b)
}

// condition is one part of a rule. All parts of a rule must say yes.
type condition struct {
	field string // as the document names it: to.methods, claims.tctx.plan
	want  any    // as the document says it
	holds func(*pattern, *subject) verdict
}

func all(conditions []condition, p *pattern, s *subject) verdict {
	result := yes
	for i := range conditions {
		if result = both(result, conditions[i].holds(p, s)); result == no {
			return no
		}
	}
	return result
}

// callerIn needs the caller's identity: a peer without one may be anybody.
func callerIn(workloads []identity.Pattern) condition {
	return condition{"from.workloads", workloads, func(_ *pattern, s *subject) verdict {
		if s.Caller == "" {
			return undecided
		}
		return verdictOf(slices.ContainsFunc(workloads, func(p identity.Pattern) bool { return p.Match(s.Caller) }))
	}}
}

// noPrincipal holds where no caller can have an identity; where one could and
// is not known, nothing can be said.
func noPrincipal() condition {
	return condition{"from.noPrincipal", true, func(_ *pattern, s *subject) verdict {
		if s.Caller == "" && !s.NoCaller {
			return undecided
		}
		return verdictOf(s.Caller == "")
	}}
}

func issuerIn(issuers []string) condition {
	return condition{"from.issuers", issuers, func(_ *pattern, s *subject) verdict {
		if s.claims == nil {
			return undecided
		}
		return verdictOf(slices.Contains(issuers, s.claims.Issuer))
	}}
}

func methodIn(methods []string) condition {
	return condition{"to.methods", methods, func(_ *pattern, s *subject) verdict { return verdictOf(slices.Contains(methods, s.Method)) }}
}

// hostPatterns are hosts of a rule: names, addresses, and wildcards.
type hostPatterns []string

func hostIn(hosts []string) condition {
	return condition{"to.hosts", hostPatterns(hosts), func(_ *pattern, s *subject) verdict {
		return verdictOf(slices.ContainsFunc(hosts, func(pattern string) bool { return matchHost(pattern, s.host) }))
	}}
}

func portIn(ports []uint32) condition {
	return condition{"to.ports", ports, func(_ *pattern, s *subject) verdict { return verdictOf(slices.Contains(ports, s.Port)) }}
}

// allOf is wanted whole; of every other list, one entry is enough.
type allOf []string

func hasScopes(scopes []string) condition {
	return condition{"scopes", allOf(scopes), func(_ *pattern, s *subject) verdict {
		if s.claims == nil {
			return undecided
		}
		return verdictOf(!slices.ContainsFunc(scopes, func(name string) bool { return !slices.Contains(s.scopes, name) }))
	}}
}

// claimIn compares a claim, or each entry of a claim that is a list, with the
// values that the rule lists. An entry of a kind that none of these has decides
// nothing: "true" is not true, and a deny on true must not be dodged by it.
func claimIn(name string, values []any) condition {
	path := strings.Split(name, ".")
	listed := make(map[any]bool, len(values)) // a client's list meets a document's: each entry is looked up once
	kinds := map[reflect.Type]bool{}
	for _, value := range values {
		listed[value], kinds[reflect.TypeOf(value)] = true, true
	}
	return condition{"claims." + name, values, func(_ *pattern, s *subject) verdict {
		value, ok := s.claims.Lookup(path...)
		if !ok {
			return undecided
		}
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}
		result := no
		for _, entry := range list {
			switch {
			case !isScalar(entry):
				result = undecided
			case listed[entry]:
				return yes
			case !kinds[reflect.TypeOf(entry)]:
				result = undecided
			}
		}
		return result
	}}
}

// isScalar also keeps the comparison above from meeting values that Go cannot compare.
func isScalar(value any) bool {
	switch value.(type) {
	case string, bool, int64:
		return true
	}
	return false
}

// topLevelClaims are the names that a document may read.
var topLevelClaims = []string{"iss", "aud", "sub", "txn", "scope", "req_wl", "tctx", "rctx"}
