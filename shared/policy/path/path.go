// Package path holds the paths of requests and the patterns of rules that they are
// compared with.
//
// [Check] rejects a path that a proxy and a server may read in two ways. A rule may
// admit some escapes inside a capture all the same; [FindAmbiguous] finds the segments
// that hold them. A [Pattern] is compared with the decoded [Segments] of a path.
package path

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Check rejects paths that a proxy and a server may read in two ways, and texts that
// are no path. It takes the path as Envoy sends it, without the query, and neither
// parses it as a URL nor decodes it.
func Check(path string) error {
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

// Segments splits a path that [Check] admits, and then decodes the escapes that are
// left in it. So a rule on /a:b also holds for /a%3Ab, which a server reads as the same
// path. No escape that is left decodes to a separator or to a dot.
func Segments(path string) []string { return AppendSegments(nil, path) }

// AppendSegments appends the [Segments] of a path to a list.
func AppendSegments(list []string, path string) []string {
	escaped := strings.Contains(path, "%")
	for rest, more := strings.TrimPrefix(path, "/"), true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if escaped {
			if text, err := url.PathUnescape(segment); err == nil {
				segment = text
			}
		}
		list = append(list, segment)
	}
	return list
}

// checkDecoded rejects what an upstream may take for another text once it has decoded a segment:
// dots that climb, spaces that it trims (CVE-2016-5007), and control characters, as some of them count
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
			if decoded := hexValue(path[i+1])<<4 | hexValue(path[i+2]); !mayBeEscaped(decoded) {
				return fmt.Errorf("the escape %q", path[i:i+3])
			}
			i += 2
		case c != '/' && !isPathCharacter(c):
			return fmt.Errorf("the byte %q", c)
		}
	}
	return nil
}

// mayBeEscaped excludes the characters that have another spelling or another meaning
// when they are decoded: separators, the percent sign itself, controls, unreserved
// characters, and the characters that end a path for a server that decodes it first.
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

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}
