// Package explain is `meshpass policy explain`: why a request is allowed or
// denied, by every rule of every document that targets the callee.
package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Query is a request, and what is known of its token.
type Query struct {
	policy.Request
	Claims       *identity.Claims
	NoToken      decision.Reason // why there are no claims
	Outage       bool            // that is an outage, in which onOutage decides
	ClaimsSource string          // how the claims are known
	EarlyAnswer  string          // the answer, where no document was asked: "deny no_callee"
	Notes        []string
}

// Report is the answers to all questions.
type Report struct {
	Explanations []Explanation `json:"explanations"`
}

// AllAllowed reports whether all are let in.
func (r Report) AllAllowed() bool {
	for _, e := range r.Explanations {
		if !strings.HasPrefix(e.Answer[0], "allow") {
			return false
		}
	}
	return true
}

// Explanation is the answer to one question.
type Explanation struct {
	Request      Request `json:"request"`
	Subject      string  `json:"sub,omitempty"` // of the token
	ClaimsSource string  `json:"claims"`        // how the claims are known, or why there are none
	Why          string  `json:"why"`
	policy.Trace
	Notes []string `json:"notes,omitempty"` // what is not certain
}

// Request is what was asked.
type Request struct {
	Caller string    `json:"caller,omitempty"` // empty: not known, or nobody can have a name
	Callee string    `json:"callee,omitempty"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Host   string    `json:"host,omitempty"`
	Port   uint32    `json:"port,omitempty"`
	Now    time.Time `json:"now"`
}

// Explain asks the documents.
func Explain(set *policy.Set, q Query) Explanation {
	e := Explanation{
		Request:      Request{string(q.Caller), string(q.Callee), q.Method, q.Path, q.Host, q.Port, q.Now},
		ClaimsSource: q.ClaimsSource, Notes: q.Notes,
	}
	if q.Claims != nil {
		e.Subject = q.Claims.Subject
	} else if e.ClaimsSource == "" {
		e.ClaimsSource = string(q.NoToken)
	}
	if q.EarlyAnswer != "" {
		e.Answer, e.Why = []string{q.EarlyAnswer}, "no document was asked"
		return e
	}
	e.Trace = set.ExplainToken(q.Request, func() policy.Authentication {
		return policy.Authentication{Claims: q.Claims, Refusal: q.NoToken, Outage: q.Outage}
	})
	e.Why = describeReason(e.Trace)
	if len(e.Documents) == 0 && q.Callee != "" {
		e.Notes = append(slices.Clone(e.Notes), noteTargets(set, q.Callee))
	}
	if note := noteCaller(set, q.Caller); note != "" {
		e.Notes = append(slices.Clone(e.Notes), note)
	}
	return e
}

// noteTargets says which callees the documents do target.
func noteTargets(set *policy.Set, callee identity.Workload) string {
	names := policycli.TargetNames(set)
	return fmt.Sprintf("no document targets %s%s; targets are %s", callee, suggest.DidYouMean(string(callee), names), policycli.JoinNames(names))
}

// noteCaller says that no rule names the caller, and that it is one slip away from
// one that a rule names.
func noteCaller(set *policy.Set, caller identity.Workload) string {
	for _, named := range set.Callers() {
		if caller == "" || named.Match(caller) {
			return ""
		}
	}
	if near := suggest.DidYouMean(string(caller), policycli.CallerNames(set)); near != "" {
		return fmt.Sprintf("no rule names the caller %s%s", caller, near)
	}
	return ""
}

// reasons say in words what docs/policy.md has in its table.
var reasonTexts = map[decision.Reason]string{
	decision.RuleAllowed:     "an allow rule matches, and no deny rule does",
	decision.Public:          "a public entry lets it in, whoever asks",
	decision.RuleDenied:      "a deny rule matches",
	decision.ConditionError:  "a rule cannot be decided, which never helps a caller",
	decision.NoRule:          "no allow rule matches",
	decision.Unguarded:       "no enforced document targets the callee",
	decision.Unenforced:      "no enforced document targets the callee, and unguarded is shadow",
	decision.OutageAllowed:   "the token cannot be judged, and every document says onOutage: allow",
	decision.AmbiguousPath:   "the path can be read in two ways",
	decision.AmbiguousMethod: "the method has a small letter",
	decision.AmbiguousHost:   "the host can be read in two ways, and a gateway or a rule looks at it",
	decision.TokenMissing:    "there is no token, and a document requires one",
}

func describeReason(t policy.Trace) string {
	text, known := reasonTexts[t.Decision.Reason]
	switch {
	case !known:
		text = "the token is refused: docs/token.md"
	case t.Decision.Reason == decision.AmbiguousPath && t.Path != "":
		text += ": " + t.Path
	case t.Decision.Reason == decision.AmbiguousHost:
		text += ": " + t.Host
	}
	return text
}
