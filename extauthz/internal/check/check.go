// Package check answers the Checks of Envoy's ext_authz filter
// (envoy.service.auth.v3). It receives a CheckRequest within the limits of the process,
// turns it into a [decide.Question], and turns the [decide.Answer] into a CheckResponse.
// It is the only package that imports Envoy's protos, and it decides nothing itself.
//
// Every Check gets exactly one answer. Bad input is answered with a denial and never
// with a gRPC error: an error is a failure of the authorizer in Envoy's eyes, and its
// setting failOpen may let the request in.
package check

import (
	"context"
	"errors"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/shared/decision"
)

// Config is what the Checks of one listener are answered with. All fields but StartSpan are required.
type Config struct {
	Decide  decide.Config
	Admit   func(context.Context) error // why the sender of a Check may not ask; nil: it may
	Limiter *limits.Limiter             // of all listeners of the process

	// StartSpan starts the span of a Check that is sampled, and returns its context and the function that ends it; nil: there are no spans.
	StartSpan func(ctx context.Context, fullMethod string) (context.Context, func())
}

// Server is the ext_authz service of one listener.
type Server struct {
	auth.UnimplementedAuthorizationServer
	decider *decide.Decider
	config  Config
}

// ErrIncomplete is the error for a configuration without admission or limits.
var ErrIncomplete = errors.New("check: admission and limiter are required")

// New rejects a configuration that lacks a part: there is no half authorizer.
func New(c Config) (*Server, error) {
	decider, err := decide.New(c.Decide)
	if err != nil {
		return nil, err
	}
	if c.Admit == nil || c.Limiter == nil {
		return nil, ErrIncomplete
	}
	return &Server{decider: decider, config: c}, nil
}

// ServiceName is the name of the gRPC service, also in health checks.
var ServiceName = auth.Authorization_ServiceDesc.ServiceName

// serviceDesc describes Envoy's service, with a handler that is called when the headers
// of a Check have come and before its message: gRPC's own handler of a unary call reads
// any message that its peer sends. On the wire the two are the same.
var serviceDesc = grpc.ServiceDesc{
	ServiceName: ServiceName,
	HandlerType: (*auth.AuthorizationServer)(nil),
	Metadata:    auth.Authorization_ServiceDesc.Metadata,
	Streams: []grpc.StreamDesc{{
		StreamName:    "Check",
		ClientStreams: true,
		Handler:       func(server any, stream grpc.ServerStream) error { return server.(*Server).serveStream(stream) },
	}},
}

// NewGRPC makes a gRPC server that answers the Checks of one listener, within its
// limits. The options are those of its transport. The caller registers other services.
func NewGRPC(s *Server, options ...grpc.ServerOption) *grpc.Server {
	transport := append(s.config.Limiter.ServerOptions(), grpc.ForceServerCodecV2(newResponseCodec()))
	server := grpc.NewServer(append(transport, options...)...)
	server.RegisterService(&serviceDesc, s)
	return server
}

// Listener is the name of the listener.
func (s *Server) Listener() string { return s.config.Decide.Listener }

// CheckSelf returns when a decision of the listener has ended; see [decide.Decider.CheckSelf].
func (s *Server) CheckSelf(ctx context.Context) { s.decider.CheckSelf(ctx) }

// serveStream answers one Check. It answers before the message is complete if the
// reason for a denial is known by then. An error means that the peer has ended the call.
func (s *Server) serveStream(stream grpc.ServerStream) error {
	ctx, received := stream.Context(), s.config.Decide.Now()
	call := limits.BeginCall(ctx)
	if call == nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	defer call.End()
	if s.config.StartSpan != nil {
		var end func()
		ctx, end = s.config.StartSpan(ctx, auth.Authorization_Check_FullMethodName)
		defer end()
	}
	response, err := s.respond(ctx, received, func() (arrival, error) { return s.receive(ctx, stream, call) })
	if err != nil {
		return err
	}
	return stream.SendMsg(response)
}

// Check answers a Check that has been received. Its error is always nil.
func (s *Server) Check(ctx context.Context, request *auth.CheckRequest) (*auth.CheckResponse, error) {
	encoded, err := s.respond(ctx, s.config.Decide.Now(), func() (arrival, error) {
		if err := s.config.Admit(ctx); err != nil {
			return arrival{deny: decision.ClientRefused, err: err}, nil
		}
		return arrival{request: newRequest(request)}, nil
	})
	if err != nil {
		return nil, err
	}
	response := &auth.CheckResponse{}
	return response, proto.Unmarshal(encoded, response)
}

// respond answers what receive gives. An error of receive is returned: the peer is gone
// then, so there is nothing to answer and nothing to record.
func (s *Server) respond(ctx context.Context, received time.Time, receive func() (arrival, error)) (response encodedResponse, err error) {
	defer func() { // a panic outside of the decision is still answered, with a denial
		if cause := recover(); cause != nil {
			response, err = encodeResponse(s.decider.DenyPanic(cause)), nil
		}
	}()
	arrived, err := receive()
	if err != nil {
		return nil, err
	}
	s.logArrival(ctx, arrived)
	answer := s.decider.Decide(ctx, decide.Question{Received: received, Request: arrived.request, Deny: arrived.deny})
	recordSpan(ctx, s.Listener(), answer)
	response = encodeResponse(answer)
	arrived.reader.release()
	return response, nil
}

// logArrival logs why a Check is not decided, and which Envoy sent it: the record cannot
// name it if nothing of the Check may be read.
func (s *Server) logArrival(ctx context.Context, arrived arrival) {
	if arrived.deny == "" {
		if arrived.err != nil {
			s.config.Decide.Log.Info("not a CheckRequest", "listener", s.Listener(), "error", arrived.err)
		}
		return
	}
	message := "check denied without a decision"
	if arrived.deny == decision.ClientRefused {
		message = "client denied"
	}
	var client string
	if from, ok := peer.FromContext(ctx); ok {
		client = from.Addr.String()
	}
	s.config.Limiter.Warn(string(arrived.deny), message, "listener", s.Listener(), "reason", arrived.deny, "client", client, "error", arrived.err)
}
