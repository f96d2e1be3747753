package audit

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits, in bytes, of the fields that a client chooses. Honest values are far shorter.
const (
	MaxMethod    = 32
	MaxPath      = 2048
	MaxHost      = 256
	MaxWorkload  = 512
	MaxRequestID = 128
	MaxInput     = 4096 // of each text among the inputs
	MaxDetail    = 1024
)

// BoundInputs removes the texts from inputs that are longer than [MaxInput], and returns
// their names, sorted, for [Record.Unrecorded]. Such a decision cannot be replayed. That
// is better than a replay from a part of the text, which may give another answer.
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

// Clip cuts a text to maxBytes, so that a request cannot fill the audit trail. The record
// shows that something is missing: a text that was cut ends in "…".
func Clip(text string, maxBytes int) string {
	if len(text) <= maxBytes {
		return text
	}
	cut := maxBytes - len("…")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// ParseTraceID returns the trace id, the second field of the header traceparent (W3C Trace
// Context, section 3.2.2). It is empty if the header does not have that form.
func ParseTraceID(traceparent string) string {
	if traceparent == "" {
		return ""
	}
	fields := strings.Split(traceparent, "-")
	if len(fields) < 4 || len(fields[1]) != 32 || strings.Trim(fields[1], "0") == "" {
		return ""
	}
	if _, err := hex.DecodeString(fields[1]); err != nil {
		return ""
	}
	return fields[1]
}
