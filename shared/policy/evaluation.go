package policy

import (
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy/expr"
	"github.com/meshpass/meshpass/shared/policy/host"
	"github.com/meshpass/meshpass/shared/policy/path"
)

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
	noToken      decision.Reason // why there is no verified token
	outage       bool            // noToken is an outage

	vars     expr.Vars         // for expressions
	captures map[string]string // of the path, for the expression that is being evaluated

	roomForSegments, roomForScopes [8]string // mostly enough
	roomForText                    [1]string
}

// begin prepares the zero evaluation for a request. An evaluation is not copied, because
// its lists use its own rooms.
func (e *evaluation) begin(r Request, authenticate AuthenticateToken) {
	e.request, e.authenticate, e.host = r, authenticate, host.Normalize(r.Host)
	e.segments = path.AppendSegments(e.roomForSegments[:0], r.Path)
	e.vars = expr.Vars{
		Caller: r.Caller, Callee: r.Callee, Now: r.Now,
		Method: r.Method, Path: r.Path, Host: e.host, Port: r.Port, Headers: r.Headers,
	}
}

// readToken calls authenticate, once. Before that, no condition knows any claims.
func (e *evaluation) readToken() {
	if e.tokenRead {
		return
	}
	e.tokenRead = true
	known := e.authenticate()
	e.claims, e.noToken = known.Claims, known.NoToken
	e.outage = known.Outage && known.NoToken.CanBeOutage()
	if e.claims != nil {
		e.scopes = e.claims.AppendScopes(e.roomForScopes[:0])
	}
}

// variables are the values that an expression may read. They are valid until the next call.
func (e *evaluation) variables(captures map[string]string) *expr.Vars {
	e.vars.Captures, e.vars.Claims = captures, e.claims
	return &e.vars
}

// readCaptures gives the captures of a path that matches. They are valid until the next call.
func (e *evaluation) readCaptures(p *path.Pattern) map[string]string {
	if e.captures == nil {
		e.captures = map[string]string{}
	}
	clear(e.captures)
	p.CaptureInto(e.captures, e.segments)
	return e.captures
}

// claimValue gives a claim for explanations; nil: it is missing.
func (e *evaluation) claimValue(path ...string) any {
	value, _ := e.claims.Lookup(path...)
	return value
}
