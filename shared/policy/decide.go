package policy

import (
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
)

// question is one request at the documents that guard its callee.
type question struct {
	subject
	guarding
	set       *Set
	refused   *refusal // a document that cannot be used guards the callee
	ambiguous bool     // the path; no rule may admit it yet
	room      [8]entry // for the rules that may match; mostly enough
}

// Decide answers by the steps of the package comment. The zero Set denies.
func (s *Set) Decide(r Request, auth Authenticate) decision.Decision {
	return s.DecideToken(r, auth.token)
}

// DecideToken is [Set.Decide] for a caller that can tell an outage from another
// refusal with the same reason.
func (s *Set) DecideToken(r Request, auth AuthenticateToken) decision.Decision {
	if r.Callee == "" {
		return decision.Deny(decision.NoCallee)
	}
	d := s.question(r, auth).answer()
	if len(s.shared) > 0 {
		for given := &d; given != nil; given = given.Shadow {
			given.Shared = s.shared[given.Policy]
		}
	}
	return d
}

// by is an answer that a rule gives.
func (e entry) by(d decision.Decision) decision.Decision {
	d.Policy, d.Folder, d.Rule = e.document.name, e.document.folder, e.name
	return d
}

func (r *refusal) deny() decision.Decision {
	d := decision.Deny(decision.PolicyRefused).By(r.name, "")
	d.Folder = r.folder
	return d
}

func (s *Set) question(r Request, auth AuthenticateToken) *question {
	q := &question{subject: newSubject(r, auth), guarding: s.guarding(r.Callee), set: s, refused: s.refusal(r.Callee)}
	q.segments = decoded(r.Path)
	q.ambiguous = CheckPath(r.Path) != nil
	return q
}

// decide is steps 1 to 7, over the documents and rules of a level.
func (q *question) decide(l level) decision.Decision {
	switch {
	case q.refused != nil:
		return q.refused.deny()
	case !q.terms[l].documents:
		return decision.Deny(decision.Unguarded)
	}
	if reason := q.unreadable(l); reason != "" {
		return decision.Deny(reason)
	}
	if d, done := q.beforeToken(l); done {
		return d
	}
	q.ask()
	switch {
	case q.claims != nil:
	case q.outage:
		return q.onOutage(l)
	case q.refusal != decision.TokenMissing || q.terms[l].required:
		return decision.Deny(q.refusal)
	}
	return q.byRules(l)
}

// unreadable is step 2: why the request can be read in two ways; empty: it cannot.
func (q *question) unreadable(l level) decision.Reason {
	switch {
	case !q.readPath(q.terms[l].admits):
		return decision.AmbiguousPath
	case ambiguousMethod(q.Method):
		return decision.AmbiguousMethod
	case q.hostMatters(l) && q.hostError() != nil:
		return decision.AmbiguousHost
	}
	return ""
}

// hostMatters holds where something routes or decides by the host: at every gateway, and where a
// rule that counts reads it.
func (q *question) hostMatters(l level) bool { return q.Callee.IsGateway() || q.terms[l].readsHost }

func (q *question) hostError() error { return checkHost(q.Host, q.Callee.IsGateway()) }

// readPath reads a path that only an escape makes ambiguous on where a rule may
// admit it.
func (q *question) readPath(admitted escapes) bool {
	q.odd = nil
	if !q.ambiguous {
		return true
	}
	odd, err := oddities(q.Path, admitted)
	q.odd = odd
	return err == nil && len(odd) > 0
}

// ambiguousMethod reports a small letter. Methods are told apart by case (RFC
// 9110 section 9.1) and HTTP/2 carries any, but some servers take delete for
// DELETE: it would reach them past a deny rule on DELETE.
func ambiguousMethod(method string) bool { return strings.ToUpper(method) != method }

// beforeToken is step 3: denies that no token could lift, then public entries,
// which only a guardrail can close.
func (q *question) beforeToken(l level) (decision.Decision, bool) {
	if d, denied := q.denied(l, earlyDeny, everyRule); denied {
		return d, true
	}
	for _, e := range q.find(public, &q.subject, q.room[:0]) {
		if e.counts(l) && e.verdict(&q.subject) == yes {
			if d, denied := q.stopped(l); denied {
				return d, true
			}
			return e.by(decision.Allow(decision.Public)), true
		}
	}
	return decision.Decision{}, false
}

// stopped asks the guardrails, which look at the token whatever else would not.
func (q *question) stopped(l level) (d decision.Decision, denied bool) {
	if !q.terms[l].guardrails {
		return d, false
	}
	if d, denied = q.denied(l, earlyDeny, (*rule).guardrail); denied {
		return d, true
	}
	q.ask()
	return q.denied(l, lateDeny, (*rule).guardrail)
}

// byRules is steps 5 to 7.
func (q *question) byRules(l level) decision.Decision {
	if d, denied := q.denied(l, lateDeny, everyRule); denied {
		return d
	}
	answer := decision.Deny(decision.NoRule)
	if q.odd != nil {
		answer = decision.Deny(decision.AmbiguousPath) // and no rule admits it
	}
	for _, e := range q.find(allow, &q.subject, q.room[:0]) {
		if !e.counts(l) {
			continue
		}
		switch e.verdict(&q.subject) {
		case yes:
			return e.by(decision.Allow(decision.RuleAllowed))
		case undecided:
			if answer.Policy == "" {
				answer = e.by(decision.Deny(decision.ConditionError))
			}
		}
	}
	return answer
}

// denied gives the first deny rule, by document and name, among those chosen that
// does not say no. A rule may stand at several paths that match: its yes counts
// before what it cannot decide.
func (q *question) denied(l level, k kind, chosen func(*rule) bool) (d decision.Decision, denied bool) {
	var by *rule
	for _, e := range q.find(k, &q.subject, q.room[:0]) {
		if by != nil && e.rule != by {
			break
		}
		if !e.counts(l) || !chosen(e.rule) {
			continue
		}
		switch e.verdict(&q.subject) {
		case yes:
			return e.by(decision.Deny(decision.RuleDenied)), true
		case undecided:
			by = e.rule
			d = e.by(decision.Deny(decision.ConditionError))
		}
	}
	return d, by != nil
}

func everyRule(*rule) bool { return true }

func (r *rule) guardrail() bool { return r.document.guardrail }

// onOutage decides where the token cannot be judged because no home issuer has keys
// or the revocations are stale. It lets in only where every document wants that, and
// only what some allow rule admits before it looks at the token.
func (q *question) onOutage(l level) decision.Decision {
	refusal := decision.Deny(q.refusal)
	if q.set.noOutage || q.terms[l].outageDeny {
		return refusal
	}
	if _, denied := q.stopped(l); denied {
		return refusal
	}
	for _, e := range q.find(allow, &q.subject, q.room[:0]) {
		if e.counts(l) && !e.issued && e.outside(&q.subject) == yes {
			return e.by(decision.Allow(decision.OutageAllowed))
		}
	}
	return refusal
}
