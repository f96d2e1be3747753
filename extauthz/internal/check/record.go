package check

import (
	"time"

	"github.com/meshpass/meshpass/shared/audit"
)

// record is the Check as it went. Who the user is stands in it only when the
// token was verified: an unverified claim would be somebody else's words.
func (c *call) record(took time.Duration) audit.Record {
	inputs, unrecorded := audit.BoundInputs(c.inputs)
	r := audit.Record{
		Time: c.started.UTC(), Kind: audit.KindCheck, ID: c.id, Listener: c.Listener,
		TraceID:   audit.ParseTraceID(c.question.headers.first("traceparent")),
		RequestID: audit.Clip(c.question.headers.first("x-request-id"), audit.MaxRequestID),
		Caller:    audit.Clip(string(c.question.Caller), audit.MaxWorkload),
		Callee:    audit.Clip(string(c.question.Callee), audit.MaxWorkload),
		Method:    audit.Clip(c.question.Method, audit.MaxMethod),
		Path:      audit.Clip(c.question.Path, audit.MaxPath),
		Host:      audit.Clip(c.question.Host, audit.MaxHost),
		Decision:  c.decision.String(), Reason: string(c.decision.Reason),
		Policy: c.decision.Policy, Folder: c.decision.Folder, Rule: c.decision.Rule, Mode: c.decision.Mode(), Shadow: c.decision.Shadows(),
		Withheld: c.withheld, DurationUS: took.Microseconds(),
		Generation: c.policies.Generation(), Inputs: inputs, Unrecorded: unrecorded,
	}
	if c.claims != nil {
		r.Txn, r.Sub, r.Iss = c.claims.Txn, c.claims.Subject, c.claims.Issuer
		r.Authenticated = true
	}
	return r
}
