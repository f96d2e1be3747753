package main

import (
	"net/http"
	"strings"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/token"
)

// maxRequestID bounds what a client can make us write.
const maxRequestID = 128

// recordOf starts the audit record with what the request itself says. Method and
// path are the client's own: Tyk rewrites later.
func (s *signer) recordOf(r *http.Request) audit.Record {
	record := audit.Record{
		Time: s.now(), ID: token.NewTxn(), TraceID: traceID(r.Header.Get("Traceparent")),
		Method: r.Method, Path: r.URL.EscapedPath(), Host: r.Host,
	}
	if id := r.Header.Get("X-Request-Id"); len(id) <= maxRequestID {
		record.RequestID = id
	}
	if d, err := definitionOf(r); err == nil {
		record.Callee = "edge/" + d.id
	}
	return record
}

// traceID is the second field of W3C's header: version-trace-span-flags.
func traceID(parent string) string {
	if f := strings.Split(parent, "-"); len(f) >= 4 && len(f[1]) == 32 {
		return f[1]
	}
	return ""
}

// finish writes the record. The gateway goes on without one: nothing is let
// through that the next hop does not decide, and record, again.
func (s *signer) finish(record audit.Record, kind audit.Kind, d decision.Decision) {
	record.Kind, record.Decision, record.Reason = kind, d.String(), string(d.Reason)
	record.DurationUS = s.now().Sub(record.Time).Microseconds()
	if err := s.audit.Write(record); err != nil {
		s.log.Error("an audit record was lost", "id", record.ID, "error", err.Error())
	}
}
