package policy

import (
	"slices"

	"github.com/meshpass/meshpass/shared/identity"
)

// guard is what all documents with one and the same target say. A callee has at
// most four: by its own name, and by the patterns with wildcards that match it.
type guard struct {
	rules [kinds]index
	terms [levels]terms
}

// level says which documents and rules count.
type level int

const (
	enforced level = iota
	watched        // those in shadow too
	levels
)

// terms is what holds for a callee beside the rules, whatever their number.
type terms struct {
	documents  bool // there is one
	required   bool // one wants a token
	outageDeny bool // one does not say onOutage: allow
	guardrails bool // one is a guardrail with a deny rule
	inShadow   bool // there is something that only watches
	readsHost  bool // a rule that counts does
	admits     escapes
}

func (t *terms) add(o terms) {
	t.documents = t.documents || o.documents
	t.required = t.required || o.required
	t.outageDeny = t.outageDeny || o.outageDeny
	t.guardrails = t.guardrails || o.guardrails
	t.inShadow = t.inShadow || o.inShadow
	t.readsHost = t.readsHost || o.readsHost
	t.admits |= o.admits
}

func (c *compiled) terms(l level) terms {
	return terms{
		documents: true, required: !c.optional, outageDeny: !c.outageAllow, guardrails: c.guardrail && c.denies(l),
		inShadow: slices.ContainsFunc(c.rules, func(r *rule) bool { return r.shadow }), admits: c.admits(l),
		readsHost: c.readsHost(l),
	}
}

func (g *guard) add(c *compiled) {
	if !c.shadow {
		g.terms[enforced].add(c.terms(enforced))
	}
	g.terms[watched].add(c.terms(watched))
	g.terms[watched].inShadow = g.terms[watched].inShadow || c.shadow
	for _, r := range c.rules {
		for _, e := range r.entries() {
			g.rules[r.kind].add(e)
		}
	}
}

// guarding is all that guards one callee.
type guarding struct {
	guards [4]*guard // some may be nil
	terms  [levels]terms
}

func (s *Set) guarding(w identity.Workload) guarding {
	var found guarding
	for i, pattern := range w.MatchingPatterns() {
		g := s.guards[pattern]
		if g == nil {
			continue
		}
		found.guards[i] = g
		for l := range found.terms {
			found.terms[l].add(g.terms[l])
		}
	}
	return found
}

// find gives the rules of a kind that may match, by document and name.
func (g *guarding) find(k kind, s *subject, found []entry) []entry {
	for _, one := range g.guards {
		if one != nil {
			found = one.rules[k].find(s, found)
		}
	}
	return sorted(found)
}
