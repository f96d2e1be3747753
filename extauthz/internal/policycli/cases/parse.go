package cases

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Case is one request and what is expected of it.
type Case struct {
	File string
	strictyaml.Position
	Name    string
	Request policy.Request
	Claims  *identity.Claims
	Token   decision.Reason // why there are no claims
	Expect  Expectation
}

// Expectation is what a case compares; what is empty is not compared.
type Expectation struct {
	Decision, Reason, Rule string
	Shadow                 []string
}

// noon is when the requests are made that do not say so.
var defaultTime = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// caseParser reads the cases of one file.
type caseParser struct {
	policy.Loader
	doc      *strictyaml.Document
	file     caseFile
	problems strictyaml.Problems

	unreadable bool // the file has keys or values that cannot be read
}

func parseFile(data []byte, loader policy.Loader) ([]Case, strictyaml.Problems) {
	doc, err := strictyaml.Parse(data)
	var unreadable strictyaml.Problems
	if errors.As(err, &unreadable) {
		return nil, unreadable
	} else if err != nil {
		return nil, strictyaml.Problems{{Message: err.Error()}}
	}
	p := caseParser{Loader: loader, doc: doc}
	p.problems = doc.Decode(&p.file)
	p.unreadable = len(p.problems) > 0
	if p.file.APIVersion != policy.APIVersion || p.file.Kind != Kind {
		p.problems.Add(doc.At(), "want apiVersion: %s and kind: %s", policy.APIVersion, Kind)
	}
	if len(p.file.Cases) == 0 {
		p.problems.Add(doc.At("cases"), "want cases: a list that is not empty")
	}
	var all []Case
	lines := map[string]int{}
	for i := range p.file.Cases {
		c := p.readCase(i, &p.file.Cases[i])
		if first, again := lines[c.Name]; again && c.Name != "" {
			p.addProblem(i, "name", "a second case is named %q, the first one is in line %d: give each its own name", c.Name, first)
		} else {
			lines[c.Name] = c.Line
		}
		all = append(all, c)
	}
	return all, p.problems
}

// addProblem notes what is wrong with a field of a case.
func (p *caseParser) addProblem(i int, field, format string, args ...any) {
	p.problems.Add(p.doc.At("cases", i, field), format, args...)
}

func (p *caseParser) readCase(i int, s *caseSpec) Case {
	c := Case{Position: p.doc.At("cases", i), Name: s.Name, Request: p.readRequest(i, s)}
	if s.Name == "" {
		p.addProblem(i, "name", "a case needs a name")
	}
	p.readToken(i, s, &c)
	p.readExpectation(i, s.Expect, &c)
	return c
}

func (p *caseParser) readRequest(i int, s *caseSpec) policy.Request {
	d := p.file.Defaults
	r := policy.Request{
		Method: or(s.Request.Method, d.Request.Method), Path: or(s.Request.Path, d.Request.Path), Host: or(s.Request.Host, d.Request.Host),
		Port: or(s.Request.Port, d.Request.Port), Headers: s.Request.Headers, Now: defaultTime,
	}
	if r.Headers == nil {
		r.Headers = d.Request.Headers
	}
	for name := range r.Headers {
		if name != strings.ToLower(name) {
			p.addProblem(i, "request", "header %q: write %q, Envoy sends names in lower case", name, strings.ToLower(name))
		}
	}
	if r.Method == "" || r.Path == "" {
		p.addProblem(i, "request", "want request.method and request.path, here or under defaults")
	}
	p.readPeers(i, or(s.Caller, d.Caller), or(s.Callee, d.Callee), &r)
	if s.Now != "" {
		now, err := time.Parse(time.RFC3339, s.Now)
		if err != nil {
			p.addProblem(i, "now", "now %q: want a time such as 2026-06-01T12:00:00Z", s.Now)
		}
		r.Now = now
	}
	return r
}

func or[T comparable](first, other T) T {
	var zero T
	if first != zero {
		return first
	}
	return other
}

// readPeers names caller and callee, as patterns that name one workload.
func (p *caseParser) readPeers(i int, caller, callee string, r *policy.Request) {
	switch caller {
	case "none":
		r.NoCaller = true
	case "unknown":
	case "":
		p.addProblem(i, "caller", "want caller, here or under defaults: a workload; none, where no caller can have a name; or unknown")
	default:
		named, err := p.Domains.ParsePattern(caller)
		if r.Caller = named.Literal(); err != nil || r.Caller == "" {
			p.addProblem(i, "caller", "caller %q: want one workload, ns/NAMESPACE/sa/ACCOUNT or spiffe://DOMAIN/PATH, none, or unknown", caller)
		}
	}
	named, err := p.Domains.ParseTarget(callee)
	if r.Callee = named.Literal(); err != nil || r.Callee == "" {
		p.addProblem(i, "callee", "callee %q: want one of those that documents target, without *, here or under defaults", callee)
	}
}

func (p *caseParser) readToken(i int, s *caseSpec, c *Case) {
	given := 0
	for _, is := range []bool{s.User != "", s.Claims != nil, s.Token != ""} {
		if is {
			given++
		}
	}
	user, known := p.file.Users[s.User]
	switch {
	case given > 1:
		p.addProblem(i, "user", "one of user, claims and token: each of them says what token there is")
	case s.User != "" && !known:
		p.addProblem(i, "user", "user %q is not among users%s", s.User, suggest.DidYouMean(s.User, slices.Sorted(maps.Keys(p.file.Users))))
	case s.User != "":
		c.Claims = p.readClaims(i, "user", user)
	case s.Claims != nil:
		c.Claims = p.readClaims(i, "claims", *s.Claims)
	default:
		c.Token = decision.Reason(or(s.Token, string(decision.TokenMissing)))
		if !isTokenReason(c.Token) {
			p.addProblem(i, "token", "token %q: want the reason why it is refused, such as %s or %s", s.Token, decision.TokenMissing, decision.TokenExpired)
		}
	}
}

// isTokenReason reports whether a verifier refuses tokens with the reason.
func isTokenReason(r decision.Reason) bool {
	return slices.Contains(decision.Reasons(), r) && (r.Class() == decision.Unauthenticated || r.CanBeOutage() || r == decision.NotEntitled)
}

func (p *caseParser) readExpectation(i int, e expectSpec, c *Case) {
	c.Expect = Expectation(e)
	if e.Decision == "" && p.unreadable { // a misspelt key is the cause
		return
	}
	if e.Decision != "allow" && e.Decision != "deny" {
		p.addProblem(i, "expect", "expect.decision: want allow or deny")
	}
	reason := decision.Reason(e.Reason)
	switch {
	case e.Reason == "":
	case !slices.Contains(decision.Reasons(), reason):
		p.addProblem(i, "expect", "expect.reason %q is none of those in docs/policy.md%s", e.Reason, suggest.DidYouMean(e.Reason, reasonNames()))
	case (reason.Class() == decision.Allowed) != (e.Decision == "allow"):
		p.addProblem(i, "expect", "expect.reason %s never comes with decision %s", e.Reason, e.Decision)
	}
	if _, _, ok := strings.Cut(e.Rule, "/"); e.Rule != "" && !ok {
		p.addProblem(i, "expect", "expect.rule %q: want DOCUMENT/RULE, such as orders/read-own-tenant", e.Rule)
	}
}

func reasonNames() []string {
	var all []string
	for _, r := range decision.Reasons() {
		all = append(all, string(r))
	}
	return all
}
