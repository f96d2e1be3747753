package decide

import (
	"time"

	"github.com/meshpass/meshpass/shared/audit"
)

// record is the audit record of the decision. It names the user only if the token was
// verified: an unverified claim is text of an unknown writer.
func (e *evaluation) record(took time.Duration) audit.Record {
	inputs, unrecorded := audit.BoundInputs(e.inputs)
	request, headers := &e.reading.Request, &e.reading.headers
	r := audit.Record{
		Time: e.received.UTC(), Kind: audit.KindCheck, ID: e.id, Listener: e.decider.config.Listener,
		TraceID:   audit.ParseTraceID(headers.first("traceparent")),
		RequestID: audit.Clip(headers.first("x-request-id"), audit.MaxRequestID),
		Caller:    audit.Clip(string(request.Caller), audit.MaxWorkload),
		Callee:    audit.Clip(string(request.Callee), audit.MaxWorkload),
		Method:    audit.Clip(request.Method, audit.MaxMethod),
		Path:      audit.Clip(request.Path, audit.MaxPath),
		Host:      audit.Clip(request.Host, audit.MaxHost),
		Decision:  e.decision.String(), Reason: string(e.decision.Reason),
		Policy: e.decision.Policy, Folder: e.decision.Folder, Rule: e.decision.Rule, Mode: e.decision.Mode(), Shadow: e.decision.Shadows(),
		Withheld: e.withheld, DurationUS: took.Microseconds(),
		Generation: e.policies.Generation(), Inputs: inputs, Unrecorded: unrecorded,
	}
	if e.claims != nil {
		r.Txn, r.Sub, r.Iss = e.claims.Txn, e.claims.Subject, e.claims.Issuer
		r.Authenticated = true
	}
	return r
}
