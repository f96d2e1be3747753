// Package pathbox subtracts path patterns from each other and writes what is left as regular expressions without lookahead, which Tyk's
// engine does not have. A box is a pattern whose free segments may exclude texts: /orders/{not "admin"}/**.
package pathbox

import (
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/policy/path"
)

// segment is a literal, or any text except some.
type segment struct {
	literal  string
	free     bool
	except   []string // of a free segment; sorted
	mayEmpty bool     // a free segment at the end of a path may be empty
}

// Box is a set of paths, by their decoded segments. An open box has all longer paths too.
type Box struct {
	segments []segment
	open     bool
}

// Every is the box of all paths.
func Every() Box { return Box{open: true} }

// Of makes a box of a pattern.
func Of(p path.Pattern) Box {
	b := Box{open: p.Open}
	for _, s := range p.Segments {
		b.segments = append(b.segments, segment{literal: s.Literal, free: s.Capture != ""})
	}
	return b
}

// OfAll makes boxes of the paths of a rule. No paths are every path.
func OfAll(patterns []path.Pattern) (all []Box) {
	if len(patterns) == 0 {
		return []Box{Every()}
	}
	for _, p := range patterns {
		all = append(all, Of(p))
	}
	return all
}

// Subtract gives boxes that have the paths of all, without those of others.
func Subtract(all, others []Box) []Box {
	for _, other := range others {
		var left []Box
		for _, b := range all {
			left = append(left, b.minus(other)...)
		}
		all = left
	}
	return all
}

// minus is a list of boxes without common paths.
func (b Box) minus(o Box) (left []Box) {
	n, m := len(b.segments), len(o.segments)
	switch {
	case !b.open && !o.open && n != m, !b.open && o.open && n <= m:
		return []Box{b}
	case b.open && !o.open && m <= n:
		return []Box{b}
	case b.open && m > n: // take the lengths that o may have apart
		for length := n + 1; length <= m; length++ {
			closed := b.extend(length)
			closed.open = false
			closed.segments[length-1].mayEmpty = true
			if length == m && !o.open {
				left = append(left, closed.minus(o)...)
			} else {
				left = append(left, closed)
			}
		}
		longer := b.extend(m)
		if !o.open {
			return append(left, longer)
		}
		return append(left, longer.minus(o)...)
	}
	before := slices.Clone(b.segments)
	for i := range min(n, m) {
		for _, s := range before[i].minus(o.segments[i]) {
			part := Box{segments: slices.Clone(before), open: b.open}
			part.segments[i] = s
			left = append(left, part)
		}
		common, some := before[i].and(o.segments[i])
		if !some {
			return left
		}
		before[i] = common
	}
	return left
}

// extend gives the paths of an open box that have more segments than this many.
func (b Box) extend(segments int) Box {
	longer := Box{segments: slices.Clone(b.segments), open: true}
	for len(longer.segments) < segments {
		longer.segments = append(longer.segments, segment{free: true})
	}
	return longer
}

func (s segment) has(text string) bool {
	if !s.free {
		return s.literal == text
	}
	return !slices.Contains(s.except, text) && (text != "" || s.mayEmpty)
}

func (s segment) minus(o segment) []segment {
	switch {
	case !s.free && o.has(s.literal):
		return nil
	case !s.free:
		return []segment{s}
	case !o.free:
		return []segment{s.without(o.literal)}
	}
	var left []segment
	for _, text := range o.except {
		if s.has(text) {
			left = append(left, segment{literal: text})
		}
	}
	if s.mayEmpty && !o.mayEmpty {
		left = append(left, segment{literal: ""})
	}
	return left
}

func (s segment) without(text string) segment {
	if text == "" {
		s.mayEmpty = false
		return s
	}
	if !slices.Contains(s.except, text) {
		s.except = append(slices.Clone(s.except), text)
		slices.Sort(s.except)
	}
	return s
}

func (s segment) and(o segment) (segment, bool) {
	switch {
	case !s.free:
		return s, o.has(s.literal)
	case !o.free:
		return o, s.has(o.literal)
	}
	for _, text := range o.except {
		s = s.without(text)
	}
	s.mayEmpty = s.mayEmpty && o.mayEmpty
	return s, true
}

