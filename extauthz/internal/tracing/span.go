package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Outcome is the part of a decision that a span has. It holds no value of a claim.
type Outcome struct {
	Listener string
	Decision string // allow or deny
	Reason   string // a reason code
	Policy   string // empty: no document decided
	Rule     string
	Txn      string // transaction id of the token
}

// IsSampled reports whether ctx's call is sampled: others have no span to record.
func IsSampled(ctx context.Context) bool { return trace.SpanContextFromContext(ctx).IsSampled() }

// RecordOutcome puts the outcome on the span of ctx's call, if it has one.
func RecordOutcome(ctx context.Context, o Outcome) {
	attributes := make([]attribute.KeyValue, 0, 6)
	for _, a := range [...]struct{ key, value string }{
		{key: "meshpass.listener", value: o.Listener}, {key: "meshpass.decision", value: o.Decision}, {key: "meshpass.reason", value: o.Reason},
		{key: "meshpass.policy", value: o.Policy}, {key: "meshpass.rule", value: o.Rule}, {key: "meshpass.txn", value: o.Txn},
	} {
		if a.value != "" {
			attributes = append(attributes, attribute.String(a.key, a.value))
		}
	}
	trace.SpanFromContext(ctx).SetAttributes(attributes...)
}

// SampledTrace returns the trace id of ctx's call; empty where the call is not sampled.
func SampledTrace(ctx context.Context) string {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsSampled() {
		return ""
	}
	return span.TraceID().String()
}
