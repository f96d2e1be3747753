package check

import (
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/meshpass/meshpass/shared/audit"
)

// Bounds, in bytes, of what a client chooses. Honest values are far shorter; a
// longer one ends in "…", so that a request cannot fill the audit trail.
const (
	maxMethod    = 32
	maxPath      = 2048
	maxHost      = 256
	maxWorkload  = 512
	maxRequestID = 128
	maxInput     = 4096
)

// record is the Check as it went. Who the user is stands in it only when the
// token was verified: an unverified claim would be somebody else's words.
func (c *call) record(took time.Duration) audit.Record {
	r := audit.Record{
		Time: c.started.UTC(), Kind: audit.Check, ID: c.id, Listener: c.Listener,
		TraceID:   traceID(c.question.headers.first("traceparent")),
		RequestID: clip(c.question.headers.first("x-request-id"), maxRequestID),
		Caller:    clip(string(c.question.Caller), maxWorkload),
		Callee:    clip(string(c.question.Callee), maxWorkload),
		Method:    clip(c.question.Method, maxMethod),
		Path:      clip(c.question.Path, maxPath),
		Host:      clip(c.question.Host, maxHost),
		Decision:  c.decision.String(), Reason: string(c.decision.Reason),
		Policy: c.decision.Policy, Rule: c.decision.Rule,
		DurationUS: took.Microseconds(),
		Generation: c.policies.Generation(), Inputs: bounded(c.inputs),
	}
	if c.claims != nil {
		r.Txn, r.Sub, r.Iss = c.claims.Txn, c.claims.Subject, c.claims.Issuer
	}
	return r
}

// bounded leaves out what is too long to keep: the decision can then not be made
// again, which is better than to make another one from a part.
func bounded(inputs map[string]any) map[string]any {
	for name, value := range inputs {
		if text, ok := value.(string); ok && len(text) > maxInput {
			delete(inputs, name)
		}
	}
	return inputs
}

func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	cut := most - len("…")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// traceID takes the second field of traceparent (W3C Trace Context, section
// 3.2.2), if the header is one.
func traceID(traceparent string) string {
	fields := strings.Split(traceparent, "-")
	if len(fields) < 4 || len(fields[1]) != 32 || strings.Trim(fields[1], "0") == "" {
		return ""
	}
	if _, err := hex.DecodeString(fields[1]); err != nil {
		return ""
	}
	return fields[1]
}
