package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// Trace is how a request is decided, for people. It is made by asking every rule
// of every document that guards the callee, also those that could not have
// mattered any more, so it takes far longer than the decision.
type Trace struct {
	Decision  decision.Decision `json:"-"`
	Answer    []string          `json:"answer"`          // the decision, then what is below it in shadow
	Path      string            `json:"path,omitempty"`  // why the path is ambiguous; then no rule is asked
	Host      string            `json:"host,omitempty"`  // why the host is ambiguous, where it matters
	Token     decision.Reason   `json:"token,omitempty"` // why there are no claims
	Documents []DocumentTrace   `json:"documents"`       // by name
}

// DocumentTrace is a document that guards the callee.
type DocumentTrace struct {
	DocumentInfo
	Targets []string    `json:"targets"` // those that match the callee
	Rules   []RuleTrace `json:"rules,omitempty"`
}

// RuleTrace is what a rule says of the request.
type RuleTrace struct {
	RuleInfo
	Verdict    string           `json:"verdict"`           // yes, no or undecided
	Decided    bool             `json:"decided,omitempty"` // it gave the answer
	Conditions []ConditionTrace `json:"conditions"`
}

// ConditionTrace is what one condition says.
type ConditionTrace struct {
	Field   string   `json:"field"`           // as in the document: to.paths, claims.tctx.plan, when
	Want    any      `json:"want"`            // as the document says it
	Got     any      `json:"got,omitempty"`   // what the request or token has; for when, all that it reads
	Verdict string   `json:"verdict"`         // yes, no or undecided
	Why     string   `json:"why,omitempty"`   // CEL's error
	Reads   []string `json:"reads,omitempty"` // all that when reads of the token and the headers, as an audit record's inputs name it
}

// Explain decides as [Set.Decide] does, and tells how. Claims stand in it in
// clear: it is for whoever may see the token.
func (s *Set) Explain(r Request, auth Authenticate) Trace { return s.ExplainToken(r, auth.token) }

// ExplainToken is [Set.Explain] for a caller that can tell an outage from another
// refusal with the same reason.
func (s *Set) ExplainToken(r Request, auth AuthenticateToken) Trace {
	var known Authentication
	asked := false
	once := func() Authentication {
		if !asked {
			known = auth()
			asked = true
		}
		return known
	}
	t := Trace{Decision: s.DecideToken(r, once)}
	t.Answer = decision.Decision{Shadow: &t.Decision}.Shadows()
	q := s.question(r, once)
	q.ask()
	if q.claims == nil {
		t.Token = q.refusal
	}
	if !q.readPath(q.terms[watched].admits) {
		t.Path = fmt.Sprint(CheckPath(r.Path))
	}
	if err := q.hostError(); err != nil && q.hostMatters(watched) {
		t.Host = err.Error()
	}
	for _, c := range s.documents {
		if targets := c.targeting(r.Callee); len(targets) > 0 {
			t.Documents = append(t.Documents, DocumentTrace{c.info(), targets, t.rules(c, q)})
		}
	}
	return t
}

func (c *compiled) targeting(w identity.Workload) []string {
	var targets []string
	for _, p := range c.targets {
		if p.Match(w) {
			targets = append(targets, p.String())
		}
	}
	return targets
}

func (t *Trace) rules(c *compiled, q *question) []RuleTrace {
	if t.Path != "" || t.Decision.Reason == decision.AmbiguousHost {
		return nil
	}
	all := make([]RuleTrace, len(c.rules))
	for i, r := range c.rules {
		all[i] = r.explain(q)
		all[i].Decided = t.Decision.Policy == c.name && t.Decision.Folder == c.folder && t.Decision.Rule == r.name
	}
	return all
}

// explain tells the path at which the rule fits best.
func (r *rule) explain(q *question) RuleTrace {
	var best RuleTrace
	for i, e := range r.entries() {
		if t := e.explain(q); i == 0 || rank(t) > rank(best) {
			best = t
		}
	}
	return best
}

// rank prefers what decides, then what has the right path.
func rank(t RuleTrace) int {
	of := func(v string) int { return slices.Index([]string{"no", "undecided", "yes"}, v) }
	result := 10 * of(t.Verdict)
	for _, c := range t.Conditions {
		if c.Field == "to.paths" {
			result += of(c.Verdict)
		}
	}
	return result
}

func (e entry) explain(q *question) RuleTrace {
	t := RuleTrace{RuleInfo: e.info()}
	path, pattern := e.at(&q.subject)
	if e.pattern != nil || path != yes {
		t.Conditions = append(t.Conditions, ConditionTrace{Field: "to.paths", Want: e.wanted(), Got: q.Path, Verdict: path.String()})
	}
	verdict := path
	for _, c := range append(slices.Clone(e.outer), e.inner...) {
		v, why := c.holds(pattern, &q.subject), error(nil)
		if c.field == "when" {
			v, why = e.when.eval(pattern, &q.subject)
		}
		told := ConditionTrace{Field: c.field, Want: c.want, Got: q.got(c.field, e, pattern), Verdict: v.String()}
		if c.field == "when" {
			told.Reads = e.when.reads.names()
		}
		if why != nil {
			told.Why = why.Error()
		}
		t.Conditions = append(t.Conditions, told)
		verdict = both(verdict, v)
	}
	t.Verdict = verdict.String()
	return t
}

// at compares the path too, which the index would have done.
func (e entry) at(s *subject) (verdict, *pattern) {
	if s.odd == nil && e.pattern != nil && !e.pattern.match(s.segments) {
		return no, nil
	}
	return e.path(s)
}

func (e entry) wanted() string {
	if e.pattern == nil {
		return "every path that can be read in one way only"
	}
	return e.pattern.text
}

// got is what a condition looked at.
func (q *question) got(field string, e entry, p *pattern) any {
	switch field {
	case "from.workloads", "from.noPrincipal":
		return q.Caller
	case "to.methods":
		return q.Method
	case "to.hosts":
		return q.host
	case "to.ports":
		return q.Port
	case "scopes":
		field = "claims.scope"
	case "from.issuers":
		field = "claims.iss"
	case "when":
		return q.read(e, p)
	}
	value, _ := q.claims.Lookup(strings.Split(strings.TrimPrefix(field, "claims."), ".")...)
	return value
}

// read is all that an expression reads, by name; what is missing is left out.
func (q *question) read(e entry, p *pattern) map[string]any {
	all := e.when.reads.inputs(q.Request, q.claims)
	if p != nil {
		for name, value := range p.bind(q.segments) {
			if _, reads := e.when.reads.captures[name]; reads {
				all["path."+name] = value
			}
		}
	}
	return all
}
