package path

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Pattern is a compiled path of a rule: literal segments, {name} captures, and perhaps
// "/**" at the end.
type Pattern struct {
	Segments []Segment
	Open     bool // ends in /**
	text     string
}

// Segment is a literal, or a capture that takes any text but the empty one.
type Segment struct{ Literal, Capture string }

// String is the pattern as the document writes it.
func (p Pattern) String() string { return p.text }

var captureForm = regexp.MustCompile(`^\{([a-z][a-z0-9_]*)\}$`)

// IsCaptureName reports whether {name} is a capture.
func IsCaptureName(name string) bool { return captureForm.MatchString("{" + name + "}") }

// ParsePattern reads a path of a rule. The error explains what to write.
func ParsePattern(text string) (Pattern, error) {
	p := Pattern{text: text}
	body, ok := strings.CutPrefix(text, "/")
	_, rest, isURL := strings.Cut(text, "://")
	before, query, hasQuery := strings.Cut(text, "?")
	switch {
	case isURL:
		_, rest, _ = strings.Cut(rest, "/")
		return p, fmt.Errorf("write the path alone, /%s, and the host under hosts", rest)
	case !ok:
		return p, fmt.Errorf("begin it with a slash: /%s", text)
	case hasQuery:
		return p, fmt.Errorf("paths are compared without the query: write %s, without ?%s", before, query)
	}
	parts := strings.Split(body, "/")
	if parts[len(parts)-1] == "**" {
		p.Open, parts = true, parts[:len(parts)-1]
	}
	for i, part := range parts {
		s, err := parseSegment(part, i == len(parts)-1 && !p.Open)
		if err != nil {
			return p, err
		}
		if s.Capture != "" && slices.Contains(p.Captures(), s.Capture) {
			return p, fmt.Errorf("{%s} is used twice", s.Capture)
		}
		p.Segments = append(p.Segments, s)
	}
	return p, nil
}

func parseSegment(part string, last bool) (Segment, error) {
	if m := captureForm.FindStringSubmatch(part); m != nil {
		return Segment{Capture: m[1]}, nil
	}
	if part == "" && last { // a trailing slash, or the root
		return Segment{}, nil
	}
	if strings.ContainsAny(part, "{}*") {
		return Segment{}, fmt.Errorf("segment %q: want a literal, {name} for one segment, or ** at the end", part)
	}
	if decoded, err := url.PathUnescape(part); err == nil && decoded != part && checkLiteral(decoded) == nil {
		return Segment{}, fmt.Errorf("segment %q: write %q, paths are compared in decoded form", part, decoded)
	}
	if err := checkLiteral(part); err != nil {
		return Segment{}, fmt.Errorf("segment %q cannot be in an unambiguous path: %w", part, err)
	}
	return Segment{Literal: part}, nil
}

// checkLiteral rejects what a segment of a path cannot be when it is decoded.
func checkLiteral(text string) error {
	if text == "" {
		return errors.New("a segment that is empty, . or ..")
	}
	if i := strings.IndexAny(text, separators); i >= 0 {
		return fmt.Errorf("the byte %q", text[i])
	}
	if !utf8.ValidString(text) {
		return errors.New("text that is not UTF-8")
	}
	return checkDecoded(text)
}

// Captures lists the names of the captures.
func (p Pattern) Captures() []string {
	var names []string
	for _, s := range p.Segments {
		if s.Capture != "" {
			names = append(names, s.Capture)
		}
	}
	return names
}

func (s Segment) match(text string) bool {
	if s.Capture != "" {
		return text != ""
	}
	return s.Literal == text
}

// Match compares the pattern with the decoded segments of a path. "/a/**" matches "/a/"
// and every path below it, and not "/a".
func (p *Pattern) Match(segments []string) bool {
	if len(segments) < len(p.Segments) || len(segments) > len(p.Segments) != p.Open {
		return false
	}
	for i, s := range p.Segments {
		if !s.match(segments[i]) {
			return false
		}
	}
	return true
}

