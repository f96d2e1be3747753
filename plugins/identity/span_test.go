package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/meshpass/meshpass/shared/decision"
)

// tykSpan is a span as Tyk's tracing puts it into the context of a request. It keeps its events as text.
type tykSpan struct {
	noop.Span
	sampled bool
	events  *[]string
}

const traceOfTyk = "0af7651916cd43dd8448eb211c80319c"

func (s tykSpan) IsRecording() bool { return s.sampled }

func (s tykSpan) SpanContext() trace.SpanContext {
	id, err := trace.TraceIDFromHex(traceOfTyk)
	if err != nil {
		panic(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}})
}

func (s tykSpan) AddEvent(name string, options ...trace.EventOption) {
	text := name
	config := trace.NewEventConfig(options...)
	for _, a := range config.Attributes() {
		value := a.Value.AsString()
		if a.Key == "meshpass.txn" {
			value = "*"
		}
		text += " " + string(a.Key) + "=" + value
	}
	*s.events = append(*s.events, text)
}

// Tyk's span of a request gets the decision of the edge as an event, and its trace is that of the record. The client's
// traceparent counts only without Tyk's tracing.
func TestSpanEvents(t *testing.T) {
	for name, row := range map[string]struct {
		traced, sampled bool
		call            *call
		trace           string
		events          []string
	}{
		"signed":      {true, true, keyCall(), traceOfTyk, []string{"meshpass.issue meshpass.decision=allow meshpass.reason=issued meshpass.txn=*"}},
		"denied":      {true, true, withoutSession(keyCall()), traceOfTyk, []string{"meshpass.edge meshpass.decision=deny meshpass.reason=" + string(decision.NoSession)}},
		"not sampled": {true, false, keyCall(), traceOfTyk, nil},
		"not traced":  {false, false, keyCall(), "4bf92f3577b34da6a3ce929d0e0e4736", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := startRig(t)
			var events []string
			r := row.call.request()
			r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
			if row.traced {
				*r = *r.WithContext(trace.ContextWithSpan(r.Context(), tykSpan{sampled: row.sampled, events: &events}))
			}
			callHooks(r)
			if !slices.Equal(events, row.events) {
				t.Errorf("events %q, want %q", events, row.events)
			}
			if text := p.audit.String(); !strings.Contains(text, `"trace_id":"`+row.trace+`"`) {
				t.Errorf("want trace %s in\n%s", row.trace, text)
			}
		})
	}
}

func callHooks(r *http.Request) {
	rw := httptest.NewRecorder()
	SignIdentity(rw, r)
	if rw.Code == http.StatusOK {
		GuardUpstream(rw, r)
	}
}
