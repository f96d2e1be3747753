package replay

import (
	"strings"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Answer is a decision as people read it in a record.
type Answer struct {
	Decision string `json:"decision"`
	Reason   string `json:"reason,omitempty"` // empty: that no decision can be made, for one reason or another
	Policy   string `json:"policy,omitempty"`
	Rule     string `json:"rule,omitempty"`
}

func (a Answer) String() string {
	text := a.Decision + " " + a.Reason
	if a.Policy != "" {
		text += " " + a.Policy + "/" + a.Rule
	}
	return strings.TrimSpace(text)
}

// same ignores which rule it was.
func (a Answer) same(b Answer) bool { return a.Decision == b.Decision && a.Reason == b.Reason }

// bearer is what may be so of a request's token.
type bearer struct {
	claims  *identity.Claims
	refusal decision.Reason
	any     bool // refusal stands for others of its kind
}

func (b bearer) authenticate() (*identity.Claims, decision.Reason) { return b.claims, b.refusal }

// To documents, all refusals of a kind are one; only the reason of the answer may
// be another.
var (
	noToken        = bearer{refusal: decision.TokenMissing}
	anyBad         = bearer{refusal: decision.TokenFormat, any: true}
	anyUnavailable = bearer{refusal: decision.KeysUnavailable, any: true}
)

// bearers are the tokens with which the request may have come. A verified one
// stands in the record, as does the reason why one was refused; of no token, and of
// one that nothing looked at, nothing does.
func (r Recorded) bearers() []bearer {
	switch {
	case r.Claims != nil:
		return []bearer{{claims: r.Claims}}
	case r.Reason == string(decision.Anonymous):
		return []bearer{noToken}
	}
	for _, text := range append([]string{r.Decision + " " + r.Reason}, r.Shadow...) {
		fields := strings.Fields(text)
		if reason := decision.Reason(fields[min(1, len(fields)-1)]); refusesToken(reason) {
			return []bearer{{refusal: reason}}
		} else if reason == decision.OutageAllowed {
			return []bearer{anyUnavailable}
		}
	}
	return []bearer{noToken, anyBad, anyUnavailable}
}

func refusesToken(reason decision.Reason) bool {
	switch reason.Class() {
	case decision.Unauthenticated:
		return true
	case decision.Unavailable:
		return reason != decision.PolicyRefused
	}
	return reason == decision.NotEntitled
}

// answer is what documents say.
type answer struct {
	Answer
	token bearer
	asked bool // whether they needed to know of the token
}

func (r Recorded) decide(set *policy.Set, b bearer) answer {
	a := answer{token: b}
	d := set.Decide(r.Request, func() (*identity.Claims, decision.Reason) {
		a.asked = true
		return b.authenticate()
	})
	a.Answer = Answer{Decision: d.String(), Reason: string(d.Reason), Policy: d.Policy, Rule: d.Rule}
	if b.any && d.Reason == b.refusal {
		a.Reason = ""
	}
	if r.Kind != audit.Check && (d.Allowed() || d.Reason == decision.Unguarded) {
		a.Answer = r.edgeAllows() // the edge can only deny
	}
	return a
}

// pastEdge reports that no document is asked at the edge.
func (r Recorded) pastEdge(set *policy.Set) bool {
	reason := set.Decide(r.Request, r.bearers()[0].authenticate).Reason
	return r.Kind != audit.Check && (reason == decision.Unguarded || reason == decision.Unenforced)
}

func (r Recorded) edgeAllows() Answer {
	reason := decision.Issued
	if r.Claims == nil {
		reason = decision.Anonymous
	}
	return Answer{Decision: "allow", Reason: string(reason)}
}

// answers are what the documents that decided may have said: the recorded answer,
// and those that stand below it where something else was above the documents.
func (r Recorded) answers() []Answer {
	all := []Answer{r.recorded()}
	if reason := decision.Reason(r.Reason); reason != decision.Overridden && reason != decision.Issued && reason != decision.Anonymous {
		return all
	}
	for _, text := range r.Shadow {
		fields := append(strings.Fields(text), "", "", "")
		a := Answer{Decision: fields[0], Reason: fields[1]}
		a.Policy, a.Rule, _ = strings.Cut(fields[2], "/")
		all = append(all, a)
	}
	return all
}

func (r Recorded) recorded() Answer {
	if r.Kind != audit.Check && r.Decision == "allow" {
		return Answer{Decision: r.Decision, Reason: r.Reason}
	}
	return Answer{r.Decision, r.Reason, r.Policy, r.Rule}
}
