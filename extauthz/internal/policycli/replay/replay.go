package replay

import (
	"fmt"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// outcome is the result of replaying one record.
type outcome struct {
	was, now    Answer
	undecidable string // why the record cannot be replayed; then there are no answers
}

// replay decides the request by the old and by the changed documents. The record may not
// hold which token came, so every possible token is tried, and only those count that
// reproduce the recorded answer under the old documents.
func (r Record) replay(old, changed *policy.Set) outcome {
	if missing := r.describeMissing(); missing != "" {
		return outcome{undecidable: missing}
	}
	known := newKnownInputs(r, old)
	var reproduced []replayed
	var last Answer
	for _, token := range r.possibleTokens() {
		result := r.decideBy(old, token)
		if missing := known.missingFor(old, result); len(missing) > 0 {
			return outcome{undecidable: "OLD reads what the record does not hold: " + known.joinNames(missing)}
		}
		if last = result.answer; r.isRecorded(last, old) {
			reproduced = append(reproduced, result)
		}
	}
	switch {
	case len(reproduced) > 0:
		return known.replayChanged(reproduced, changed)
	case last.isAmbiguousRequest():
		return known.replayAmbiguous(changed)
	}
	return outcome{undecidable: r.describeMismatch(old, last)}
}

// replayAmbiguous replays a request that this version denies because it can be read in
// two ways, and that the version which recorded it passed to the documents. The old
// answer is taken from the record.
func (k knownInputs) replayAmbiguous(changed *policy.Set) outcome {
	was := k.record.recordedAnswer()
	if answers := k.record.documentAnswers(); k.record.reason() == decision.Overridden && len(answers) > 1 {
		was = answers[1] // the answer of the documents that the override replaced
	}
	var all []replayed
	for _, token := range k.record.possibleTokens() {
		all = append(all, replayed{answer: was, token: token, readToken: token.claims != nil})
	}
	return k.replayChanged(all, changed)
}

// replayChanged decides by the changed documents, with each token that is possible under
// the old ones. The result is undecidable if the answer depends on facts that the record
// does not hold: attributes of the request, or which of the tokens came.
func (k knownInputs) replayChanged(old []replayed, changed *policy.Set) outcome {
	var o outcome
	for i, candidate := range old {
		result := k.record.decideBy(changed, candidate.token)
		now := result.answer
		missing := k.missingFor(changed, result)
		answersDiffer := i > 0 && !now.sameRule(o.now)
		switch {
		case answersDiffer && k.record.holdsToken():
			return outcome{undecidable: "NEW has onOutage: allow, and the record does not hold whether there was an outage"}
		case len(missing) > 0:
			return outcome{undecidable: "NEW reads what the record does not hold: " + k.joinNames(missing)}
		case answersDiffer, result.readToken && !k.holdAllOfToken(old):
			return outcome{undecidable: "NEW asks for the token, and the record holds nothing about it"}
		}
		o = outcome{was: old[0].answer, now: now}
	}
	return o
}

// describeMismatch explains how the old documents differ from those that decided.
func (r Record) describeMismatch(old *policy.Set, a Answer) string {
	if r.Audit.Generation != old.Generation() {
		return fmt.Sprintf("recorded under generation %s, OLD is %s and says %s, not %s", r.Audit.Generation, old.Generation(), a, r.recordedAnswer())
	}
	return fmt.Sprintf("OLD says %s, not %s: something beside its documents decided", a, r.recordedAnswer())
}
