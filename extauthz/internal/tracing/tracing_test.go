package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/meshpass/meshpass/extauthz/internal/testhelp/spanreceiver"
)

const (
	traceID  = "4bf92f3577b34da6a3ce929d0e0e4736"
	envoySpn = "00f067aa0ba902b7"
)

func serve(t *testing.T, server *grpc.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

// decider replaces the Check service: it records one outcome.
type decider struct {
	grpc_testing.UnimplementedTestServiceServer
}

func (decider) EmptyCall(ctx context.Context, _ *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	RecordOutcome(ctx, Outcome{Listener: "mesh", Decision: "deny", Reason: "no_rule", Policy: "orders", Txn: "t-1"})
	if got := SampledTrace(ctx); got != "" && got != traceID {
		return nil, fmt.Errorf("sampled trace %s", got)
	}
	return &grpc_testing.Empty{}, nil
}

func newTestTracer(t *testing.T, endpoint string) *Tracer {
	t.Helper()
	tracer, err := New(Config{Endpoint: endpoint, Insecure: true, Version: "test"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

// call calls the decider, and the health service, with the metadata that Envoy sends.
func call(t *testing.T, tracer *Tracer, traceparents ...string) {
	t.Helper()
	server := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		if info.FullMethod == healthpb.Health_Check_FullMethodName {
			return handle(ctx, request)
		}
		ctx, end := tracer.StartSpan(ctx, info.FullMethod)
		defer end()
		return handle(ctx, request)
	}))
	grpc_testing.RegisterTestServiceServer(server, decider{})
	healthpb.RegisterHealthServer(server, health.NewServer())
	connection, err := grpc.NewClient(serve(t, server), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	for _, parent := range traceparents {
		ctx := t.Context()
		if parent != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", parent)
		}
		if _, err := grpc_testing.NewTestServiceClient(connection).EmptyCall(ctx, &grpc_testing.Empty{}); err != nil {
			t.Fatal(err)
		}
		if _, err := healthpb.NewHealthClient(connection).Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
	}
}

// The span of a sampled call is a child of Envoy's. Health checks, unsampled calls and calls without a parent have none.
func TestSpansOfSampledCalls(t *testing.T) {
	received, endpoint := spanreceiver.StartReceiver(t)
	tracer := newTestTracer(t, endpoint)
	call(t, tracer,
		"00-"+traceID+"-"+envoySpn+"-01", "00-"+traceID+"-"+envoySpn+"-00", "", "broken",
		"00-"+strings.Repeat("0", 32)+"-"+envoySpn+"-01",
	)
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := tracer.Stats(); got != (Stats{Exported: 1}) {
		t.Errorf("stats %+v", got)
	}
	var got []string
	for _, s := range received.ReceivedSpans() {
		got = append(got, fmt.Sprintf("%s trace=%x parent=%x", s.Name, s.TraceId, s.ParentSpanId))
		for _, a := range s.Attributes {
			if strings.HasPrefix(a.Key, "meshpass.") {
				got = append(got, a.Key+"="+a.Value.GetStringValue())
			}
		}
	}
	want := []string{
		"grpc.testing.TestService/EmptyCall trace=" + traceID + " parent=" + envoySpn,
		"meshpass.listener=mesh", "meshpass.decision=deny", "meshpass.reason=no_rule", "meshpass.policy=orders", "meshpass.txn=t-1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Calls are answered while the collector is away, and Close ends with its context.
func TestACollectorThatIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := l.Addr().String()
	l.Close()
	tracer := newTestTracer(t, endpoint)
	call(t, tracer, slices.Repeat([]string{"00-" + traceID + "-" + envoySpn + "-01"}, 3)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tracer.Close(ctx); err == nil {
		t.Error("closed without an error")
	}
}

// A full queue drops spans and counts them.
func TestAFullQueueDrops(t *testing.T) {
	stalled := &stalledExporter{release: make(chan struct{})}
	tracer := newTracer(stalled, Config{}, slog.New(slog.DiscardHandler))
	spans := tracetest.SpanStubs{{SpanContext: sampled(t)}}.Snapshots()
	const extra = 7
	for range queueSpans + extra {
		tracer.queue.OnEnd(spans[0])
	}
	if got := tracer.Stats(); got != (Stats{Dropped: extra}) {
		t.Errorf("while the exporter stalls: %+v", got)
	}
	close(stalled.release)
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := tracer.Stats(); got != (Stats{Exported: queueSpans, Dropped: extra}) {
		t.Errorf("after it: %+v", got)
	}
}

// A rejected batch is counted, and each change between failure and success is logged once.
func TestFailuresAreLoggedOnce(t *testing.T) {
	var lines strings.Builder
	log := slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	answers := []error{fmt.Errorf("away"), fmt.Errorf("away"), nil, nil}
	e := &countingExporter{SpanExporter: &scriptedExporter{answers: answers}, queue: &boundedQueue{}, endpoint: "collector:4317", log: log}
	spans := tracetest.SpanStubs{{}, {}}.Snapshots()
	for range answers {
		if err := e.ExportSpans(t.Context(), spans); err != nil {
			t.Error(err)
		}
	}
	want := `level=WARN msg="cannot export traces; spans are lost until the collector answers" endpoint=collector:4317 error=away
level=INFO msg="traces are exported again" endpoint=collector:4317
`
	if diff := cmp.Diff(want, lines.String()); diff != "" {
		t.Error(diff)
	}
	if e.queue.failed.Load() != 4 || e.queue.exported.Load() != 4 {
		t.Errorf("failed %d, exported %d", e.queue.failed.Load(), e.queue.exported.Load())
	}
}
