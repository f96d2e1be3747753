package strictjson

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// lostCharacter is U+FFFD. In valid UTF-8, a search for the text is faster than one for the
// rune.
const lostCharacter = "\uFFFD"

// maxNesting is how deep lists and objects are read at all. As for encoding/json, a text
// that is nested deeper is not JSON.
const maxNesting = 10_000

// fewMembers is the most members of an object whose names are compared each with each.
const fewMembers = 16

// scanner reads the grammar of RFC 8259, and adds each value to the document. It does not
// call itself, so that nested lists take no stack.
type scanner struct {
	text     string
	at       int // the next byte
	document *Document
}

// readDocument reads one value. It reports whether that is JSON.
func (s *scanner) readDocument() bool {
	open := int32(noParent) // the innermost list or object that is not closed yet
	depth := 0              // the number of those
	var name memberName
	for ok := true; ok; name, ok = s.readName(open) {
		at := s.document.addNode(open, name)
		if !s.readValue(at) {
			return false
		}
		if k := s.document.nodes[at].kind; k == list || k == object {
			if depth >= maxDepth {
				s.document.addFault(at, tooDeep)
			}
			if depth++; depth > maxNesting {
				return false
			}
			open = at
			if s.skipSpace(); !s.isNext(closingByte(k)) {
				continue // with the first entry
			}
		}
		for open != noParent && s.takeClosing(open) {
			open = s.document.closeNode(open)
			depth--
		}
		if open == noParent {
			return true
		}
		if !s.takeByte(',') {
			return false
		}
	}
	return false
}

// memberName is empty for the entries of a list.
type memberName struct {
	text  string
	fault fault
}

// readName reads the name of the next member and the colon, if open is an object.
func (s *scanner) readName(open int32) (name memberName, ok bool) {
	if s.document.nodes[open].kind != object {
		return memberName{}, true
	}
	s.skipSpace()
	if !s.takeByte('"') {
		return memberName{}, false
	}
	if name.text, name.fault, ok = s.readText(); !ok {
		return memberName{}, false
	}
	s.skipSpace()
	return name, s.takeByte(':')
}

// readValue reads a scalar, or the first byte of a list or object, into the node.
func (s *scanner) readValue(at int32) bool {
	s.skipSpace()
	if s.at == len(s.text) {
		return false
	}
	n := &s.document.nodes[at]
	switch c := s.text[s.at]; c {
	case '{':
		n.kind = object
		s.at++
		return true
	case '[':
		n.kind = list
		s.at++
		return true
	case '"':
		s.at++
		value, f, ok := s.readText()
		n.kind, n.text = text, value
		s.document.addFault(at, f)
		return ok
	case 't':
		n.kind = boolTrue
		return s.takeWord("true")
	case 'f':
		n.kind = boolFalse
		return s.takeWord("false")
	case 'n':
		n.kind = null
		return s.takeWord("null")
	}
	literal, isInteger := s.readNumber()
	if literal == "" {
		return false
	}
	s.document.setNumber(at, literal, isInteger)
	return true
}

// readText reads a text after its quotation mark.
func (s *scanner) readText() (value string, f fault, ok bool) {
	for i := s.at; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			value, s.at = s.text[s.at:i], i+1
			if s.document.loses && strings.Contains(value, lostCharacter) {
				f = lostText
			}
			return value, f, true
		case c == '\\':
			return s.readEscapedText(i)
		case c < ' ':
			return "", noFault, false
		}
	}
	return "", noFault, false
}

// readEscapedText reads a text whose first escape is at the byte first.
func (s *scanner) readEscapedText(first int) (value string, f fault, ok bool) {
	decoded := append(make([]byte, 0, 64), s.text[s.at:first]...)
	s.at = first
	for s.at < len(s.text) {
		c := s.text[s.at]
		s.at++
		switch {
		case c == '"':
			value = string(decoded)
			if strings.Contains(value, lostCharacter) {
				f = lostText
			}
			return value, f, true
		case c < ' ':
			return "", noFault, false
		case c != '\\':
			decoded = append(decoded, c)
			continue
		}
		r, ok := s.readEscape()
		if !ok {
			return "", noFault, false
		}
		decoded = utf8.AppendRune(decoded, r)
	}
	return "", noFault, false
}

// readEscape reads an escape after its backslash. Half of a surrogate pair is U+FFFD.
func (s *scanner) readEscape() (r rune, ok bool) {
	if s.at == len(s.text) {
		return 0, false
	}
	c := s.text[s.at]
	s.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		if r, ok = parseHex(s.text[s.at:]); !ok {
			return 0, false
		}
		s.at += 4
		return s.completePair(r), true
	}
	return 0, false
}

