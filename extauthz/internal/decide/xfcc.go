package decide

import (
	"errors"
	"strings"
)

// XFCCHeader is x-forwarded-client-cert as HTTP/2 and gRPC metadata write it. In it
// Envoy lists the certificates that it saw: elements joined by ",", one for each proxy
// on the way, each of them pairs KEY=VALUE joined by ";", with double quotes around a
// value that needs them.
const XFCCHeader = "x-forwarded-client-cert"

var (
	// ErrXFCCMalformed is the error for a header that is not of Envoy's form.
	ErrXFCCMalformed = errors.New(XFCCHeader + " is malformed")
	// ErrXFCCWithoutURI is the error for a last element without exactly one URI, the
	// peer's SPIFFE id.
	ErrXFCCWithoutURI = errors.New(XFCCHeader + " does not end in an element with one URI")
)

// LastURIOfXFCC gives the URI of the last element: the SPIFFE id of the peer of the
// proxy in front of us.
//
// Only the last element is written by our own proxy. All elements before it are written
// by the caller. A text that is not exactly of Envoy's form is rejected as a whole: an
// open quote before the last element must not swallow that element.
func LastURIOfXFCC(header string) (string, error) {
	var uris []string // of the current element
	for rest := header; ; {
		key, value, end, after, err := readPair(rest)
		if err != nil {
			return "", err
		}
		if key == "URI" {
			uris = append(uris, value)
		}
		switch end {
		case ',':
			uris = nil
		case 0:
			if len(uris) != 1 || uris[0] == "" {
				return "", ErrXFCCWithoutURI
			}
			return uris[0], nil
		}
		rest = after
	}
}

// readPair reads KEY=VALUE and the byte that ends it: ';', ',' or, at the end of the
// text, 0.
func readPair(text string) (key, value string, end byte, after string, err error) {
	key, rest, found := strings.Cut(text, "=")
	if !found || !isXFCCKey(key) {
		return "", "", 0, "", ErrXFCCMalformed
	}
	if quoted, ok := strings.CutPrefix(rest, `"`); ok {
		value, rest, err = readQuoted(quoted)
	} else {
		value, rest, err = readUnquoted(rest)
	}
	if err != nil || rest == "" {
		return key, value, 0, "", err
	}
	if end = rest[0]; end != ';' && end != ',' {
		return "", "", 0, "", ErrXFCCMalformed
	}
	return key, value, end, rest[1:], nil
}

// isXFCCKey accepts unknown keys too: Envoy adds some over time.
func isXFCCKey(key string) bool {
	isNoLetter := func(r rune) bool { return !('A' <= r && r <= 'Z' || 'a' <= r && r <= 'z') }
	return key != "" && !strings.ContainsFunc(key, isNoLetter)
}

// readUnquoted reads a value without quotes. Envoy quotes a value with one of ,;=".
func readUnquoted(text string) (value, rest string, err error) {
	end := strings.IndexAny(text, ";,")
	if end < 0 {
		end = len(text)
	}
	if strings.ContainsAny(text[:end], `="\`) {
		return "", "", ErrXFCCMalformed
	}
	return text[:end], text[end:], nil
}

// readQuoted reads up to the closing quote. A backslash escapes the next character, as
// in the distinguished names (RFC 4514) that are quoted.
func readQuoted(text string) (value, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return b.String(), text[i+1:], nil
		case '\\':
			if i++; i == len(text) {
				return "", "", ErrXFCCMalformed
			}
		}
		b.WriteByte(text[i])
	}
	return "", "", ErrXFCCMalformed
}
