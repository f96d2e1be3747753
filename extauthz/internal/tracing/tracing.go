// Package tracing exports one span for each sampled Check over OTLP.
//
// Envoy makes a client span for its Check and sends it in the call's metadata
// (`traceparent`, W3C Trace Context). That span is the parent of ours. The
// `traceparent` among the headers inside a CheckRequest is the request's own
// and is not read. Envoy decides what is sampled: a Check without a parent, or
// with an unsampled one, has no span.
//
// A collector that is away costs nothing but a counter: spans wait in a bounded
// queue, and a Check never waits for it.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
)

// The bounds of what waits for the collector. A span of a Check takes at most about 2 KiB.
const (
	queueSpans    = 2048
	batchSpans    = 512
	batchWait     = 2 * time.Second
	exportTimeout = 10 * time.Second // of one batch, with its retries
)

// MaxMemory is what spans that wait can take, in bytes, with the message that is made of a batch.
const MaxMemory = (queueSpans + batchSpans) * 2 << 10

// Config names the receiver of spans.
type Config struct {
	Endpoint string // host:port of an OTLP/gRPC receiver
	Insecure bool   // plaintext; otherwise TLS with the system's certificate authorities
	Version  string // of this program, the resource attribute service.version
}

// Stats counts spans since the start.
type Stats struct {
	Exported uint64 // the collector took them
	Failed   uint64 // the collector was away or rejected them
	Dropped  uint64 // the queue was full
}

// Tracer makes spans of sampled Checks and exports them.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	queue    *boundedQueue
}

// New does not connect: a collector that is away is noticed at the first export.
func New(c Config, log *slog.Logger) (*Tracer, error) {
	options := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(c.Endpoint), otlptracegrpc.WithTimeout(exportTimeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: exportTimeout / 2, MaxElapsedTime: exportTimeout,
		}),
	}
	if c.Insecure {
		options = append(options, otlptracegrpc.WithInsecure())
	}
	exporter, err := otlptracegrpc.New(context.Background(), options...)
	if err != nil {
		return nil, fmt.Errorf("OTLP exporter for %s: %w", c.Endpoint, err)
	}
	return newTracer(exporter, c, log), nil
}

func newTracer(exporter sdktrace.SpanExporter, c Config, log *slog.Logger) *Tracer {
	queue := &boundedQueue{}
	queue.SpanProcessor = sdktrace.NewBatchSpanProcessor(&countingExporter{SpanExporter: exporter, queue: queue, endpoint: c.Endpoint, log: log},
		sdktrace.WithMaxQueueSize(queueSpans), sdktrace.WithMaxExportBatchSize(batchSpans),
		sdktrace.WithBatchTimeout(batchWait), sdktrace.WithExportTimeout(exportTimeout))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(queue),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())),
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName("meshpass"), semconv.ServiceVersion(c.Version))),
	)
	return &Tracer{queue: queue, provider: provider, tracer: provider.Tracer("github.com/meshpass/meshpass/extauthz")}
}

// StartSpan starts the span of a call if Envoy's span, which the metadata of the call names, is sampled. Most calls are not, and cost
// one look at their metadata. The returned function ends the span.
func (t *Tracer) StartSpan(ctx context.Context, fullMethod string) (context.Context, func()) {
	parents := metadata.ValueFromIncomingContext(ctx, traceparentKey)
	if len(parents) != 1 || !hasSampledFlag(parents[0]) {
		return ctx, func() {}
	}
	incoming, _ := metadata.FromIncomingContext(ctx) // it has a traceparent
	ctx = propagation.TraceContext{}.Extract(ctx, carrier(incoming))
	if !IsSampled(ctx) { // of another form than that of a traceparent
		return ctx, func() {}
	}
	service, method, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	ctx, span := t.tracer.Start(ctx, service+"/"+method, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		semconv.RPCSystemGRPC, semconv.RPCService(service), semconv.RPCMethod(method),
	))
	return ctx, func() { span.End() }
}

const traceparentKey = "traceparent"

// hasSampledFlag reads the last bit of a traceparent's flags (W3C Trace Context, section 3.2.2.5) and checks nothing else. Versions after
// 00 may have more fields.
func hasSampledFlag(traceparent string) bool {
	const end = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	return len(traceparent) >= end && strings.IndexByte("13579bdfBDF", traceparent[end-1]) >= 0
}

// carrier is the metadata of a call. Nothing is written to it.
type carrier metadata.MD

// Get returns the first value of a key.
func (c carrier) Get(key string) string {
	if values := metadata.MD(c).Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Set does nothing.
func (c carrier) Set(string, string) {}

// Keys lists no keys: the propagator asks for those that it knows.
func (c carrier) Keys() []string { return nil }

// Stats may be called at any time.
func (t *Tracer) Stats() Stats {
	return Stats{Exported: t.queue.exported.Load(), Failed: t.queue.failed.Load(), Dropped: t.queue.dropped.Load()}
}

// Close exports what waits, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error { return t.provider.Shutdown(ctx) }

// boundedQueue counts the spans that wait. The batch processor behind it drops
// spans of a full queue without a count, so it is never given more than it holds.
type boundedQueue struct {
	sdktrace.SpanProcessor
	waiting                   atomic.Int64
	exported, failed, dropped atomic.Uint64
}

// OnEnd drops the span if the queue is full.
func (q *boundedQueue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.waiting.Add(1) > queueSpans {
		q.waiting.Add(-1)
		q.dropped.Add(1)
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// countingExporter counts results, and logs the first failure and the recovery.
// It returns no error, because the library writes errors to the standard error
// output of the whole process.
type countingExporter struct {
	sdktrace.SpanExporter
	queue    *boundedQueue
	endpoint string
	log      *slog.Logger
	failing  bool // used by the one goroutine that exports
}

// ExportSpans sends one batch.
func (e *countingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.queue.waiting.Add(-int64(len(spans)))
	if err != nil {
		e.queue.failed.Add(uint64(len(spans)))
		if !e.failing {
			e.log.Warn("cannot export traces; spans are lost until the collector answers", "endpoint", e.endpoint, "error", err)
		}
	} else {
		e.queue.exported.Add(uint64(len(spans)))
		if e.failing {
			e.log.Info("traces are exported again", "endpoint", e.endpoint)
		}
	}
	e.failing = err != nil
	return nil
}
