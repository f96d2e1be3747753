package replay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// Reconstruction is the request of a record, completed so that documents can be asked
// about it again.
type Reconstruction struct {
	Record    Record
	ByPolicy  bool            // documents decided the request; else the fields below are empty
	NoToken   decision.Reason // why there are no claims
	Outage    bool            // NoToken was an outage
	Uncertain []string        // notes on facts that are assumed, or that differ from the record

	// Undecidable is why documents cannot be asked: a value that they read is masked. Empty:
	// they can.
	Undecidable string
}

// Reconstruct completes the request of a record for these documents. Of the possible
// tokens it takes one that reproduces the recorded answer, if there is one. Other than a
// replay it has a result even if the record lacks facts, and notes each assumption. Only a
// masked value has no result.
func (r Record) Reconstruct(set *policy.Set) Reconstruction {
	c := Reconstruction{Record: r, ByPolicy: r.decidedByDocuments() && !r.passesEdge(set)}
	if !c.ByPolicy {
		return c
	}
	if r.maskedField() != "" {
		c.Undecidable = r.describeMissing()
		return c
	}
	known := newKnownInputs(r, set)
	if !known.exact {
		c.addNote("the record is of generation %s, these documents are %s", r.Audit.Generation, set.Generation())
	}
	chosen := r.chooseToken(set)
	c.NoToken, c.Outage = chosen.token.noToken, chosen.token.outage
	if chosen.readToken && !r.holdsToken() {
		c.addNote("the record holds nothing about a token: taken as %s", c.NoToken)
	}
	if field := r.clippedField(); field != "" {
		c.addNote("the record does not hold all of the %s", field)
	}
	missing := known.missingFor(set, chosen)
	if slices.ContainsFunc(missing, known.isMasked) {
		c.Undecidable = "the documents read what the record does not hold: " + known.joinNames(missing)
		return c
	}
	if len(missing) > 0 {
		c.addNote("the record does not hold %s, which is taken as missing", strings.Join(missing, ", "))
	}
	if !r.isRecorded(chosen.answer, set) {
		c.addNote("the record says %s", r.recordedAnswer())
	}
	return c
}

// chooseToken decides with each possible token, and returns the first result that is the
// recorded answer, or the first one if there is no such result.
func (r Record) chooseToken(set *policy.Set) replayed {
	tokens := r.possibleTokens()
	for _, token := range tokens {
		if result := r.decideBy(set, token); r.isRecorded(result.answer, set) {
			return result
		}
	}
	return r.decideBy(set, tokens[0])
}

func (c *Reconstruction) addNote(format string, args ...any) {
	c.Uncertain = append(c.Uncertain, fmt.Sprintf(format, args...))
}
