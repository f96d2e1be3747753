package policy

import (
	"fmt"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy/path"
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
	Reads   []string `json:"reads,omitempty"` // for when: Inputs
	Inputs  []string `json:"-"`               // the attributes on which the condition depends, as an audit record's inputs name them
}

// Explain decides as [Set.Decide] does, and says how. It shows claims in clear, for
// people who may see the token.
func (s *Set) Explain(r Request, authenticate Authenticate) Trace {
	return s.ExplainToken(r, authenticate.token)
}

// ExplainToken is [Set.Explain] for a caller that can tell an outage from another
// denial with the same reason.
func (s *Set) ExplainToken(r Request, authenticate AuthenticateToken) Trace {
	var known Authentication
	called := false
	once := func() Authentication {
		if !called {
			known = authenticate()
			called = true
		}
		return known
	}
	t := Trace{Decision: s.DecideToken(r, once)}
	t.Answer = decision.Decision{Shadow: &t.Decision}.Shadows()
	d := s.newDecider(r, once)
	d.evaluation.readToken()
	if d.evaluation.claims == nil {
		t.Token = d.evaluation.noClaims
	}
	if !d.admitPath(d.documents.summary[withShadow].admitted) {
		t.Path = fmt.Sprint(path.Check(r.Path))
	}
	if err := d.checkHost(); err != nil && d.hostMatters(withShadow) {
		t.Host = err.Error()
	}
	for _, document := range s.documents {
		if targets := document.targetsOf(r.Callee); len(targets) > 0 {
			t.Documents = append(t.Documents, DocumentTrace{document.Info(), targets, t.explainRules(document, &d.evaluation)})
		}
	}
	return t
}

func (t *Trace) explainRules(d *Document, e *evaluation) []RuleTrace {
	if t.Path != "" || t.Decision.Reason == decision.AmbiguousHost {
		return nil
	}
	all := make([]RuleTrace, len(d.rules))
	for i, r := range d.rules {
		all[i] = r.explain(e)
		all[i].Decided = t.Decision.Policy == d.spec.Name && t.Decision.Folder == d.spec.Folder && t.Decision.Rule == r.spec.Name
	}
	return all
}

// explain chooses the path at which the rule fits best: one at which it matches, then
// one that matches.
func (r *Rule) explain(e *evaluation) RuleTrace {
	fit := map[verdict]int{no: 0, undecided: 1, yes: 2}
	var best RuleTrace
	bestRank := -1
	for _, c := range r.candidates() {
		trace, path, all := c.explain(e)
		if rank := 10*fit[all] + fit[path]; rank > bestRank {
			best, bestRank = trace, rank
		}
	}
	return best
}

// explain also gives the verdicts on the path and on the whole rule.
func (c candidate) explain(e *evaluation) (trace RuleTrace, path, all verdict) {
	trace = RuleTrace{RuleInfo: c.Info()}
	path, pattern := c.matchPath(e)
	if c.pattern != nil || path != yes {
		trace.Conditions = append(trace.Conditions, ConditionTrace{Field: "to.paths", Want: c.wantedPath(), Got: e.request.Path, Verdict: path.String()})
	}
	all = path
	for _, condition := range c.Conditions() {
		v, why := condition.matches(e, pattern)
		trace.Conditions = append(trace.Conditions, newConditionTrace(condition, v, why, condition.got(e, pattern)))
		all = both(all, v)
	}
	trace.Verdict = all.String()
	return trace, path, all
}

func newConditionTrace(c Condition, v verdict, why error, got any) ConditionTrace {
	trace := ConditionTrace{Field: c.Field(), Want: c.Want(), Got: got, Verdict: v.String(), Inputs: inputNames(c.Reads())}
	if why != nil {
		trace.Why = why.Error()
	}
	if _, isExpression := c.(*When); isExpression { // any other field names what it reads
		trace.Reads = trace.Inputs
	}
	return trace
}

func (c candidate) wantedPath() string {
	if c.pattern == nil {
		return "every path that can be read in one way only"
	}
	return c.pattern.String()
}
