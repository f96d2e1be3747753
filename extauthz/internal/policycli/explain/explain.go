// Package explain is `meshpass policy explain`: it shows why a request is allowed or
// denied, with every rule of every document that targets the callee.
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

// Query is a request whose decision is to be explained.
type Query struct {
	Request     policy.Request
	Token       TokenState
	EarlyAnswer string // the answer of a request that no document decided: "deny no_callee"
	Notes       []string
}

// Report is the explanations of all queries.
type Report struct {
	Explanations []Explanation `json:"explanations"`
}

// AllAllowed reports whether all requests are allowed.
func (r Report) AllAllowed() bool {
	for _, e := range r.Explanations {
		if !strings.HasPrefix(e.Answer[0], "allow") {
			return false
		}
	}
	return true
}

// Explanation is the answer to one query. The fields of the trace are fields of its JSON.
type Explanation struct {
	Request      Request `json:"request"`
	Subject      string  `json:"sub,omitempty"` // of the token
	ClaimsSource string  `json:"claims"`        // how the claims are known, or why there are no claims
	Why          string  `json:"why"`
	policy.Trace
	Notes []string `json:"notes,omitempty"` // uncertain facts
}

// Request is the request of a query, for JSON.
type Request struct {
	Caller string    `json:"caller,omitempty"` // empty: it is unknown, or no caller can have a name
	Callee string    `json:"callee,omitempty"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Host   string    `json:"host,omitempty"`
	Port   uint32    `json:"port,omitempty"`
	Now    time.Time `json:"now"`
}

// Explain decides the request by the documents, and returns the answer with its trace.
func Explain(set *policy.Set, q Query) Explanation {
	r := q.Request
	e := Explanation{
		Request: Request{
			Caller: string(r.Caller), Callee: string(r.Callee), Method: r.Method, Path: r.Path, Host: r.Host, Port: r.Port, Now: r.Now,
		},
		ClaimsSource: q.Token.Source, Notes: q.Notes,
	}
	if q.Token.Claims != nil {
		e.Subject = q.Token.Claims.Subject
	} else if e.ClaimsSource == "" {
		e.ClaimsSource = string(q.Token.NoToken)
	}
	if q.EarlyAnswer != "" {
		e.Answer, e.Why = []string{q.EarlyAnswer}, "no document was asked"
		return e
	}
	e.Trace = set.ExplainToken(r, q.Token.authenticate)
	e.Why = describeReason(e.Trace)
	if len(e.Documents) == 0 && r.Callee != "" {
		e.Notes = append(slices.Clone(e.Notes), noteTargets(set, r.Callee))
	}
	if note := noteCaller(set, r.Caller); note != "" {
		e.Notes = append(slices.Clone(e.Notes), note)
	}
	return e
}

// noteTargets returns a note with the callees that documents target.
func noteTargets(set *policy.Set, callee identity.Workload) string {
	names := policycli.TargetNames(set)
	return fmt.Sprintf("no document targets %s%s; targets are %s", callee, suggest.DidYouMean(string(callee), names), policycli.JoinNames(names))
}

// noteCaller returns a note if the caller looks mistyped: no rule names it, and a rule
// names one that differs by a typing error.
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

// reasonTexts describe the reasons that documents give, as the table of docs/policy.md does.
var reasonTexts = map[decision.Reason]string{
	decision.RuleAllowed:     "an allow rule matches, and no deny rule does",
	decision.Public:          "a public entry allows it without a token",
	decision.RuleDenied:      "a deny rule matches",
	decision.ConditionError:  "a rule cannot be evaluated, so the request is denied",
	decision.NoRule:          "no allow rule matches",
	decision.Unguarded:       "no enforced document targets the callee",
	decision.Unenforced:      "no enforced document targets the callee, and unguarded is shadow",
	decision.OutageAllowed:   "the token cannot be verified, and every document has onOutage: allow",
	decision.AmbiguousPath:   "the path can be read in two ways",
	decision.AmbiguousMethod: "the method has a lower-case letter",
	decision.AmbiguousHost:   "the host can be read in two ways, and a gateway or a rule looks at it",
	decision.TokenMissing:    "there is no token, and a document requires one",
}

func describeReason(t policy.Trace) string {
	text, known := reasonTexts[t.Decision.Reason]
	switch {
	case !known:
		text = "the token is invalid or cannot be verified: see docs/token.md"
	case t.Decision.Reason == decision.AmbiguousPath && t.Path != "":
		text += ": " + t.Path
	case t.Decision.Reason == decision.AmbiguousHost:
		text += ": " + t.Host
	}
	return text
}
