package policy

import (
	"github.com/meshpass/meshpass/shared/decision"
)

// answer puts together what is enforced and what is only watched. Each answer
// that is not given hangs below the one that is: under an override the answer
// that the documents give, and under that the one they would give if those in
// shadow were enforced.
func (q *question) answer() decision.Decision {
	given := q.decide(enforced)
	if q.terms[watched].inShadow {
		given.Shadow = q.watch()
	}
	switch override := q.set.override(q.Callee, q.Now); {
	case override != nil:
		return q.overridden(override, &given)
	case given.Reason == decision.Unguarded && q.set.unguarded == Shadow:
		q.ask() // a token that holds goes on to the next hop; another is taken off
		return above(decision.Allow(decision.Unenforced), &given)
	}
	return given
}

func above(answer decision.Decision, shadow *decision.Decision) decision.Decision {
	answer.Shadow = shadow
	return answer
}

// watch also keeps a fault in what is in shadow from reaching the answer.
func (q *question) watch() (d *decision.Decision) {
	defer func() {
		if recover() != nil {
			panicked := decision.Deny(decision.Panic)
			d = &panicked
		}
	}()
	watched := q.decide(watched)
	return &watched
}

// overridden lifts everything but the denies of guardrails.
func (q *question) overridden(o *Override, given *decision.Decision) decision.Decision {
	if q.refused != nil && q.refused.guardrail {
		return above(q.refused.deny(), given)
	}
	if q.terms[enforced].guardrails {
		if reason := q.unreadable(enforced); reason != "" {
			return above(decision.Deny(reason), given)
		}
		if d, denied := q.stopped(enforced); denied {
			return above(d, given)
		}
	}
	q.ask() // as above: only a token that holds may go on
	return above(decision.Allow(decision.Overridden).By("", o.Target), given)
}
