package policy

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// Set is all documents that were loaded together. It never changes.
type Set struct {
	documents  int
	exact      map[identity.Workload][]*compiled // targets without a wildcard
	wild       []wildTarget
	reads      reads
	generation string
}

type wildTarget struct {
	pattern  identity.Pattern
	document *compiled
}

// Len is the number of documents.
func (s *Set) Len() int { return s.documents }

// Generation identifies the content from which the set was made.
func (s *Set) Generation() string { return s.generation }

func (s *Set) add(c *compiled) {
	if s.exact == nil {
		s.exact = map[identity.Workload][]*compiled{}
	}
	s.documents++
	s.reads.add(c.reads)
	for _, target := range c.targets {
		if w := target.Literal(); w == "" {
			s.wild = append(s.wild, wildTarget{target, c})
		} else if !slices.Contains(s.exact[w], c) {
			s.exact[w] = append(s.exact[w], c)
		}
	}
}

// targeting gives the documents that guard a workload, sorted by name.
func (s *Set) targeting(w identity.Workload) []*compiled {
	found := s.exact[w]
	own := false // found is the set's own slice until something is added
	for _, t := range s.wild {
		if t.pattern.Match(w) && !slices.Contains(found, t.document) {
			if !own {
				found, own = slices.Clone(found), true
			}
			found = append(found, t.document)
		}
	}
	if own {
		slices.SortFunc(found, func(a, b *compiled) int { return strings.Compare(a.name, b.name) })
	}
	return found
}
