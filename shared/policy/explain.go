package policy

import (
	"fmt"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy/path"
)

// Trace shows people how a request is decided. Explain evaluates every rule of every
// document that guards the callee, also rules that cannot change the decision any more.
// So it takes far longer than the decision.
type Trace struct {
	Decision  decision.Decision `json:"-"`
	Answer    []string          `json:"answer"`          // the decision, then the shadow decisions below it
	Path      string            `json:"path,omitempty"`  // why the path is ambiguous; then no rule is evaluated
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

// RuleTrace is the result of a rule.
type RuleTrace struct {
	RuleInfo
	Verdict    string           `json:"verdict"`           // yes, no or undecided
	Decided    bool             `json:"decided,omitempty"` // it made the decision
	Conditions []ConditionTrace `json:"conditions"`
}

// ConditionTrace is the result of one condition.
type ConditionTrace struct {
	Field   string   `json:"field"`           // as in the document: to.paths, claims.tctx.plan, when
	Want    any      `json:"want"`            // the value in the document
	Got     any      `json:"got,omitempty"`   // the value of the request or token; for when, all values that it reads
	Verdict string   `json:"verdict"`         // yes, no or undecided
	Why     string   `json:"why,omitempty"`   // CEL's error
	Reads   []string `json:"reads,omitempty"` // for when: Inputs
	Inputs  []string `json:"-"`               // the attributes that decide the condition, as an audit record's inputs name them
}

// Explain decides as [Set.Decide] does, and shows why. It shows claims in clear, for
// people who may see the token.
func (s *Set) Explain(r Request, authenticate Authenticate) Trace {
	return s.ExplainToken(r, authenticate.token)
}

// ExplainToken is [Set.Explain] for a caller that distinguishes an outage from another
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
		t.Token = d.evaluation.noToken
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
		all[i] = r.explainBestPath(e)
		all[i].Decided = t.Decision.Policy == d.spec.Name && t.Decision.Folder == d.spec.Folder && t.Decision.Rule == r.spec.Name
	}
	return all
}

// explainBestPath explains the rule with the path that fits best. A path that makes the
// whole rule match comes first, then a path that itself matches.
func (r *Rule) explainBestPath(e *evaluation) RuleTrace {
	fit := map[verdict]int{no: 0, undecided: 1, yes: 2}
	var best RuleTrace
	bestRank := -1
	for _, c := range r.candidates() {
		trace, path, all := c.explainConditions(e)
		if rank := 10*fit[all] + fit[path]; rank > bestRank {
			best, bestRank = trace, rank
		}
	}
	return best
}

// explainConditions also gives the verdicts on the path and on the whole rule.
func (c candidate) explainConditions(e *evaluation) (trace RuleTrace, path, all verdict) {
	trace = RuleTrace{RuleInfo: c.Info()}
	path, pattern := c.matchPath(e)
	if c.pattern != nil || path != yes {
		trace.Conditions = append(trace.Conditions, ConditionTrace{Field: "to.paths", Want: c.wantedPath(), Got: e.request.Path, Verdict: path.String()})
	}
	all = path
	for _, condition := range c.Conditions() {
		v, why := condition.matches(e, pattern)
		trace.Conditions = append(trace.Conditions, newConditionTrace(condition, v, why, condition.comparedValue(e, pattern)))
		all = combineVerdicts(all, v)
	}
	trace.Verdict = all.String()
	return trace, path, all
}

func newConditionTrace(c Condition, v verdict, why error, got any) ConditionTrace {
	trace := ConditionTrace{Field: c.Field(), Want: c.WantedValue(), Got: got, Verdict: v.String(), Inputs: inputNames(c.Reads())}
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
		return "every unambiguous path"
	}
	return c.pattern.String()
}
