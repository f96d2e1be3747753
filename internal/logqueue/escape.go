package logqueue

import (
	"fmt"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// EscapeJSON replaces, in valid JSON, all characters that control a terminal or an editor
// instead of being shown: controls (Cc), formats such as those that change the direction of
// text (Cf), and separators of lines and paragraphs (Zl, Zp). Valid JSON has them in strings
// only, where \u means the same.
func EscapeJSON(text []byte) []byte { return escapeRunes(text, isHidden) }

// escapeText keeps newlines and tabs.
func escapeText(text []byte) []byte {
	return escapeRunes(text, func(r rune) bool { return r != '\n' && r != '\t' && isHidden(r) })
}

func escapeRunes(text []byte, hidden func(rune) bool) []byte {
	at := indexHidden(text, hidden)
	if at < 0 {
		return text
	}
	escaped := append(make([]byte, 0, len(text)+64), text[:at]...)
	for at < len(text) {
		r, size := utf8.DecodeRune(text[at:])
		switch {
		case !hidden(r):
			escaped = append(escaped, text[at:at+size]...)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
		at += size
	}
	return escaped
}

// indexHidden returns the index of the first character to replace, or -1.
func indexHidden(text []byte, hidden func(rune) bool) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if hidden(r) {
			return at
		}
		at += size
	}
	return -1
}

func isHidden(r rune) bool {
	if r < utf8.RuneSelf { // nearly all of them
		return r < ' ' || r == 0x7f
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
