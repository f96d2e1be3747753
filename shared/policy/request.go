package policy

import (
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy/expr"
	"github.com/meshpass/meshpass/shared/policy/host"
	"github.com/meshpass/meshpass/shared/policy/path"
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
	Refusal decision.Reason  // why there are no claims
	Outage  bool             // the token cannot be verified now, and neither requester nor partner is the cause
}

// AuthenticateToken gives what is known of the request's token. It is called at most
// once, and only if a decision needs the token. Only an Outage makes onOutage decide.
type AuthenticateToken func() Authentication

func (a Authenticate) token() Authentication {
	claims, refusal := a()
	return Authentication{Claims: claims, Refusal: refusal, Outage: claims == nil && refusal.CanBeOutage()}
}

// evaluation is one request that is being decided, with all values that are computed
// only once.
type evaluation struct {
	request   Request
	host      string                  // as hosts compare
	segments  []string                // of the path, each decoded once
	ambiguous []path.AmbiguousSegment // of an ambiguous path that some rule may admit

	authenticate AuthenticateToken
	tokenRead    bool
	claims       *identity.Claims // of a verified token; nil before the token is read
	scopes       []string
	noClaims     decision.Reason // why there are no claims
	outage       bool            // noClaims is an outage

	vars *expr.Vars // nil: no expression was evaluated yet
}

func newEvaluation(r Request, authenticate AuthenticateToken) evaluation {
	return evaluation{request: r, authenticate: authenticate, host: host.Normalize(r.Host), segments: path.Segments(r.Path)}
}

// readToken calls authenticate, once. Before that, no condition knows any claims.
func (e *evaluation) readToken() {
	if e.tokenRead {
		return
	}
	e.tokenRead = true
	known := e.authenticate()
	e.claims, e.noClaims = known.Claims, known.Refusal
	e.outage = known.Outage && known.Refusal.CanBeOutage()
	if e.claims != nil {
		e.scopes = e.claims.Scopes()
	}
}

// variables are the values that an expression may read. They are valid until the next call.
func (e *evaluation) variables(captures map[string]string) *expr.Vars {
	if e.vars == nil {
		r := &e.request
		e.vars = &expr.Vars{
			Caller: r.Caller, Callee: r.Callee, Now: r.Now,
			Method: r.Method, Path: r.Path, Host: e.host, Port: r.Port, Headers: r.Headers,
		}
	}
	e.vars.Captures, e.vars.Claims = captures, e.claims
	return e.vars
}
