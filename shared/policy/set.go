package policy

import (
	"github.com/meshpass/meshpass/shared/identity"
)

// Set is all documents that were loaded together. It never changes.
type Set struct {
	documents  []*compiled // by name
	guards     map[identity.Pattern]*guard
	refused    []refusal
	unguarded  Mode
	overrides  []Override
	noOutage   bool // onOutage: allow has no effect
	reads      reads
	generation string
}

// Mode says whether an answer is carried out, or only recorded.
type Mode string

// The modes of documents, rules, overrides, and of workloads that no document
// targets. The zero Mode enforces.
const (
	Enforce Mode = "enforce"
	Shadow  Mode = "shadow"
)

// Len is the number of documents.
func (s *Set) Len() int { return len(s.documents) }

// Generation identifies the content from which the set was made.
func (s *Set) Generation() string { return s.generation }

// newSet wants the documents sorted by name, so that their order tells nothing.
func newSet(documents []*compiled, refused []refusal) *Set {
	set := &Set{documents: documents, refused: refused, guards: map[identity.Pattern]*guard{}, reads: newReads()}
	for _, c := range documents {
		set.reads.add(c.reads)
		set.guard(c)
	}
	return set
}

func (s *Set) guard(c *compiled) {
	done := map[identity.Pattern]bool{}
	for _, target := range c.targets {
		if done[target] {
			continue
		}
		done[target] = true
		if s.guards[target] == nil {
			s.guards[target] = &guard{}
		}
		s.guards[target].add(c)
	}
}
