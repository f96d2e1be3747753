package replay

import (
	"slices"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// replayed is the answer of a set of documents to a recorded request with one of its
// possible tokens.
type replayed struct {
	answer    Answer
	token     possibleToken
	readToken bool // the documents asked for the token
}

// decideBy asks the documents about the request with a token.
func (r Record) decideBy(set *policy.Set, token possibleToken) replayed {
	result := replayed{token: token}
	d := set.DecideToken(r.Request, func() policy.Authentication {
		result.readToken = true
		return token.authenticate()
	})
	result.answer = newAnswer(d)
	if token.anyOfKind && d.Reason == token.noToken {
		result.answer.Reason = "" // another reason of the kind is as likely
	}
	if r.Audit.Kind != audit.KindCheck && (d.Allowed() || d.Reason == decision.Unguarded) {
		result.answer = r.edgeAnswer() // documents can only deny at the edge
	}
	return result
}

// edgeAnswer returns the answer of the edge if no document denies the request.
func (r Record) edgeAnswer() Answer {
	reason := decision.Issued
	if r.Claims == nil {
		reason = decision.Anonymous
	}
	return Answer{Decision: "allow", Reason: string(reason)}
}

// passesEdge reports whether the request is one of the edge that no document decides.
func (r Record) passesEdge(set *policy.Set) bool {
	reason := set.DecideToken(r.Request, r.possibleTokens()[0].authenticate).Reason
	return r.Audit.Kind != audit.KindCheck && (reason == decision.Unguarded || reason == decision.Unenforced)
}

// isRecorded reports whether an answer of the set is one that the record holds.
func (r Record) isRecorded(a Answer, set *policy.Set) bool {
	return slices.ContainsFunc(r.documentAnswers(), func(recorded Answer) bool { return a.matchesRecorded(recorded, set) })
}

// documentAnswers returns the answers that the documents may have given. Usually that is
// the recorded answer alone. An override, or the edge, may have replaced the answer of the
// documents; theirs is then among the shadow answers of the record.
func (r Record) documentAnswers() []Answer {
	all := []Answer{r.recordedAnswer()}
	switch r.reason() {
	case decision.Overridden, decision.Issued, decision.Anonymous:
		for _, shadow := range r.Shadows {
			all = append(all, newAnswer(shadow))
		}
	default: // the documents gave the recorded answer
	}
	return all
}

func (r Record) recordedAnswer() Answer {
	a := Answer{Decision: r.Audit.Decision, Reason: r.Audit.Reason}
	if r.Audit.Kind != audit.KindCheck && r.Audit.Decision == "allow" {
		return a
	}
	a.Policy, a.Folder, a.Rule = r.Audit.Policy, r.Audit.Folder, r.Audit.Rule
	return a
}
