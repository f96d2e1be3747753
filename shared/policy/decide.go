package policy

import (
	"sync"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy/host"
	"github.com/meshpass/meshpass/shared/policy/method"
	"github.com/meshpass/meshpass/shared/policy/path"
)

// Decide answers by the steps of the package comment. The zero Set denies.
func (s *Set) Decide(r Request, authenticate Authenticate) decision.Decision {
	return s.DecideToken(r, authenticate.token)
}

// DecideToken is [Set.Decide] for a caller that distinguishes an outage from another
// denial with the same reason.
func (s *Set) DecideToken(r Request, authenticate AuthenticateToken) decision.Decision {
	if r.Callee == "" {
		return decision.Deny(decision.NoCallee)
	}
	decider := s.newDecider(r, authenticate)
	d := decider.decide()
	decider.release()
	if len(s.shared) > 0 {
		d.Shared = s.shared[d.Policy]
		for each := d.Shadow; each != nil; each = each.Shadow {
			each.Shared = s.shared[each.Policy]
		}
	}
	return d
}

// decider decides one request by the documents that guard its callee.
type decider struct {
	set           *Set
	documents     calleeDocuments
	rejected      *RejectedDocument // guards the callee; nil: no rejected document does
	evaluation    evaluation
	pathAmbiguous bool         // until a rule admits it
	room          [8]candidate // for the rules that may match; mostly enough
}

// deciderPool keeps the memory of requests that are decided.
var deciderPool = sync.Pool{New: func() any { return new(decider) }}

// newDecider returns a decider that knows nothing of earlier requests.
func (s *Set) newDecider(r Request, authenticate AuthenticateToken) *decider {
	d := deciderPool.Get().(*decider)
	d.set, d.documents, d.rejected = s, s.documentsFor(r.Callee), s.rejectedFor(r.Callee)
	d.pathAmbiguous = path.Check(r.Path) != nil
	d.evaluation.begin(r, authenticate)
	return d
}

// release erases all that is known of the request, and gives the memory back. A decider
// whose decision panicked is not released.
func (d *decider) release() {
	*d = decider{evaluation: evaluation{captures: d.evaluation.captures}}
	clear(d.evaluation.captures)
	deciderPool.Put(d)
}

// decide returns the enforced decision. Decisions that were computed but not applied are
// linked through [decision.Decision.Shadow]. Under an override this is first the decision
// of the documents, and below it the one with all shadow rules enforced.
func (d *decider) decide() decision.Decision {
	answer := d.decideAt(enforced)
	if d.documents.summary[withShadow].inShadow {
		answer.Shadow = d.evaluateShadow()
	}
	r := &d.evaluation.request
	switch override := d.set.overrideFor(r.Callee, r.Now); {
	case override != nil:
		return d.applyOverride(override, answer)
	case answer.Reason == decision.Unguarded && d.set.unguarded == Shadow:
		d.evaluation.readToken() // only a valid token goes on to the next hop
		return linkShadow(decision.Allow(decision.Unenforced), answer)
	}
	return answer
}

func linkShadow(answer, shadow decision.Decision) decision.Decision {
	answer.Shadow = &shadow
	return answer
}

// evaluateShadow decides as if shadow rules were enforced. It recovers from panics, so
// that a fault in a shadow rule cannot change the enforced decision.
func (d *decider) evaluateShadow() (shadow *decision.Decision) {
	defer func() {
		if recover() != nil {
			panicked := decision.Deny(decision.Panic)
			shadow = &panicked
		}
	}()
	answer := d.decideAt(withShadow)
	return &answer
}

// applyOverride lifts everything but the denials of guardrails.
func (d *decider) applyOverride(o *Override, answer decision.Decision) decision.Decision {
	if d.rejected != nil && d.rejected.Guardrail {
		return linkShadow(d.rejected.denyRequest(), answer)
	}
	if d.documents.summary[enforced].hasGuardrails {
		if reason := d.findAmbiguity(enforced); reason != "" {
			return linkShadow(decision.Deny(reason), answer)
		}
		if denial, denied := d.denyByGuardrails(enforced); denied {
			return linkShadow(denial, answer)
		}
	}
	d.evaluation.readToken() // only a valid token goes on to the next hop
	return linkShadow(decision.Allow(decision.Overridden).By("", o.Target), answer)
}

// decideAt is steps 1 to 7, over the documents and rules of a level.
func (d *decider) decideAt(l level) decision.Decision {
	switch {
	case d.rejected != nil:
		return d.rejected.denyRequest()
	case !d.documents.summary[l].hasDocuments:
		return decision.Deny(decision.Unguarded)
	}
	if reason := d.findAmbiguity(l); reason != "" {
		return decision.Deny(reason)
	}
	if answer, decided := d.decideBeforeToken(l); decided {
		return answer
	}
	d.evaluation.readToken()
	switch e := &d.evaluation; {
	case e.claims != nil:
	case e.outage:
		return d.decideOnOutage(l)
	case e.noToken != decision.TokenMissing || d.documents.summary[l].tokenRequired:
		return decision.Deny(e.noToken)
	}
	return d.decideByRules(l)
}

