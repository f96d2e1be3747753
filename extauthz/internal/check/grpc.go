package check

import (
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/meshpass/meshpass/extauthz/internal/limits"
)

// ServiceName is the service's name, also in health checks.
var ServiceName = auth.Authorization_ServiceDesc.ServiceName

// service is Envoy's, with a handler that is called when the headers of a Check have
// come, and not when its message has: gRPC's own handler of a unary call reads any
// message that its peer sends. On the wire the two are the same.
var service = grpc.ServiceDesc{
	ServiceName: ServiceName,
	HandlerType: (*auth.AuthorizationServer)(nil),
	Metadata:    auth.Authorization_ServiceDesc.Metadata,
	Streams: []grpc.StreamDesc{{
		StreamName:    "Check",
		ClientStreams: true,
		Handler:       func(server any, stream grpc.ServerStream) error { return server.(*Server).serve(stream) },
	}},
}

// NewGRPC is a gRPC server that answers the Checks of one listener, within its
// limits; options say how it is reached. What else it serves is registered by the
// caller.
func NewGRPC(s *Server, options ...grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(append(s.Limiter.ServerOptions(), options...)...)
	server.RegisterService(&service, s)
	return server
}

// serve answers one Check, before its message is complete where it is refused for
// what is known by then. Its error says that the peer has ended the call.
func (s *Server) serve(stream grpc.ServerStream) error {
	ctx, started := stream.Context(), s.Now()
	call := limits.Begin(ctx)
	if call == nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	defer call.End()
	response, err := s.respond(ctx, started, func() (arrival, error) { return s.receive(ctx, stream, call) })
	if err != nil {
		return err
	}
	return stream.SendMsg(response)
}
