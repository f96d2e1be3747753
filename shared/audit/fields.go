package audit

import (
	"encoding/hex"
	"slices"
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
	MaxInput     = 4096 // each text among the inputs
	MaxDetail    = 1024
)

// BoundInputs leaves out the inputs that are too long to keep, and names them: the
// decision can then not be made again, which is better than to make another one
// from a part.
func BoundInputs(inputs map[string]any) (kept map[string]any, unrecorded []string) {
	for name, value := range inputs {
		if text, ok := value.(string); ok && len(text) > MaxInput {
			delete(inputs, name)
			unrecorded = append(unrecorded, name)
		}
	}
	slices.Sort(unrecorded)
	return inputs, unrecorded
}

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

// ParseTraceID takes the second field of traceparent (W3C Trace Context, section
// 3.2.2), if the header is one.
func ParseTraceID(traceparent string) string {
	fields := strings.Split(traceparent, "-")
	if len(fields) < 4 || len(fields[1]) != 32 || strings.Trim(fields[1], "0") == "" {
		return ""
	}
	if _, err := hex.DecodeString(fields[1]); err != nil {
		return ""
	}
	return fields[1]
}
