package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// Set is all documents that are active together. It never changes.
type Set struct {
	documents    []*Document // by name
	targets      map[identity.Pattern]*targetDocuments
	hasWildcards bool               // among the targets
	rejected     []RejectedDocument // guardrails first
	reads        []Attribute
	headerNames  []string // among reads
	generation   string
	shared       map[string]bool // names that documents of several folders have, rejected ones too

	unguarded Mode
	overrides []Override
	noOutage  bool // onOutage: allow has no effect
}

// Mode determines whether a decision is enforced, or only recorded.
type Mode string

// The modes of documents, rules, overrides, and of workloads that no document
// targets. The zero Mode enforces.
const (
	Enforce Mode = "enforce"
	Shadow  Mode = "shadow"
)

// NewSet indexes documents. A request to a workload that a rejected document guards is
// denied. The generation identifies the content; empty: NewSet hashes the documents.
// The order of the documents does not matter.
func NewSet(documents []*Document, rejected []RejectedDocument, generation string) *Set {
	return (&Set{}).Next(documents, rejected, generation)
}

// Next is [NewSet] for the set that follows this one, with its overrides and its mode for
// workloads that no document targets. The two share what they know of targets whose
// documents are the same values, so that a change costs what has changed.
func (s *Set) Next(documents []*Document, rejected []RejectedDocument, generation string) *Set {
	next := newUnindexedSet(documents, rejected, generation)
	for target, guarding := range next.documentsByTarget() {
		next.hasWildcards = next.hasWildcards || isWildcard(target)
		if known := s.targets[target]; known != nil && slices.Equal(known.documents, guarding) {
			next.targets[target] = known
		} else {
			next.targets[target] = newTargetDocuments(guarding)
		}
	}
	return next.With(s.unguarded, s.overrides)
}

func newUnindexedSet(documents []*Document, rejected []RejectedDocument, generation string) *Set {
	s := &Set{documents: slices.Clone(documents), rejected: slices.Clone(rejected), targets: map[identity.Pattern]*targetDocuments{}, generation: generation}
	slices.SortFunc(s.documents, CompareDocuments)
	slices.SortFunc(s.rejected, compareRejected)
	for _, d := range s.documents {
		s.reads = append(s.reads, d.reads...)
	}
	s.reads = sortAttributes(s.reads)
	for _, a := range s.reads {
		if name, isHeader := strings.CutPrefix(a.name, headerPrefix); isHeader {
			s.headerNames = append(s.headerNames, name)
		}
	}
	s.findSharedNames()
	if s.generation == "" {
		s.generation = s.hashDocuments()
	}
	return s
}

// documentsByTarget counts a document once for each of its targets.
func (s *Set) documentsByTarget() map[identity.Pattern][]*Document {
	all := make(map[identity.Pattern][]*Document, len(s.documents))
	for _, d := range s.documents {
		for _, target := range d.spec.Targets {
			if known := all[target]; len(known) == 0 || known[len(known)-1] != d {
				all[target] = append(known, d)
			}
		}
	}
	return all
}

// findSharedNames leaves the map nil if no name is shared, as in most sets.
func (s *Set) findSharedNames() {
	folders := map[string]string{}
	add := func(name, folder string) {
		if other, known := folders[name]; known && other != folder {
			if s.shared == nil {
				s.shared = map[string]bool{}
			}
			s.shared[name] = true
		}
		folders[name] = folder
	}
	for _, d := range s.documents {
		add(d.spec.Name, d.spec.Folder)
	}
	for _, r := range s.rejected {
		add(r.Name, r.Folder)
	}
}

func (s *Set) hashDocuments() string {
	sum := sha256.New()
	for _, d := range s.documents {
		fmt.Fprintf(sum, "%q %q %x", d.spec.Folder, d.spec.Name, d.spec.Content)
	}
	for _, r := range s.rejected {
		fmt.Fprintf(sum, " %q %q", r.Folder, r.Name)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

// With gives the same documents with another mode for workloads that no document
// targets, and with other overrides.
func (s *Set) With(unguarded Mode, overrides []Override) *Set {
	changed := *s
	changed.unguarded, changed.overrides = unguarded, overrides
	return &changed
}

// WithoutOutage gives the same documents with onOutage: allow having no effect. It is
// for the time when no trusted issuer is home. A loader that knows this rejects documents
// with onOutage: allow, but their last good versions may still be active.
func (s *Set) WithoutOutage() *Set {
	changed := *s
	changed.noOutage = true
	return &changed
}

// Len is the number of documents.
func (s *Set) Len() int { return len(s.documents) }

// Generation identifies the content of the set.
func (s *Set) Generation() string { return s.generation }

// CompiledDocuments lists the documents by name. Do not change the list.
func (s *Set) CompiledDocuments() []*Document { return s.documents }

// Rejected lists the rejected documents whose targets are denied. Do not change the list.
func (s *Set) Rejected() []RejectedDocument { return s.rejected }
