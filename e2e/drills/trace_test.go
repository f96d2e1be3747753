package drills

import (
	"context"
	"encoding/hex"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// spanReceiver is an OTLP receiver in this process, in place of an OpenTelemetry collector.
type spanReceiver struct {
	collector.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans map[string]*otlp.Span // by id
}

func (s *spanReceiver) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				s.spans[string(span.SpanId)] = span
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// checks returns the spans of Checks whose parents have come too, with these parents.
func (s *spanReceiver) checks() (spans, parents []*otlp.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range s.spans {
		if parent := s.spans[string(span.ParentSpanId)]; parent != nil && span.Name == "envoy.service.auth.v3.Authorization/Check" {
			spans, parents = append(spans, span), append(parents, parent)
		}
	}
	return spans, parents
}

func serveSpans(t *testing.T, address string) *spanReceiver {
	t.Helper()
	s := &spanReceiver{spans: map[string]*otlp.Span{}}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, s)
	socket := mustGet(net.Listen("tcp", address))(t)
	go func() { _ = server.Serve(socket) }()
	t.Cleanup(server.Stop)
	return s
}

// The objects that a user applies for traces. istiod finds the receiver by its ServiceEntry.
const (
	traceProvider = `    extensionProviders:
      - name: otel
        opentelemetry: {service: otel-collector.example, port: 4317}
`
	traceObjects = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: otel-collector, namespace: meshpass} # where the workloads' Sidecar objects look
spec:
  hosts: [otel-collector.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 4317, name: grpc-otlp, protocol: GRPC}]
  endpoints: [{address: 127.77.0.5}]
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: traces, namespace: istio-system}
spec:
  tracing: [{providers: [{name: otel}], randomSamplingPercentage: 100}]
---
`
)

// The span of a Check is the child of the span that Envoy makes for its Check, in the trace of the request.
func TestTheSpanOfACheckIsEnvoysChild(t *testing.T) {
	traced := sidecars
	traced.config = "meshpass-traced.yaml"
	r := newRig(t, rigSetup{
		place: traced,
		edits: []fileEdit{{"istio/install.yaml", "    extensionProviders:\n", traceProvider}, {"cluster/meshpass.yaml", "# The authorizer, without", traceObjects + "# The authorizer, without"}},
	})
	receiver := serveSpans(t, r.net.Addr(authorizerHost)+":4317")
	r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)

	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	one := r.newRequest(closed, otherTenant)
	one.header = map[string]string{
		"Traceparent":  "00-" + trace + "-00f067aa0ba902b7-01",
		"X-Request-Id": "c1a4a0a8-4d5a-4b7e-9d0b-6a2f3c1e5b7d", // Envoy traces no request whose id is no UUID
	}
	if got := r.mustSend(t, one); got.String() != "403 no_rule" {
		t.Fatalf("answered %v", got)
	}
	var check, parent *otlp.Span
	eventually(t, "the collector gets the Check of the traced request, and Envoy's span of it", func() bool {
		spans, parents := receiver.checks()
		i := slices.IndexFunc(spans, func(s *otlp.Span) bool { return hex.EncodeToString(s.TraceId) == trace })
		if i < 0 {
			return false
		}
		check, parent = spans[i], parents[i]
		return true
	})
	if parent.Name != "async envoy.service.auth.v3.Authorization.Check egress" || hex.EncodeToString(parent.TraceId) != trace {
		t.Errorf("the parent is %q of trace %x", parent.Name, parent.TraceId)
	}
	var attributes []string
	for _, a := range check.Attributes {
		if name, ours := strings.CutPrefix(a.Key, "meshpass."); ours && name != "txn" {
			attributes = append(attributes, name+"="+a.Value.GetStringValue())
		}
	}
	if want := []string{"listener=sidecar", "decision=deny", "reason=no_rule"}; !slices.Equal(attributes, want) {
		t.Errorf("attributes %q, want %q", attributes, want)
	}
}
