// Package xfcc reads x-forwarded-client-cert, in which Envoy says whose
// certificate it saw: elements joined by ",", one for each proxy on the way,
// each of pairs KEY=VALUE joined by ";", values in double quotes where needed.
//
// Only the last element is our own proxy's word; whatever stands before it was
// written by the caller. A text that is not exactly of this form is refused as a
// whole: an open quote before the last element must not swallow it.
package xfcc

import (
	"errors"
	"strings"
)

// Header is the header's name, as HTTP/2 and gRPC metadata write it.
const Header = "x-forwarded-client-cert"

var (
	// ErrMalformed says that the header is not of Envoy's form.
	ErrMalformed = errors.New(Header + " is malformed")
	// ErrNoURI says that the last element does not hold exactly one URI, the
	// peer's SPIFFE id.
	ErrNoURI = errors.New(Header + " does not end in an element with one URI")
)

// Caller gives the URI of the last element: the SPIFFE id of the peer of the
// proxy in front of us.
func Caller(header string) (string, error) {
	var uris []string // of the element that is read
	for rest := header; ; {
		key, value, end, after, err := pair(rest)
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
				return "", ErrNoURI
			}
			return uris[0], nil
		}
		rest = after
	}
}

// pair reads KEY=VALUE and what ends it: ';', ',' or, at the end of the text, 0.
func pair(text string) (key, value string, end byte, after string, err error) {
	key, rest, found := strings.Cut(text, "=")
	if !found || !isKey(key) {
		return "", "", 0, "", ErrMalformed
	}
	if quoted, ok := strings.CutPrefix(rest, `"`); ok {
		value, rest, err = unquote(quoted)
	} else {
		value, rest, err = plain(rest)
	}
	if err != nil || rest == "" {
		return key, value, 0, "", err
	}
	if end = rest[0]; end != ';' && end != ',' {
		return "", "", 0, "", ErrMalformed
	}
	return key, value, end, rest[1:], nil
}

// isKey takes keys that this package does not know: Envoy adds some over time.
func isKey(key string) bool {
	foreign := func(r rune) bool { return !('A' <= r && r <= 'Z' || 'a' <= r && r <= 'z') }
	return key != "" && !strings.ContainsFunc(key, foreign)
}

// plain reads a value without quotes; Envoy quotes what holds one of ,;=".
func plain(text string) (value, rest string, err error) {
	end := strings.IndexAny(text, ";,")
	if end < 0 {
		end = len(text)
	}
	if strings.ContainsAny(text[:end], `="\`) {
		return "", "", ErrMalformed
	}
	return text[:end], text[end:], nil
}

// unquote reads up to the closing quote. A backslash takes the next character
// as it is, as in the distinguished names (RFC 4514) that stand in quotes.
func unquote(text string) (value, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return b.String(), text[i+1:], nil
		case '\\':
			if i++; i == len(text) {
				return "", "", ErrMalformed
			}
		}
		b.WriteByte(text[i])
	}
	return "", "", ErrMalformed
}
