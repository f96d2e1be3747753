package cases

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// Kind is the kind of a file of cases. The apiVersion is that of the documents.
const Kind = "PolicyTest"

// caseFile is a file of cases as YAML has it.
type caseFile struct {
	APIVersion string                           `yaml:"apiVersion"`
	Kind       string                           `yaml:"kind"`
	Users      map[string]policycli.TokenClaims `yaml:"users"`
	Defaults   caseDefaults                     `yaml:"defaults"`
	Cases      []caseSpec                       `yaml:"cases"`
}

// caseDefaults are the values of the fields that a case leaves out.
type caseDefaults struct {
	Caller  string      `yaml:"caller"`
	Callee  string      `yaml:"callee"`
	Request requestSpec `yaml:"request"`
}

type caseSpec struct {
	Name    string                 `yaml:"name"`
	User    string                 `yaml:"user"`    // one of users
	Claims  *policycli.TokenClaims `yaml:"claims"`  // or the claims of the token
	Token   string                 `yaml:"token"`   // or why there are no claims: token_missing, token_expired, …
	Caller  string                 `yaml:"caller"`  // ns/…/sa/…, spiffe://…; "none": no caller can have a name here; "unknown"
	Callee  string                 `yaml:"callee"`  // as in targets
	Now     string                 `yaml:"now"`     // RFC 3339; the default is defaultTime
	Request requestSpec            `yaml:"request"` // overrides the defaults field by field
	Expect  expectSpec             `yaml:"expect"`
}

type requestSpec struct {
	Method  string            `yaml:"method"`
	Path    string            `yaml:"path"`
	Host    string            `yaml:"host"`
	Port    uint32            `yaml:"port"`
	Headers map[string]string `yaml:"headers"` // lower-case names
}

type expectSpec struct {
	Decision string   `yaml:"decision"` // allow or deny
	Reason   string   `yaml:"reason"`
	Rule     string   `yaml:"rule"`   // DOCUMENT/RULE, or FOLDER/DOCUMENT/RULE
	Shadow   []string `yaml:"shadow"` // as in the audit record: "deny rule_denied orders/no-batch"
}

// defaultTime is the time of a request whose case has no `now`.
var defaultTime = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// ReadFolder reads the cases of all files of cases below a folder, in the order of files
// and lines. It returns the problems of all files together.
func ReadFolder(dir source.Dir, domains identity.TrustDomains) ([]Case, strictyaml.Problems) {
	var all []Case
	var problems strictyaml.Problems
	err := readfile.Walk(dir.Files, isCaseFile, func(e readfile.Entry) {
		if e.Folder {
			return // the reader of the documents reports it
		}
		full := dir.FilePath(e.Name)
		var data []byte
		if e.Err == nil {
			data, e.Err = readfile.ReadFS(dir.Files, e.Name, source.MaxFileBytes)
		}
		if e.Err != nil {
			problems = append(problems, strictyaml.Problem{File: full, Message: e.Err.Error()})
			return
		}
		found, wrong := parseFile(data, domains)
		for i := range found {
			found[i].File = full
		}
		all, problems = append(all, found...), append(problems, wrong.InFile(full)...)
	})
	if err != nil {
		problems = append(problems, strictyaml.Problem{File: dir.FilePath(""), Message: err.Error()})
	}
	return all, problems
}

func isCaseFile(name string) bool {
	return source.IsRead(name) && source.IsCases(name)
}

// caseParser reads the cases of one file, and collects the problems of them.
type caseParser struct {
	domains    identity.TrustDomains
	doc        *strictyaml.Document
	file       caseFile
	problems   strictyaml.Problems
	unreadable bool // the file has keys or values that cannot be read
}

func parseFile(data []byte, domains identity.TrustDomains) ([]Case, strictyaml.Problems) {
	doc, err := strictyaml.Parse(data)
	if err != nil {
		return nil, strictyaml.AsProblems(err)
	}
	p := caseParser{domains: domains, doc: doc}
	p.problems = doc.Decode(&p.file)
	p.unreadable = len(p.problems) > 0
	if p.file.APIVersion != source.APIVersion || p.file.Kind != Kind {
		p.problems.Add(doc.PositionOf(), "want apiVersion: %s and kind: %s", source.APIVersion, Kind)
	}
	if len(p.file.Cases) == 0 {
		p.problems.Add(doc.PositionOf("cases"), "want cases: a list that is not empty")
	}
	var all []Case
	lines := map[string]int{}
	for i := range p.file.Cases {
		c := p.readCase(i, &p.file.Cases[i])
		if first, again := lines[c.Name]; again && c.Name != "" {
			p.addProblem(i, "name", "a second case is named %q, the first one is in line %d: give each its own name", c.Name, first)
		} else {
			lines[c.Name] = c.Position.Line
		}
		all = append(all, c)
	}
	return all, p.problems
}

func (p *caseParser) readCase(i int, s *caseSpec) Case {
	c := Case{Position: p.doc.PositionOf("cases", i), Name: s.Name, Request: p.readRequest(i, s)}
	if s.Name == "" {
		p.addProblem(i, "name", "a case needs a name")
	}
	c.Claims, c.NoToken = p.readToken(i, s)
	c.Expect = p.readExpectation(i, s.Expect)
	return c
}

