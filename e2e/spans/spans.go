// Package spans receives spans over OTLP/gRPC in this process, in place of an OpenTelemetry collector.
package spans

import (
	"context"
	"encoding/hex"
	"net"
	"sync"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// Span is a span, with the name of the program that sent it.
type Span struct {
	Service string
	*otlp.Span
}

// Receiver keeps all spans.
type Receiver struct {
	collector.UnimplementedTraceServiceServer
	server *grpc.Server
	mu     sync.Mutex
	spans  map[string]Span // by id
}

// Listen receives at an address until Stop.
func Listen(address string) (*Receiver, error) {
	r := &Receiver{server: grpc.NewServer(), spans: map[string]Span{}}
	collector.RegisterTraceServiceServer(r.server, r)
	socket, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	go func() { _ = r.server.Serve(socket) }()
	return r, nil
}

// Stop closes the listener and all connections.
func (r *Receiver) Stop() { r.server.Stop() }

// Export is the call of OTLP.
func (r *Receiver) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		service := Attribute(resource.GetResource().GetAttributes(), "service.name")
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				r.spans[string(span.SpanId)] = Span{service, span}
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// ListTrace returns the spans of a trace that have come so far. The id is in hexadecimal digits.
func (r *Receiver) ListTrace(id string) (found []Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, span := range r.spans {
		if hex.EncodeToString(span.TraceId) == id {
			found = append(found, span)
		}
	}
	return found
}

// FindParent returns the parent of a span, if it has come.
func (r *Receiver) FindParent(of Span) (parent Span, found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	parent, found = r.spans[string(of.ParentSpanId)]
	return parent, found
}

// Attribute returns a text of attributes; empty if they do not have it.
func Attribute(attributes []*common.KeyValue, key string) string {
	for _, a := range attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}
