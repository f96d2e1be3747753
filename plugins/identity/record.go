package main

import (
	"net/http"

	"github.com/TykTechnologies/tyk/ctx"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/token"
)

// recordOf starts the audit record with what the request itself says. Method and
// path are the client's own: Tyk rewrites later.
func (s *signer) recordOf(r *http.Request) audit.Record {
	record := audit.Record{
		Time: s.now(), ID: token.NewTxn(),
		TraceID:   audit.ParseTraceID(r.Header.Get("Traceparent")),
		RequestID: audit.Clip(r.Header.Get("X-Request-Id"), audit.MaxRequestID),
		Method:    audit.Clip(r.Method, audit.MaxMethod),
		Path:      audit.Clip(r.URL.EscapedPath(), audit.MaxPath),
		Host:      audit.Clip(r.Host, audit.MaxHost),

		Authenticated: r.Context().Value(ctx.SessionData) != nil && r.Context().Value(ctx.RequestStatus) == nil,
	}
	if d, err := definitionOf(r); err == nil {
		record.Callee = "edge/" + d.id
	}
	return record
}

// finish counts the decision and has the record written, for which nobody waits. The gateway goes on
// without one: nothing is let through that the next hop does not decide, and record, again.
func (s *signer) finish(record audit.Record, kind audit.Kind, d decision.Decision) {
	record.Kind, record.Decision, record.Reason = kind, d.String(), string(d.Reason)
	record.DurationUS = s.now().Sub(record.Time).Microseconds()
	s.meter.decisions.add(d.Reason)
	s.audit.Record(record)
}
