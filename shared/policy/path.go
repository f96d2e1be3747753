package policy

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckPath refuses paths that a proxy and a server may read in two ways, and
// paths that are none. It takes the path as Envoy sends it, without the query,
// and neither parses it as a URL nor decodes it.
func CheckPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return errors.New("does not begin with a slash")
	}
	if err := checkBytes(path); err != nil {
		return err
	}
	for rest, more := path[1:], true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if segment == "" && more || isDots(segment) {
			return errors.New("a segment that is empty, . or ..")
		}
		if !strings.Contains(segment, "%") {
			continue
		}
		// An overlong encoding of a slash is a slash to a careless decoder.
		decoded, err := url.PathUnescape(segment)
		if err != nil || !utf8.ValidString(decoded) {
			return errors.New("escapes that are not UTF-8")
		}
		if err := checkDecoded(decoded); err != nil {
			return err
		}
	}
	return nil
}

// checkDecoded refuses what an upstream may take for another text once it has decoded a segment:
// dots that climb, spaces that it trims (CVE-2016-5007), and control characters, of which some count
// as spaces (U+0085).
func checkDecoded(segment string) error {
	switch {
	case isDots(segment):
		return errors.New("a segment that is empty, . or ..")
	case strings.HasPrefix(segment, " ") || strings.HasSuffix(segment, " "):
		return errors.New("a space at the beginning or end of a segment")
	case strings.ContainsFunc(segment, unicode.IsControl):
		return errors.New("the escape of a control character")
	}
	return nil
}

// isDots reports a dot segment, with or without spaces around it.
func isDots(segment string) bool {
	segment = strings.Trim(segment, " ")
	return segment == "." || segment == ".."
}

func checkBytes(path string) error {
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '%':
			if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
				return errors.New("a percent sign without two hexadecimal digits")
			}
			if decoded := unhex(path[i+1])<<4 | unhex(path[i+2]); !mayBeEscaped(decoded) {
				return fmt.Errorf("the escape %q", path[i:i+3])
			}
			i += 2
		case c != '/' && !isPathCharacter(c):
			return fmt.Errorf("the byte %q", c)
		}
	}
	return nil
}

// mayBeEscaped excludes what has another spelling or another meaning when it is
// decoded: separators, the percent sign itself, controls, unreserved characters, and
// the characters at which a server that decodes first cuts a path afterwards.
func mayBeEscaped(c byte) bool {
	return c >= 0x20 && c != 0x7f && strings.IndexByte(separators, c) < 0 && !isUnreserved(c)
}

// separators divide a path or end it, once they are decoded: "/" and "\\" between segments, "%"
// before an escape, ";" before parameters (Servlet 6.0 section 3.5), "?" and "#" before query and
// fragment (RFC 3986 section 3).
const separators = "/\\%;?#"

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// isPathCharacter is pchar of RFC 3986 section 3.3 without "%", and without ";",
// which some servers cut off as a parameter.
func isPathCharacter(c byte) bool {
	return isUnreserved(c) || strings.IndexByte("!$&'()*+,=:@", c) >= 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// pattern is a compiled path: literal segments, {name} captures, and perhaps
// "/**" at the end.
type pattern struct {
	text     string
	segments []segment
	open     bool // ends in /**
}

type segment struct{ literal, capture string }

var captureForm = regexp.MustCompile(`^\{([a-z][a-z0-9_]*)\}$`)

func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
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
		p.open, parts = true, parts[:len(parts)-1]
	}
	for i, part := range parts {
		s, err := parseSegment(part, i == len(parts)-1 && !p.open)
		if err != nil {
			return p, err
		}
		if s.capture != "" && slices.Contains(p.captures(), s.capture) {
			return p, fmt.Errorf("{%s} stands twice", s.capture)
		}
		p.segments = append(p.segments, s)
	}
	return p, nil
}

func parseSegment(part string, last bool) (segment, error) {
	if m := captureForm.FindStringSubmatch(part); m != nil {
		return segment{capture: m[1]}, nil
	}
	if part == "" && last { // a trailing slash, or the root
		return segment{}, nil
	}
	if strings.ContainsAny(part, "{}*") {
		return segment{}, fmt.Errorf("segment %q: want a literal, {name} for one segment, or ** at the end", part)
	}
	if decoded, err := url.PathUnescape(part); err == nil && decoded != part && checkLiteral(decoded) == nil {
		return segment{}, fmt.Errorf("segment %q: write %q, paths compare when they are decoded", part, decoded)
	}
	if err := checkLiteral(part); err != nil {
		return segment{}, fmt.Errorf("segment %q can never be in a path that is not ambiguous: %w", part, err)
	}
	return segment{literal: part}, nil
}

// checkLiteral wants what a segment of a path can be when it is decoded.
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

func (p pattern) captures() []string {
	var names []string
	for _, s := range p.segments {
		if s.capture != "" {
			names = append(names, s.capture)
		}
	}
	return names
}

func (s segment) match(text string) bool {
	if s.capture != "" {
		return text != ""
	}
	return s.literal == text
}

// match compares with the decoded segments of a path. "/a/**"
// takes "/a/" and all below it, not "/a".
func (p *pattern) match(segments []string) bool {
	if len(segments) < len(p.segments) || len(segments) > len(p.segments) != p.open {
		return false
	}
	for i, s := range p.segments {
		if !s.match(segments[i]) {
			return false
		}
	}
	return true
}

// bind gives the captured segments of a path that matches.
func (p *pattern) bind(segments []string) map[string]string {
	bound := map[string]string{}
	for i, s := range p.segments {
		if s.capture != "" {
			bound[s.capture] = segments[i]
		}
	}
	return bound
}
