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
// are none. It is called at most once, and not where the answer needs no token.
type Authenticate func() (*identity.Claims, decision.Reason)

// normalHost is how hosts compare: lower-case, without port or trailing dot.
func normalHost(host string) string {
	if strings.HasPrefix(host, "[") { // an IPv6 address
		host, _, _ = strings.Cut(host, "]")
		return strings.ToLower(host + "]")
	}
	host, _, _ = strings.Cut(host, ":")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// subject is one request under evaluation, with what is worked out only once.
type subject struct {
	Request
	claims   *identity.Claims // nil: no token
	segments []string         // of the path, each decoded once
	host     string
	scopes   map[string]bool
}

func newSubject(r Request) *subject {
	return &subject{Request: r, segments: decoded(r.Path), host: normalHost(r.Host)}
}

// decoded splits a path that [CheckPath] admits, and then undoes the escapes that
// are left in it, so that a rule on /a:b also holds for /a%3Ab, which a server
// reads alike. No escape that is left decodes to a separator or to a dot.
func decoded(path string) []string {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, segment := range segments {
		if text, err := url.PathUnescape(segment); err == nil {
			segments[i] = text
		}
	}
	return segments
}

func (s *subject) authenticated(c *identity.Claims) {
	s.claims = c
	s.scopes = map[string]bool{}
	for _, name := range c.Scopes() {
		s.scopes[name] = true
	}
}
