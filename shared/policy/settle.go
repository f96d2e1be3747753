package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// settlement decides what stays in force of what the folders held before.
type settlement struct {
	*reading
	previous  *Set
	active    map[docKey]bool
	documents []*compiled
	refusals  []refusal
	reported  []Refused
}

// docKey names a document across versions. Another folder's document of the same
// name is another one, so that no team can put out what a second one has in force.
type docKey struct{ folder, name string }

func (c *compiled) key() docKey { return docKey{c.folder, c.name} }
func (r refusal) key() docKey   { return docKey{r.folder, r.name} }

// loaded keeps or denies for each document and file that cannot be used.
func (s *settlement) loaded() Loaded {
	for _, d := range s.reading.documents {
		if d.usable() == nil {
			s.settle(d.refusal)
		}
	}
	for _, lost := range s.lost {
		s.settle(lost)
	}
	slices.SortFunc(s.documents, compareDocuments)
	slices.SortFunc(s.refusals, compareRefusals)
	set := newSet(s.documents, s.refusals)
	set.generation = s.generation()
	if s.previous != nil {
		set = set.With(s.previous.unguarded, s.previous.overrides)
	}
	return Loaded{Set: set, Wanted: s.wanted, Problems: s.problems, Refused: s.reported, unread: s.unread}
}

// settle keeps the last good version of what is refused, or denies on where it
// was denied. What was neither, a new document or a file that cannot be read, may
// be any that is missing from its folder now: all of these stay as they were.
func (s *settlement) settle(r refusal) {
	denied := !r.shadow && !r.empty && (s.previous == nil || s.previous.refuses(r))
	switch {
	case denied:
		s.deny(r)
	case s.previous == nil: // in shadow, where even a refusal may change no answer; or empty
	case r.empty:
		s.keep(func(c *compiled) bool { return c.folder == r.folder && c.file == r.file })
	case !s.keep(func(c *compiled) bool { return c.key() == r.key() }):
		s.keep(func(c *compiled) bool { return c.folder == r.folder })
		for _, old := range s.previous.refused {
			if old.folder == r.folder && !s.active[old.key()] {
				s.deny(old)
			}
		}
	}
	s.reported = append(s.reported, Refused{Name: r.name, Folder: r.folder, File: r.file, Denied: denied})
}

// keep takes over documents of which no other version is in force.
func (s *settlement) keep(chosen func(*compiled) bool) (found bool) {
	for _, c := range s.previous.documents {
		if !chosen(c) {
			continue
		}
		found = true
		if !s.active[c.key()] {
			s.active[c.key()] = true
			s.documents = append(s.documents, c)
		}
	}
	return found
}

// deny keeps apart two refusals of one name, each of which has targets of its own.
func (s *settlement) deny(r refusal) {
	if !slices.ContainsFunc(s.refusals, func(o refusal) bool { return o.key() == r.key() && slices.Equal(o.scopes, r.scopes) }) {
		s.refusals = append(s.refusals, r)
	}
}

func (s *Set) refuses(r refusal) bool {
	return slices.ContainsFunc(s.refused, func(o refusal) bool { return o.key() == r.key() })
}

// generation is that of the folders where all of them is in force; otherwise it
// tells the documents that are.
func (s *settlement) generation() string {
	if len(s.reported) == 0 {
		return s.wanted
	}
	sum := sha256.New()
	for _, c := range s.documents {
		fmt.Fprintf(sum, "%q %q %x", c.folder, c.name, c.content)
	}
	for _, r := range s.refusals {
		fmt.Fprintf(sum, " %q %q", r.folder, r.name)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

// refusal denies what the document guards. Targets that cannot be read, or that
// its folder may not name, are not its to deny: then all that the folder may
// target is.
func (s *source) refusal() refusal {
	r := refusal{
		name: s.Metadata.Name, file: s.file, folder: s.folder.Name, guardrail: s.folder.Guardrail,
		shadow: s.Spec.Mode == string(Shadow),
	}
	if r.name == "" {
		r.name = s.file
	}
	for _, text := range s.Spec.Targets.Workloads {
		pattern, err := s.folder.domains.ParseTarget(text)
		if err != nil || !s.folder.mayTarget(pattern) {
			r.scopes = s.folder.scopes
			return r
		}
		r.scopes = append(r.scopes, scope{pattern: pattern})
	}
	unread := s.yaml.Has("spec", "targets", "workloads", len(r.scopes)) // an entry that is no text was left out
	if len(r.scopes) == 0 || unread {
		r.scopes = s.folder.scopes
	}
	return r
}
