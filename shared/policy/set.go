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
	shared     map[string]bool // names that documents or refusals of several folders have
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
	set.findSharedNames()
	return set
}

// findSharedNames: most sets have none.
func (s *Set) findSharedNames() {
	folders := map[string]string{}
	note := func(name, folder string) {
		if other, known := folders[name]; known && other != folder {
			if s.shared == nil {
				s.shared = map[string]bool{}
			}
			s.shared[name] = true
		}
		folders[name] = folder
	}
	for _, c := range s.documents {
		note(c.name, c.folder)
	}
	for _, r := range s.refused {
		note(r.name, r.folder)
	}
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