// MatchBefore compares only the first n segments of a path, as the others could be
// anything. If these do not decide whether the pattern matches, it is not certain.
func (p *Pattern) MatchBefore(segments []string, n int) (matched, certain bool) {
	for i, s := range p.Segments[:min(n, len(p.Segments))] {
		if !s.match(segments[i]) {
			return false, true
		}
	}
	if len(p.Segments) > n {
		return false, false
	}
	return p.Open, true
}

// AdmitsEscapes reports whether each ambiguous segment is in a capture, and holds no
// other escapes than those that are admitted.
func (p *Pattern) AdmitsEscapes(ambiguous []AmbiguousSegment, admitted Escapes) bool {
	for _, a := range ambiguous {
		if a.Index >= len(p.Segments) || p.Segments[a.Index].Capture == "" || a.Escapes&^admitted != 0 {
			return false
		}
	}
	return true
}

// Capture gives the captured segments of a path that matches, by name.
func (p *Pattern) Capture(segments []string) map[string]string {
	captured := map[string]string{}
	p.CaptureInto(captured, segments)
	return captured
}

// CaptureInto is [Pattern.Capture] into a map that is empty.
func (p *Pattern) CaptureInto(captured map[string]string, segments []string) {
	for i, s := range p.Segments {
		if s.Capture != "" {
			captured[s.Capture] = segments[i]
		}
	}
}

// LiteralPrefix gives the literal segments before the first capture.
func (p Pattern) LiteralPrefix() []string {
	var all []string
	for _, s := range p.Segments {
		if s.Capture != "" {
			break
		}
		all = append(all, s.Literal)
	}
	return all
}

// Covers reports whether every path that matches q matches p.
func (p Pattern) Covers(q Pattern) bool {
	if len(q.Segments) < len(p.Segments) || !p.Open && (q.Open || len(q.Segments) != len(p.Segments)) {
		return false
	}
	if p.Open && !q.Open && len(q.Segments) == len(p.Segments) {
		return false
	}
	for i, s := range p.Segments {
		other := q.Segments[i]
		if s.Capture == "" && (other.Capture != "" || other.Literal != s.Literal) || s.Capture != "" && other.Capture == "" && other.Literal == "" {
			return false
		}
	}
	return true
}

// Overlaps is false where no path matches both.
func (p Pattern) Overlaps(q Pattern) bool {
	if !p.Open && len(q.Segments) > len(p.Segments) || !q.Open && len(p.Segments) > len(q.Segments) || !p.Open && !q.Open && len(p.Segments) != len(q.Segments) {
		return false
	}
	for i := range min(len(p.Segments), len(q.Segments)) {
		a, b := p.Segments[i], q.Segments[i]
		if a.Capture == "" && b.Capture == "" && a.Literal != b.Literal || a.Capture != "" && b.Capture == "" && b.Literal == "" || b.Capture != "" && a.Capture == "" && a.Literal == "" {
			return false
		}
	}
	return true
}

// SlashTwin is /admin/ for /admin, and the other way round. It is nil for patterns
// that are open, for / and for names of files, such as /robots.txt.
func (p Pattern) SlashTwin() *Pattern {
	if p.Open || p.text == "/" || strings.Contains(p.Segments[len(p.Segments)-1].Literal, ".") {
		return nil
	}
	text, hasSlash := strings.CutSuffix(p.text, "/")
	if !hasSlash {
		text += "/"
	}
	twin, err := ParsePattern(text)
	if err != nil {
		return nil
	}
	return &twin
}

// Parent is the path above an open pattern: /admin for /admin/**. It is nil for
// patterns that are not open, and for /**.
func (p Pattern) Parent() *Pattern {
	if !p.Open || len(p.Segments) == 0 {
		return nil
	}
	return &Pattern{text: strings.TrimSuffix(p.text, "/**"), Segments: p.Segments}
}
