package policy

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// escapes is a set of those escapes that make a path ambiguous and that a rule
// may yet admit in its captures (to.allowEncoded).
type escapes uint8

const (
	escapedSlash escapes = 1 << iota
	escapedBackslash
	escapedPercent
	escapedSemicolon
	escapedQuestionMark
	escapedHash
)

var admissible = map[string]escapes{
	"%2F": escapedSlash, "%5C": escapedBackslash, "%25": escapedPercent,
	"%3B": escapedSemicolon, "%3F": escapedQuestionMark, "%23": escapedHash,
}

func parseEscape(text string) (escapes, error) {
	e, ok := admissible[strings.ToUpper(text)]
	if !ok {
		return 0, fmt.Errorf("escape %q: want %%2F, %%5C, %%25, %%3B, %%3F or %%23", text)
	}
	return e, nil
}

// oddity is a segment of a path that is ambiguous by such escapes.
type oddity struct {
	index   int
	escapes escapes
}

var errNotAdmitted = errors.New("an escape that no rule admits")

// oddities gives the segments that are ambiguous, where nothing else is wrong with
// the path than escapes that some rule admits.
func oddities(path string, admitted escapes) ([]oddity, error) {
	if admitted == 0 {
		return nil, errNotAdmitted
	}
	var found []oddity
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		plain, escapes := withoutEscapes(segment)
		if escapes&^admitted != 0 {
			return nil, errNotAdmitted
		}
		if escapes != 0 {
			if err := checkOdd(segment); err != nil {
				return nil, err
			}
			segments[i] = plain
			found = append(found, oddity{index: i - 1, escapes: escapes})
		}
	}
	return found, CheckPath(strings.Join(segments, "/"))
}

// withoutEscapes puts a letter for each admissible escape.
func withoutEscapes(segment string) (plain string, found escapes) {
	for text, escape := range admissible {
		for _, spelling := range []string{text, strings.ToLower(text)} {
			if strings.Contains(segment, spelling) {
				segment, found = strings.ReplaceAll(segment, spelling, "x"), found|escape
			}
		}
	}
	return segment, found
}

// checkOdd refuses what could climb out of its segment, or change its meaning
// again when it is decoded a second time: then no part of the path before it
// would be certain either.
func checkOdd(segment string) error {
	text, err := url.PathUnescape(segment)
	if err != nil || !utf8.ValidString(text) {
		return errors.New("escapes that are not UTF-8")
	}
	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(separators, r) })
	if slices.ContainsFunc(parts, isDots) {
		return errors.New("dot segments in an escaped form")
	}
	for i := range text {
		if text[i] == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]) {
			return errors.New("an escape within an escape")
		}
	}
	return nil
}

// oddPath compares a path that servers may read in two ways. An allow rule must
// admit each odd segment in a capture. For a deny rule the segments before the
// first odd one are certain and whatever follows could be anything, so a rule
// that reaches that far cannot be decided, and denies.
func (e entry) oddPath(s *subject) verdict {
	switch {
	case e.pattern == nil:
		return verdictOf(e.kind.denies())
	case e.pattern.match(s.segments) && e.admitsAll(s.odd):
		return yes
	case e.kind.denies():
		return e.pattern.before(s.segments, s.odd[0].index)
	}
	return no
}

func (e entry) admitsAll(odd []oddity) bool {
	for _, o := range odd {
		if o.index >= len(e.pattern.segments) || e.pattern.segments[o.index].capture == "" || o.escapes&^e.admitted != 0 {
			return false
		}
	}
	return true
}

// before compares only what is certain: the segments before the index.
func (p *pattern) before(segments []string, certain int) verdict {
	for i, s := range p.segments[:min(certain, len(p.segments))] {
		if !s.match(segments[i]) {
			return no
		}
	}
	if len(p.segments) > certain {
		return undecided
	}
	return verdictOf(p.open)
}