// Has reports whether a path, by its decoded segments, is in the box.
func (b Box) Has(segments []string) bool {
	if len(segments) < len(b.segments) || len(segments) > len(b.segments) != b.open {
		return false
	}
	for i, s := range b.segments {
		if !s.has(segments[i]) {
			return false
		}
	}
	return true
}

// Rest is the set of what follows a text in the paths of a box.
type Rest struct {
	Box
	some bool // an open rest without segments is not empty
}

// Behind gives the rests of the paths that begin with a text, which ends with a slash; false: no path does.
func (b Box) Behind(prefix string) (Rest, bool) {
	parts := strings.Split(strings.Trim(prefix, "/"), "/")
	if prefix == "/" {
		parts = nil
	}
	for i, part := range parts {
		if i >= len(b.segments) {
			break
		}
		if !b.segments[i].has(part) || part == "" {
			return Rest{}, false
		}
	}
	if len(b.segments) <= len(parts) {
		return Rest{Box: Box{open: true}}, b.open
	}
	return Rest{Box: Box{segments: b.segments[len(parts):], open: b.open}}, true
}

// WithoutEmpty leaves the empty rest out; false: it is the only one.
func (r Rest) WithoutEmpty() (Rest, bool) {
	if r.open || len(r.segments) != 1 {
		r.some = true
		return r, true
	}
	only := r.segments[0]
	if !only.free {
		return r, only.literal != ""
	}
	only.mayEmpty = false
	r.segments = []segment{only}
	return r, true
}

// Expression is a regular expression for the rests, without anchors. It has no braces and no "/*", which Tyk rewrites. If it is not a plain text,
// it is no text of a path that a hop allows, because of a question mark or a backslash: Tyk compares the texts of expression and path too.
func (r Rest) Expression() string {
	var parts []string
	for _, s := range r.segments {
		parts = append(parts, s.expression())
	}
	switch {
	case !r.open:
		return strings.Join(parts, "/")
	case len(parts) == 0 && r.some:
		return ".+"
	case len(parts) == 0:
		return ".*"
	}
	return strings.Join(parts, "/") + "/.*"
}

func (s segment) expression() string {
	switch {
	case !s.free:
		return regexp.QuoteMeta(s.literal)
	case len(s.except) == 0 && s.mayEmpty:
		return "(?:[^/]*)"
	case len(s.except) == 0:
		return "(?:[^/]+)"
	case s.mayEmpty:
		return exceptExpression(s.except)
	}
	return exceptExpression(append([]string{""}, s.except...))
}

// exceptExpression matches every text without a slash but the words.
func exceptExpression(words []string) string {
	byFirst := map[rune][]string{}
	var letters []rune
	hasEmpty := false
	for _, word := range words {
		if word == "" {
			hasEmpty = true
			continue
		}
		first := []rune(word)[0]
		if byFirst[first] == nil {
			letters = append(letters, first)
		}
		byFirst[first] = append(byFirst[first], strings.TrimPrefix(word, string(first)))
	}
	if len(letters) == 0 {
		return "[^/]+" // only the empty word is left out
	}
	slices.Sort(letters)
	class := ""
	for _, r := range letters {
		class += quoteInClass(r)
	}
	text := "(?:[^/" + class + "][^/]*"
	for _, r := range letters {
		text += "|" + regexp.QuoteMeta(string(r)) + exceptExpression(byFirst[r])
	}
	text += ")"
	if !hasEmpty {
		text += "?"
	}
	return text
}

func quoteInClass(r rune) string {
	if strings.ContainsRune(`\]^-[`, r) {
		return `\` + string(r)
	}
	return string(r)
}

// Simplify leaves boxes out that another box contains.
func Simplify(all []Box) (left []Box) {
	for i, b := range all {
		contained := false
		for j, other := range all {
			if i == j || len(Subtract([]Box{b}, []Box{other})) > 0 {
				continue
			}
			// Of two equal boxes the first one stays.
			contained = contained || j < i || len(Subtract([]Box{other}, []Box{b})) > 0
		}
		if !contained {
			left = append(left, b)
		}
	}
	return left
}
