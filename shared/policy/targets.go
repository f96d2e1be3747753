package policy

import (
	"slices"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy/path"
)

// level selects the documents and rules that count.
type level int

const (
	enforced   level = iota
	withShadow       // those in shadow too
	numLevels
)

// calleeDocuments are all documents that guard one callee.
type calleeDocuments struct {
	byTarget [4]*targetDocuments // some may be nil
	summary  [numLevels]summary
}

func (s *Set) documentsFor(w identity.Workload) calleeDocuments {
	var found calleeDocuments
	patterns := w.MatchingPatterns()
	for i, pattern := range withoutWildcards(patterns[:], s.hasWildcards) {
		t := s.targets[pattern]
		if t == nil {
			continue
		}
		found.byTarget[i] = t
		for l := range found.summary {
			found.summary[l].add(t.summary[l])
		}
	}
	return found
}

// findCandidates gives the candidates of a step that may match, by document and name.
func (d *calleeDocuments) findCandidates(s step, e *evaluation, found []candidate) []candidate {
	for _, t := range d.byTarget {
		if t != nil {
			found = t.rules[s].find(e, found)
		}
	}
	if len(found) > 1 {
		slices.SortStableFunc(found, func(a, b candidate) int { return CompareRules(a.Rule, b.Rule) })
	}
	return found
}

// targetDocuments are all documents with one and the same target. A callee has at most
// four: by its own name, and by the patterns with wildcards that match it.
type targetDocuments struct {
	documents []*Document // by name
	rules     [numSteps]index
	summary   [numLevels]summary
}

func newTargetDocuments(documents []*Document) *targetDocuments {
	t := &targetDocuments{documents: documents}
	for _, d := range documents {
		t.add(d)
	}
	return t
}

func (t *targetDocuments) add(d *Document) {
	if !d.spec.Shadow {
		t.summary[enforced].add(d.summarise(enforced))
	}
	t.summary[withShadow].add(d.summarise(withShadow))
	t.summary[withShadow].inShadow = t.summary[withShadow].inShadow || d.spec.Shadow
	for _, r := range d.rules {
		for _, c := range r.candidates() {
			t.rules[r.step].add(c)
		}
	}
}

// summary combines the settings of all documents that guard a callee.
type summary struct {
	hasDocuments  bool
	tokenRequired bool // one requires a token
	outageDenied  bool // one has no onOutage: allow
	hasGuardrails bool // one is a guardrail with a deny rule
	inShadow      bool // there is a document or rule in shadow
	hostRead      bool // a rule that counts reads the host
	admitted      path.Escapes
}

func (d *Document) summarise(l level) summary {
	return summary{
		hasDocuments: true, tokenRequired: !d.spec.IdentityOptional, outageDenied: !d.spec.AllowOnOutage, hasGuardrails: d.spec.Guardrail && d.deniesAt(l),
		inShadow: slices.ContainsFunc(d.rules, func(r *Rule) bool { return r.spec.Shadow }), hostRead: d.readsHost(l), admitted: d.admittedEscapes(l),
	}
}

func (s *summary) add(o summary) {
	s.hasDocuments = s.hasDocuments || o.hasDocuments
	s.tokenRequired = s.tokenRequired || o.tokenRequired
	s.outageDenied = s.outageDenied || o.outageDenied
	s.hasGuardrails = s.hasGuardrails || o.hasGuardrails
	s.inShadow = s.inShadow || o.inShadow
	s.hostRead = s.hostRead || o.hostRead
	s.admitted |= o.admitted
}
