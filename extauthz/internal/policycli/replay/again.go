package replay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// outcome is one record, decided anew.
type outcome struct {
	was, now Answer
	why      string // it cannot be decided
}

// replay decides by both sets. Of the tokens that may have come, those count with
// which the old documents say what is recorded.
func (r Recorded) replay(old, changed *policy.Set) outcome {
	if field := r.clipped(); field != "" {
		return outcome{why: fmt.Sprintf("the record does not hold all of the %s", field)}
	}
	k := knowledge{Recorded: r}
	if k.exact = r.Generation == old.Generation(); k.exact {
		k.read = old.Reads()
	}
	var kept []answer
	var other Answer
	for _, b := range r.bearers() {
		a := r.decide(old, b)
		if missing := k.lacks(old, a); len(missing) > 0 {
			return outcome{why: "OLD reads what the record does not hold: " + strings.Join(missing, ", ")}
		}
		if other = a.Answer; r.said(a.Answer, old) {
			kept = append(kept, a)
		}
	}
	switch {
	case len(kept) > 0:
		return k.renew(kept, changed)
	case unreadable(other):
		return k.renewUnreadable(changed)
	}
	return outcome{why: r.unlike(old, other)}
}

// unreadable reports an answer that the request alone decides: no document could have given
// another one. The record was written by a version that read such requests.
func unreadable(a Answer) bool {
	return slices.Contains([]decision.Reason{decision.AmbiguousPath, decision.AmbiguousMethod, decision.AmbiguousHost}, decision.Reason(a.Reason)) && a.Rule == ""
}

// renewUnreadable asks the new documents about a request that the old ones would no longer get to
// decide. What was decided then is what the record says.
func (k knowledge) renewUnreadable(changed *policy.Set) outcome {
	answers := k.answers() // what an override lifted is what the documents said
	was := answers[min(len(answers)-1, 1)]
	if k.Reason != string(decision.Overridden) {
		was = answers[0]
	}
	var kept []answer
	for _, b := range k.bearers() {
		kept = append(kept, answer{Answer: was, token: b, asked: b.claims != nil})
	}
	return k.renew(kept, changed)
}

// unlike says how the old documents differ from those that decided.
func (r Recorded) unlike(old *policy.Set, a Answer) string {
	if r.Generation != old.Generation() {
		return fmt.Sprintf("recorded under generation %s, OLD is %s and says %s, not %s", r.Generation, old.Generation(), a, r.recorded())
	}
	return fmt.Sprintf("OLD says %s, not %s: something beside its documents decided", a, r.recorded())
}

// renew asks the new documents, with each token that may have come. Where nothing
// is known to have looked at the token, any may have.
func (k knowledge) renew(kept []answer, changed *policy.Set) outcome {
	var o outcome
	for i, old := range kept {
		now := k.decide(changed, old.token)
		missing := k.lacks(changed, now)
		switch {
		case i > 0 && k.knowsToken() && !now.isBy(o.now):
			return outcome{why: "NEW has onOutage: allow, and the record does not tell whether its refusal was an outage"}
		case len(missing) > 0:
			return outcome{why: "NEW reads what the record does not hold: " + strings.Join(missing, ", ")}
		case now.asked && !k.looked(kept), i > 0 && !now.isBy(o.now):
			return outcome{why: "NEW asks for a token, of which the record tells nothing"}
		}
		o = outcome{was: kept[0].Answer, now: now.Answer}
	}
	return o
}

// looked reports whether the record tells all that there is about the token.
func (k knowledge) looked(kept []answer) bool {
	reason := decision.Reason(k.Reason)
	return k.knowsToken() || k.exact && kept[0].asked || reason == decision.RuleAllowed || reason == decision.NoRule
}
