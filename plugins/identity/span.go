package main

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/meshpass/meshpass/shared/audit"
)

// findTraceID returns the id of the request's trace: Tyk's, if its tracing is on, and else the client's.
func findTraceID(e exchange) string {
	if span := trace.SpanContextFromContext(e.r.Context()); span.HasTraceID() {
		return span.TraceID().String()
	}
	return audit.ParseTraceID(e.r.Header.Get("Traceparent"))
}

// addSpanEvent puts a decision on Tyk's span of the request, as an event. Without Tyk's tracing, and in traces that are
// not sampled, there is no such span. The event has no value of a claim.
func addSpanEvent(ctx context.Context, record audit.Record) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	var attributes []attribute.KeyValue
	for _, a := range [...]struct{ key, value string }{
		{"meshpass.decision", record.Decision}, {"meshpass.reason", record.Reason}, {"meshpass.policy", record.Policy}, {"meshpass.rule", record.Rule}, {"meshpass.txn", record.Txn},
	} {
		if a.value != "" {
			attributes = append(attributes, attribute.String(a.key, a.value))
		}
	}
	span.AddEvent("meshpass."+string(record.Kind), trace.WithAttributes(attributes...))
}