func (p *caseParser) readRequest(i int, s *caseSpec) policy.Request {
	d := p.file.Defaults
	r := policy.Request{
		Method: cmp.Or(s.Request.Method, d.Request.Method), Path: cmp.Or(s.Request.Path, d.Request.Path), Host: cmp.Or(s.Request.Host, d.Request.Host),
		Port: cmp.Or(s.Request.Port, d.Request.Port), Headers: s.Request.Headers, Now: defaultTime,
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
	r.Caller, r.NoCaller = p.readCaller(i, cmp.Or(s.Caller, d.Caller))
	r.Callee = p.readCallee(i, cmp.Or(s.Callee, d.Callee))
	if s.Now != "" {
		now, err := time.Parse(time.RFC3339, s.Now)
		if err != nil {
			p.addProblem(i, "now", "now %q: want a time such as 2026-06-01T12:00:00Z", s.Now)
		}
		r.Now = now
	}
	return r
}

// readCaller returns the caller, which is empty if it is unknown, and whether no caller
// can have a name where the request is decided.
func (p *caseParser) readCaller(i int, text string) (caller identity.Workload, noCaller bool) {
	switch text {
	case "none":
		return "", true
	case "unknown":
		return "", false
	case "":
		p.addProblem(i, "caller", "want caller, here or under defaults: a workload; none, where no caller can have a name; or unknown")
		return "", false
	}
	pattern, err := p.domains.ParsePattern(text)
	caller = pattern.Literal()
	if err != nil || caller == "" {
		p.addProblem(i, "caller", "caller %q: want one workload, ns/NAMESPACE/sa/ACCOUNT or spiffe://DOMAIN/PATH, none, or unknown", text)
	}
	return caller, false
}

func (p *caseParser) readCallee(i int, text string) identity.Workload {
	pattern, err := p.domains.ParseTarget(text)
	callee := pattern.Literal()
	if err != nil || callee == "" {
		p.addProblem(i, "callee", "callee %q: want one of those that documents target, without *, here or under defaults", text)
	}
	return callee
}

// readToken returns the claims of the token of a case, or the reason why there are no
// claims.
func (p *caseParser) readToken(i int, s *caseSpec) (*identity.Claims, decision.Reason) {
	given := 0
	for _, isGiven := range []bool{s.User != "", s.Claims != nil, s.Token != ""} {
		if isGiven {
			given++
		}
	}
	user, known := p.file.Users[s.User]
	switch {
	case given > 1:
		p.addProblem(i, "user", "write one of user, claims and token: each of them sets the token")
	case s.User != "" && !known:
		p.addProblem(i, "user", "user %q is not among users%s", s.User, suggest.DidYouMean(s.User, slices.Sorted(maps.Keys(p.file.Users))))
	case s.User != "":
		return p.readClaims(i, "user", user), ""
	case s.Claims != nil:
		return p.readClaims(i, "claims", *s.Claims), ""
	default:
		reason := decision.Reason(cmp.Or(s.Token, string(decision.TokenMissing)))
		if !isTokenReason(reason) {
			p.addProblem(i, "token", "token %q: want the reason why there are no claims, such as %s or %s", s.Token, decision.TokenMissing, decision.TokenExpired)
		}
		return nil, reason
	}
	return nil, ""
}

// isTokenReason reports whether a verifier returns the reason.
func isTokenReason(r decision.Reason) bool {
	return slices.Contains(decision.Reasons(), r) && (r.Class() == decision.Unauthenticated || r.CanBeOutage() || r == decision.NotEntitled)
}

func (p *caseParser) readClaims(i int, field string, c policycli.TokenClaims) *identity.Claims {
	for _, members := range []map[string]any{c.Tctx, c.Rctx} {
		if err := convertMembers(members); err != nil {
			p.addProblem(i, field, "%s", err)
		}
	}
	return c.Identity()
}

func (p *caseParser) readExpectation(i int, e expectSpec) Expectation {
	if e.Decision == "" && p.unreadable { // a misspelt key is the cause
		return Expectation(e)
	}
	if e.Decision != "allow" && e.Decision != "deny" {
		p.addProblem(i, "expect", "expect.decision: want allow or deny")
	}
	reason := decision.Reason(e.Reason)
	switch {
	case e.Reason == "":
	case !slices.Contains(decision.Reasons(), reason):
		p.addProblem(i, "expect", "expect.reason %q is not a reason of docs/policy.md%s", e.Reason, suggest.DidYouMean(e.Reason, reasonNames()))
	case (reason.Class() == decision.Allowed) != (e.Decision == "allow"):
		p.addProblem(i, "expect", "expect.reason %s never comes with decision %s", e.Reason, e.Decision)
	}
	if _, _, ok := strings.Cut(e.Rule, "/"); e.Rule != "" && !ok {
		p.addProblem(i, "expect", "expect.rule %q: want DOCUMENT/RULE, such as orders/read-own-tenant", e.Rule)
	}
	return Expectation(e)
}

func reasonNames() []string {
	var all []string
	for _, r := range decision.Reasons() {
		all = append(all, string(r))
	}
	return all
}

// addProblem reports a problem with a field of the case with index i.
func (p *caseParser) addProblem(i int, field, format string, args ...any) {
	p.problems.Add(p.doc.PositionOf("cases", i, field), format, args...)
}
