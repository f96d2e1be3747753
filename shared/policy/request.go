package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy/expr"
)

// Request is a call of a workload, which is to be decided.
type Request struct {
	Caller   identity.Workload // empty: not known
	NoCaller bool              // no caller can have an identity here, as where the mesh is entered; Caller is empty
	Callee   identity.Workload
	Method   string
	Path     string // as Envoy sends it, without the query
	Host     string
	Port     uint32
	Headers  map[string]string // lower-case names
	Now      time.Time
}

// Authenticate gives the claims of the request's token, or the reason why it has no
// claims. It is called at most once, and only if a decision needs the token. A reason that
// can be an outage ([decision.Reason.CanBeOutage]) counts as one. A caller that knows more
// uses [Set.DecideToken].
type Authenticate func() (*identity.Claims, decision.Reason)

// Authentication is what is known of the request's token.
type Authentication struct {
	Claims  *identity.Claims // of a verified token; nil: there is no such token
	NoToken decision.Reason  // why there is no verified token
	Outage  bool             // the token cannot be verified now, and neither requester nor partner is the cause
}

// AuthenticateToken gives what is known of the request's token. It is called at most
// once, and only if a decision needs the token. Only an Outage makes onOutage decide.
type AuthenticateToken func() Authentication

func (a Authenticate) token() Authentication {
	claims, noToken := a()
	return Authentication{Claims: claims, NoToken: noToken, Outage: claims == nil && noToken.CanBeOutage()}
}

// Attribute is a part of a request or of its token that a condition reads.
type Attribute struct {
	name     string
	recorded bool // each audit record has a field for it, so it is no input
	get      func(*Request, *identity.Claims) (value any, present bool)
}

// Name is the name under which the inputs of an audit record hold the attribute, such as
// claims.tctx.plan, request.headers.x-region or request.port.
func (a Attribute) Name() string { return a.name }

const (
	claimPrefix  = "claims."
	headerPrefix = "request.headers."
	portName     = "request.port"
	noCallerName = "request.no_caller"
)

var (
	portAttribute     = Attribute{name: portName, get: func(r *Request, _ *identity.Claims) (any, bool) { return r.Port, true }}
	noCallerAttribute = Attribute{name: noCallerName, get: func(r *Request, _ *identity.Claims) (any, bool) { return r.NoCaller, true }}
	hostAttribute     = Attribute{name: "request.host", recorded: true, get: func(r *Request, _ *identity.Claims) (any, bool) { return r.Host, true }}
)

// claimAttribute wants a dotted name, such as tctx.plan.
func claimAttribute(name string) Attribute {
	path := strings.Split(name, ".")
	return Attribute{name: claimPrefix + name, get: func(_ *Request, claims *identity.Claims) (any, bool) { return claims.Lookup(path...) }}
}

// headerAttribute wants a lower-case name.
func headerAttribute(name string) Attribute {
	return Attribute{name: headerPrefix + name, get: func(r *Request, _ *identity.Claims) (any, bool) {
		value, ok := r.Headers[name]
		return value, ok
	}}
}

func attributesOf(reads expr.Reads) []Attribute {
	var all []Attribute
	for name := range reads.Claims {
		all = append(all, claimAttribute(name))
	}
	for name := range reads.Headers {
		all = append(all, headerAttribute(name))
	}
	if reads.Port {
		all = append(all, portAttribute)
	}
	if reads.Host {
		all = append(all, hostAttribute)
	}
	return sortAttributes(all)
}

// sortAttributes sorts by name, and keeps one attribute of each name.
func sortAttributes(all []Attribute) []Attribute {
	slices.SortFunc(all, func(a, b Attribute) int { return cmp.Compare(a.name, b.name) })
	return slices.CompactFunc(all, func(a, b Attribute) bool { return a.name == b.name })
}

// inputNames lists the attributes that inputs may hold.
func inputNames(attributes []Attribute) []string {
	var all []string
	for _, a := range attributes {
		if !a.recorded {
			all = append(all, a.name)
		}
	}
	return all
}

func inputsOf(attributes []Attribute, r *Request, claims *identity.Claims) map[string]any {
	inputs := map[string]any{}
	for _, a := range attributes {
		if a.recorded {
			continue
		}
		if value, present := a.get(r, claims); present {
			inputs[a.name] = value
		}
	}
	return inputs
}

// SetInputs sets the fields of the request that inputs of an audit record hold. It is
// the inverse of [Set.Inputs], but for claims, which it passes over. Whole numbers are
// int64; a port is bounded to 0 to 65535.
func (r *Request) SetInputs(inputs map[string]any) {
	for name, value := range inputs {
		if header, isHeader := strings.CutPrefix(name, headerPrefix); isHeader {
			if text, isText := value.(string); isText {
				if r.Headers == nil {
					r.Headers = map[string]string{}
				}
				r.Headers[header] = text
			}
			continue
		}
		switch name {
		case portName:
			if port, isNumber := value.(int64); isNumber {
				r.Port = uint32(min(max(port, 0), 1<<16-1))
			}
		case noCallerName:
			if noCaller, isBool := value.(bool); isBool {
				r.NoCaller = noCaller
			}
		}
	}
}