// completePair reads the second half of a surrogate pair, if r is a first one.
func (s *scanner) completePair(r rune) rune {
	if !utf16.IsSurrogate(r) {
		return r
	}
	rest, escaped := strings.CutPrefix(s.text[s.at:], `\u`)
	if second, ok := parseHex(rest); escaped && ok {
		if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
			s.at += len(`\u1234`)
			return pair
		}
	}
	return utf8.RuneError
}

// parseHex reads four hexadecimal digits.
func parseHex(digits string) (r rune, ok bool) {
	if len(digits) < 4 {
		return 0, false
	}
	for i := range 4 {
		c := digits[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// readNumber returns the text of a number; empty: there is none.
func (s *scanner) readNumber() (literal string, isInteger bool) {
	start := s.at
	s.takeByte('-')
	switch {
	case s.takeByte('0'):
	case s.skipDigits() == 0:
		return "", false
	}
	isInteger = true
	if s.takeByte('.') {
		isInteger = false
		if s.skipDigits() == 0 {
			return "", false
		}
	}
	if s.takeByte('e') || s.takeByte('E') {
		isInteger = false
		if !s.takeByte('+') {
			s.takeByte('-')
		}
		if s.skipDigits() == 0 {
			return "", false
		}
	}
	return s.text[start:s.at], isInteger
}

func (s *scanner) skipDigits() (count int) {
	start := s.at
	for s.at < len(s.text) && '0' <= s.text[s.at] && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at - start
}

func (s *scanner) skipSpace() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) isNext(c byte) bool { return s.at < len(s.text) && s.text[s.at] == c }

func (s *scanner) takeByte(c byte) bool {
	if !s.isNext(c) {
		return false
	}
	s.at++
	return true
}

func (s *scanner) takeWord(word string) bool {
	if !strings.HasPrefix(s.text[s.at:], word) {
		return false
	}
	s.at += len(word)
	return true
}

// takeClosing takes the end of a list or object, if that is next.
func (s *scanner) takeClosing(open int32) bool {
	s.skipSpace()
	return s.takeByte(closingByte(s.document.nodes[open].kind))
}

func closingByte(k kind) byte {
	if k == list {
		return ']'
	}
	return '}'
}

// addNode adds a value to the list or object parent.
func (d *Document) addNode(parent int32, name memberName) int32 {
	at := int32(len(d.nodes))
	if parent != noParent {
		d.nodes[parent].count++
	}
	d.nodes = append(d.nodes, node{parent: parent, end: at + 1, name: name.text})
	d.addFault(at, name.fault)
	return at
}

// addFault keeps the first fault of a value.
func (d *Document) addFault(at int32, f fault) {
	if f != noFault && d.nodes[at].fault == noFault {
		d.nodes[at].fault, d.faulty = f, true
	}
}

// setNumber reads integers of 64 bits as such, and other numbers as a float64.
func (d *Document) setNumber(at int32, literal string, isInteger bool) {
	n := &d.nodes[at]
	if isInteger {
		if i, err := strconv.ParseInt(literal, 10, 64); err == nil {
			n.kind, n.number = integer, uint64(i)
			return
		}
	}
	f, err := strconv.ParseFloat(literal, 64)
	n.kind, n.number = float, math.Float64bits(f)
	if err != nil {
		d.addFault(at, numberRange)
	}
}

// closeNode ends a list or object, and returns the one around it.
func (d *Document) closeNode(at int32) (parent int32) {
	n := &d.nodes[at]
	n.end = int32(len(d.nodes))
	if n.kind == object && n.count > 1 {
		d.dropDuplicates(at)
	}
	return n.parent
}

// dropDuplicates marks each member whose name occurs again later.
func (d *Document) dropDuplicates(at int32) {
	end := d.nodes[at].end
	if d.nodes[at].count > fewMembers {
		latest := make(map[string]int32, d.nodes[at].count)
		for i := at + 1; i < end; i = d.nodes[i].end {
			if earlier, twice := latest[d.nodes[i].name]; twice {
				d.nodes[earlier].dropped, d.duplicates = true, true
			}
			latest[d.nodes[i].name] = i
		}
		return
	}
	for i := at + 1; i < end; i = d.nodes[i].end {
		for other := at + 1; other < i; other = d.nodes[other].end {
			if d.nodes[other].name == d.nodes[i].name {
				d.nodes[other].dropped, d.duplicates = true, true
			}
		}
	}
}