// findAmbiguity is step 2. It gives the reason why the request can be read in two ways; empty: it
// cannot.
func (d *decider) findAmbiguity(l level) decision.Reason {
	switch {
	case !d.admitPath(d.documents.summary[l].admitted):
		return decision.AmbiguousPath
	case method.IsAmbiguous(d.evaluation.request.Method):
		return decision.AmbiguousMethod
	case d.hostMatters(l) && d.checkHost() != nil:
		return decision.AmbiguousHost
	}
	return ""
}

// admitPath finds the ambiguous segments of a path that is ambiguous by escapes alone,
// where a rule may admit these.
func (d *decider) admitPath(admitted path.Escapes) bool {
	d.evaluation.ambiguous = nil
	if !d.pathAmbiguous {
		return true
	}
	ambiguous, err := path.FindAmbiguous(d.evaluation.request.Path, admitted)
	d.evaluation.ambiguous = ambiguous
	return err == nil && len(ambiguous) > 0
}

// hostMatters holds if something routes or decides by the host: at every gateway, and for a callee
// with a rule that counts and reads it.
func (d *decider) hostMatters(l level) bool {
	return d.evaluation.request.Callee.IsGateway() || d.documents.summary[l].hostRead
}

func (d *decider) checkHost() error {
	return host.Check(d.evaluation.request.Host, d.evaluation.request.Callee.IsGateway())
}

// decideBeforeToken is step 3: deny rules that no token could lift, then public entries,
// which only a guardrail can deny.
func (d *decider) decideBeforeToken(l level) (answer decision.Decision, decided bool) {
	if denial, denied := d.firstDenial(l, earlyDeny, isAnyRule); denied {
		return denial, true
	}
	for _, c := range d.findCandidates(publicStep) {
		if c.countsAt(l) && c.match(&d.evaluation) == yes {
			if denial, denied := d.denyByGuardrails(l); denied {
				return denial, true
			}
			return c.signDecision(decision.Allow(decision.Public)), true
		}
	}
	return decision.Decision{}, false
}

// denyByGuardrails evaluates the deny rules of guardrails, and reads the token for them
// even where nothing else needs it.
func (d *decider) denyByGuardrails(l level) (denial decision.Decision, denied bool) {
	if !d.documents.summary[l].hasGuardrails {
		return denial, false
	}
	if denial, denied = d.firstDenial(l, earlyDeny, (*Rule).isGuardrail); denied {
		return denial, true
	}
	d.evaluation.readToken()
	return d.firstDenial(l, lateDeny, (*Rule).isGuardrail)
}

// decideByRules is steps 5 to 7.
func (d *decider) decideByRules(l level) decision.Decision {
	if denial, denied := d.firstDenial(l, lateDeny, isAnyRule); denied {
		return denial
	}
	answer := decision.Deny(decision.NoRule)
	if d.evaluation.ambiguous != nil {
		answer = decision.Deny(decision.AmbiguousPath) // and no rule admits it
	}
	for _, c := range d.findCandidates(allowStep) {
		if !c.countsAt(l) {
			continue
		}
		switch c.match(&d.evaluation) {
		case yes:
			return c.signDecision(decision.Allow(decision.RuleAllowed))
		case undecided:
			if answer.Policy == "" {
				answer = c.signDecision(decision.Deny(decision.ConditionError))
			}
		case no:
		}
	}
	return answer
}

// decideOnOutage decides if the token cannot be verified because no home issuer has keys
// or the revocations are stale. It allows a request only if every document has onOutage:
// allow, and if the conditions of an allow rule that need no token match.
func (d *decider) decideOnOutage(l level) decision.Decision {
	denial := decision.Deny(d.evaluation.noToken)
	if d.set.noOutage || d.documents.summary[l].outageDenied {
		return denial
	}
	if _, denied := d.denyByGuardrails(l); denied {
		return denial
	}
	for _, c := range d.findCandidates(allowStep) {
		if c.countsAt(l) && !c.hasIssuer && c.matchBeforeToken(&d.evaluation) == yes {
			return c.signDecision(decision.Allow(decision.OutageAllowed))
		}
	}
	return denial
}

// firstDenial gives the first of the chosen deny rules, by document and name, that matches
// or cannot be decided. If several paths of a rule match, a yes counts before an undecided.
func (d *decider) firstDenial(l level, s step, chosen func(*Rule) bool) (denial decision.Decision, denied bool) {
	var undecidedRule *Rule
	for _, c := range d.findCandidates(s) {
		if undecidedRule != nil && c.Rule != undecidedRule {
			break
		}
		if !c.countsAt(l) || !chosen(c.Rule) {
			continue
		}
		switch c.match(&d.evaluation) {
		case yes:
			return c.signDecision(decision.Deny(decision.RuleDenied)), true
		case undecided:
			undecidedRule = c.Rule
			denial = c.signDecision(decision.Deny(decision.ConditionError))
		case no:
		}
	}
	return denial, undecidedRule != nil
}

func isAnyRule(*Rule) bool { return true }

func (d *decider) findCandidates(s step) []candidate {
	return d.documents.findCandidates(s, &d.evaluation, d.room[:0])
}

// signDecision names the rule that gives the decision.
func (r *Rule) signDecision(d decision.Decision) decision.Decision {
	d.Policy, d.Folder, d.Rule = r.document.spec.Name, r.document.spec.Folder, r.spec.Name
	return d
}
