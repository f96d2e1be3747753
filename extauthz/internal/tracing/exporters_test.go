package tracing

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// stalledExporter takes nothing until it is released.
type stalledExporter struct{ release chan struct{} }

func (e *stalledExporter) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	<-e.release
	return nil
}

func (*stalledExporter) Shutdown(context.Context) error { return nil }

// scriptedExporter answers each batch with the next error of its list.
type scriptedExporter struct{ answers []error }

func (e *scriptedExporter) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	answer := e.answers[0]
	e.answers = e.answers[1:]
	return answer
}

func (*scriptedExporter) Shutdown(context.Context) error { return nil }

func sampled(t *testing.T) trace.SpanContext {
	t.Helper()
	id, err := trace.TraceIDFromHex(traceID)
	if err != nil {
		t.Fatal(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})
}
