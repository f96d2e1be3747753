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
	names     map[string]bool // of documents in force
	documents []*compiled
	refusals  []refusal
	reported  []Refused
}

// refuse keeps or denies for each document and file that cannot be used.
func (s *settlement) refuse() {
	for _, source := range s.sources {
		if s.compiled[source] == nil {
			s.settle(source.refusal())
		}
	}
	for _, lost := range s.lost {
		s.settle(lost)
	}
}

// settle keeps the last good version of what is refused, or denies on where it
// was denied. What was neither, a new document or a file that cannot be read, may
// be any that is missing from its folder now: all of these stay as they were.
func (s *settlement) settle(r refusal) {
	denied := !r.shadow && (s.previous == nil || s.previous.refuses(r))
	switch {
	case denied:
		s.deny(r)
	case s.previous == nil: // in shadow, where even a refusal may change no answer
	case !s.keep(func(c *compiled) bool { return c.folder == r.folder && c.name == r.name }):
		s.keep(func(c *compiled) bool { return c.folder == r.folder })
		for _, old := range s.previous.refused {
			if old.folder == r.folder && !s.names[old.name] {
				s.deny(old)
			}
		}
	}
	s.reported = append(s.reported, Refused{Name: r.name, File: r.file, Denied: denied})
}

// keep takes over documents whose names are not in force.
func (s *settlement) keep(chosen func(*compiled) bool) (found bool) {
	for _, c := range s.previous.documents {
		if !chosen(c) {
			continue
		}
		found = true
		if !s.names[c.name] {
			s.names[c.name] = true
			s.documents = append(s.documents, c)
		}
	}
	return found
}

func (s *settlement) deny(r refusal) {
	if !slices.ContainsFunc(s.refusals, r.same) {
		s.refusals = append(s.refusals, r)
	}
}

func (r refusal) same(o refusal) bool { return r.folder == o.folder && r.name == o.name }

func (s *Set) refuses(r refusal) bool { return slices.ContainsFunc(s.refused, r.same) }

// generation is that of the folders where all of them is in force; otherwise it
// tells the documents that are.
func (s *settlement) generation() string {
	if len(s.reported) == 0 {
		return s.wanted
	}
	sum := sha256.New()
	for _, c := range s.documents {
		fmt.Fprintf(sum, "%s\x00%x", c.name, c.content)
	}
	for _, r := range s.refusals {
		fmt.Fprintf(sum, "\x00%s", r.name)
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
	if len(r.scopes) == 0 {
		r.scopes = s.folder.scopes
	}
	return r
}
