package path

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Escapes is a set of those escapes that make a path ambiguous and that a rule may
// admit in its captures (to.allowEncoded). The zero value admits no escape.
type Escapes uint8

const (
	escapedSlash Escapes = 1 << iota
	escapedBackslash
	escapedPercent
	escapedSemicolon
	escapedQuestionMark
	escapedHash
)

var admissible = map[string]Escapes{
	"%2F": escapedSlash, "%5C": escapedBackslash, "%25": escapedPercent,
	"%3B": escapedSemicolon, "%3F": escapedQuestionMark, "%23": escapedHash,
}

// ParseEscape reads an entry of to.allowEncoded.
func ParseEscape(text string) (Escapes, error) {
	e, ok := admissible[strings.ToUpper(text)]
	if !ok {
		return 0, fmt.Errorf("escape %q: want %%2F, %%5C, %%25, %%3B, %%3F or %%23", text)
	}
	return e, nil
}

// AmbiguousSegment is a segment of a path that such escapes make ambiguous.
type AmbiguousSegment struct {
	Index   int // among [Segments]
	Escapes Escapes
}

var errNotAdmitted = errors.New("an escape that no rule admits")

// FindAmbiguous gives the segments that are ambiguous. It returns an error if the path
// holds an escape that is not admitted, or is invalid for another reason.
func FindAmbiguous(path string, admitted Escapes) ([]AmbiguousSegment, error) {
	if admitted == 0 {
		return nil, errNotAdmitted
	}
	var found []AmbiguousSegment
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		plain, escapes := replaceEscapes(segment)
		if escapes&^admitted != 0 {
			return nil, errNotAdmitted
		}
		if escapes != 0 {
			if err := checkAmbiguous(segment); err != nil {
				return nil, err
			}
			segments[i] = plain
			found = append(found, AmbiguousSegment{Index: i - 1, Escapes: escapes})
		}
	}
	return found, Check(strings.Join(segments, "/"))
}

// replaceEscapes puts a letter for each admissible escape.
func replaceEscapes(segment string) (plain string, found Escapes) {
	for text, escape := range admissible {
		for _, spelling := range []string{text, strings.ToLower(text)} {
			if strings.Contains(segment, spelling) {
				segment, found = strings.ReplaceAll(segment, spelling, "x"), found|escape
			}
		}
	}
	return segment, found
}

// checkAmbiguous rejects a segment that could climb out of its place, or change its
// meaning again when it is decoded a second time. No part of the path before it would
// be certain then either.
func checkAmbiguous(segment string) error {
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
