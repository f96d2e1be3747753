package policy

import (
	"net/url"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// Request is what is asked, of whom, by which workload.
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

// Authenticate gives the claims of the request's token, or the reason why there
// are none. It is called at most once, and not where no answer needs it. Every
// reason for which [decision.Reason.CanBeOutage] holds counts as an outage; a caller
// that knows better uses [Set.DecideToken].
type Authenticate func() (*identity.Claims, decision.Reason)

// Authentication is what is known of the request's token.
type Authentication struct {
	Claims  *identity.Claims // of a verified token; nil: there is none
	Refusal decision.Reason  // why there are no claims
	Outage  bool             // nobody can judge the token now, and neither requester nor partner is the cause
}

// AuthenticateToken gives what is known of the request's token. It is called at most
// once, and not where no answer needs it. Only an Outage makes onOutage decide.
type AuthenticateToken func() Authentication

func (a Authenticate) token() Authentication {
	claims, refusal := a()
	return Authentication{Claims: claims, Refusal: refusal, Outage: claims == nil && refusal.CanBeOutage()}
}

// subject is one request under evaluation, with what is worked out only once.
type subject struct {
	Request
	segments []string // of the path, each decoded once
	odd      []oddity // where the path is ambiguous, and some rule may admit it
	host     string

	authenticate AuthenticateToken
	asked        bool             // for the token
	claims       *identity.Claims // of a token that was verified
	refusal      decision.Reason  // why there are no claims
	outage       bool             // the refusal is an outage
	scopes       []string
}

func newSubject(r Request, auth AuthenticateToken) subject {
	return subject{Request: r, authenticate: auth, host: normalHost(r.Host)}
}

// ask looks at the token, once; before it, no condition knows any claims.
func (s *subject) ask() {
	if s.asked {
		return
	}
	s.asked = true
	known := s.authenticate()
	s.claims, s.refusal = known.Claims, known.Refusal
	s.outage = known.Outage && known.Refusal.CanBeOutage()
	if s.claims != nil {
		s.scopes = s.claims.Scopes()
	}
}

// decoded splits a path that [CheckPath] admits, and then undoes the escapes that
// are left in it, so that a rule on /a:b also holds for /a%3Ab, which a server
// reads alike. No escape that is left decodes to a separator or to a dot.
func decoded(path string) []string {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if !strings.Contains(path, "%") {
		return segments
	}
	for i, segment := range segments {
		if text, err := url.PathUnescape(segment); err == nil {
			segments[i] = text
		}
	}
	return segments
}
