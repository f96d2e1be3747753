// Package pathindex finds, among many conditions on paths, the few that one path may meet.
package pathindex

import (
	"regexp/syntax"
	"slices"
	"strings"
)

// Index has the numbers of conditions. Each is found by the segments, some with any text, and the text that its paths begin with.
type Index struct {
	next   map[string]*Index // by the next segment
	any    *Index            // the next segment does not matter
	begins map[string][]int  // by the text after the segments, which may be empty
	counts []int             // the lengths of those texts
}

// AddPrefix adds a condition that paths begin with a text. It serves exact paths too.
func (x *Index) AddPrefix(text string, number int) {
	segments := strings.Split(text, "/")
	node := x
	for _, segment := range segments[:len(segments)-1] {
		node = node.child(segment, false)
	}
	node.add(segments[len(segments)-1], number)
}

// AddPattern adds a condition by a regular expression (RE2) for the beginning of paths, or for all of them.
func (x *Index) AddPattern(pattern string, number int) {
	reader := patternReader{node: x}
	if parsed, err := syntax.Parse(pattern, syntax.Perl); err == nil {
		reader.read(parsed)
	}
	reader.node.add(reader.text.String(), number)
}

// Find gives the numbers of all conditions that a path may meet, in ascending order. Whether it meets them is to be checked.
func (x *Index) Find(path string) []int {
	var found []int
	x.find(path, &found)
	slices.Sort(found)
	return slices.Compact(found)
}

func (x *Index) find(rest string, found *[]int) {
	for _, length := range x.counts {
		if length <= len(rest) {
			*found = append(*found, x.begins[rest[:length]]...)
		}
	}
	segment, rest, more := strings.Cut(rest, "/")
	if !more {
		return
	}
	if node := x.next[segment]; node != nil {
		node.find(rest, found)
	}
	if x.any != nil {
		x.any.find(rest, found)
	}
}

func (x *Index) child(segment string, anyText bool) *Index {
	if anyText {
		if x.any == nil {
			x.any = &Index{}
		}
		return x.any
	}
	if x.next == nil {
		x.next = map[string]*Index{}
	}
	if x.next[segment] == nil {
		x.next[segment] = &Index{}
	}
	return x.next[segment]
}

func (x *Index) add(text string, number int) {
	if x.begins == nil {
		x.begins = map[string][]int{}
	}
	x.begins[text] = append(x.begins[text], number)
	if !slices.Contains(x.counts, len(text)) {
		x.counts = append(x.counts, len(text))
	}
}

// patternReader reads what all matches of an expression begin with.
type patternReader struct {
	node    *Index
	text    strings.Builder // of the segment, before a part of it that does not matter
	anyText bool            // the segment has such a part
}

// read reads a part of an expression. It reports false if nothing is known of what follows.
func (r *patternReader) read(part *syntax.Regexp) bool {
	switch part.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpBeginLine, syntax.OpEndText, syntax.OpEndLine:
		return true
	case syntax.OpCapture:
		return r.read(part.Sub[0])
	case syntax.OpConcat:
		return !slices.ContainsFunc(part.Sub, func(sub *syntax.Regexp) bool { return !r.read(sub) })
	case syntax.OpLiteral:
		for _, letter := range part.Rune {
			switch {
			case letter == '/':
				r.node = r.node.child(r.text.String(), r.anyText)
				r.text.Reset()
				r.anyText = false
			case part.Flags&syntax.FoldCase != 0:
				r.anyText = true
			case !r.anyText:
				r.text.WriteRune(letter)
			}
		}
		return true
	default:
		r.anyText = true
		return !mayHaveSlash(part)
	}
}

// mayHaveSlash reports whether a match of an expression may have a slash.
func mayHaveSlash(part *syntax.Regexp) bool {
	switch part.Op {
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpLiteral:
		return slices.Contains(part.Rune, '/')
	case syntax.OpCharClass:
		for i := 0; i < len(part.Rune); i += 2 {
			if part.Rune[i] <= '/' && '/' <= part.Rune[i+1] {
				return true
			}
		}
		return false
	default:
		return slices.ContainsFunc(part.Sub, mayHaveSlash)
	}
}
