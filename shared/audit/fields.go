package audit

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// Bounds, in bytes, of what a client chooses. Honest values are far shorter.
const (
	MaxMethod    = 32
	MaxPath      = 2048
	MaxHost      = 256
	MaxWorkload  = 512
	MaxRequestID = 128
)

// Clip ends a text that is too long in "…", so that a request cannot fill the
// audit trail, and the record shows that something is missing.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	cut := most - len("…")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// TraceID takes the second field of traceparent (W3C Trace Context, section
// 3.2.2), if the header is one.
func TraceID(traceparent string) string {
	fields := strings.Split(traceparent, "-")
	if len(fields) < 4 || len(fields[1]) != 32 || strings.Trim(fields[1], "0") == "" {
		return ""
	}
	if _, err := hex.DecodeString(fields[1]); err != nil {
		return ""
	}
	return fields[1]
}
