package policy

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// Inputs gives, under dotted names, the attributes that the loaded documents read
// and that stand nowhere else in an audit record; absent ones are left out. With
// it a recorded decision can be made again. Claims that no document reads are
// never in it.
func (s *Set) Inputs(r Request, claims *identity.Claims) map[string]any {
	return s.reads.inputs(r, claims)
}

// Reads lists the names that Inputs can have, sorted: a name that is listed and
// not in a record was absent from the request, unless it was masked. Documents
// that read more cannot make that decision again.
func (s *Set) Reads() []string { return s.reads.names() }

func (reads *reads) names() []string {
	var all []string
	for name := range reads.claims {
		all = append(all, "claims."+name)
	}
	for name := range reads.headers {
		all = append(all, "request.headers."+name)
	}
	if reads.port {
		all = append(all, "request.port")
	}
	if reads.noCaller {
		all = append(all, "request.no_caller")
	}
	slices.Sort(all)
	return all
}

func (reads *reads) inputs(r Request, claims *identity.Claims) map[string]any {
	inputs := map[string]any{}
	for name := range reads.claims {
		if value, ok := claims.Lookup(strings.Split(name, ".")...); ok {
			inputs["claims."+name] = value
		}
	}
	for name := range reads.headers {
		if value, ok := r.Headers[name]; ok {
			inputs["request.headers."+name] = value
		}
	}
	if reads.port {
		inputs["request.port"] = r.Port
	}
	if reads.noCaller {
		inputs["request.no_caller"] = r.NoCaller
	}
	return inputs
}
