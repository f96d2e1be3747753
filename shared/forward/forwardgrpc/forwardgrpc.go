// Package forwardgrpc passes a caller's identity on between gRPC services, as package forward does
// between HTTP services. It is a package of its own so that only services with gRPC link gRPC.
//
//	server := grpc.NewServer(
//		grpc.UnaryInterceptor(forwardgrpc.UnaryServer()), grpc.StreamInterceptor(forwardgrpc.StreamServer()))
//	inside := forward.MustParseHosts("*.svc.cluster.local")
//	conn, err := grpc.NewClient(target,
//		grpc.WithUnaryInterceptor(forwardgrpc.UnaryClient(inside)), grpc.WithStreamInterceptor(forwardgrpc.StreamClient(inside)))
package forwardgrpc

import (
	"context"
	"net/url"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/meshpass/meshpass/shared/forward"
	"github.com/meshpass/meshpass/shared/identity"
)

// key is the header's name as gRPC metadata has it: lower-case.
var key = strings.ToLower(identity.Header)

// UnaryServer remembers the incoming token in the call's context.
func UnaryServer() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return handler(remember(ctx), request)
	}
}

// StreamServer remembers the incoming token in the stream's context.
func StreamServer() grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		return handler(server, remembering{stream, remember(stream.Context())})
	}
}

func remember(ctx context.Context) context.Context {
	return forward.Remember(ctx, metadata.ValueFromIncomingContext(ctx, key))
}

// remembering is a stream whose context has the token.
type remembering struct {
	grpc.ServerStream
	ctx context.Context
}

func (s remembering) Context() context.Context { return s.ctx }

// UnaryClient puts the context's token on calls to hosts inside the mesh, in place of any that is
// there, and removes it and all identity metadata from every other call.
func UnaryClient(inside forward.Hosts) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		return invoke(outgoing(ctx, conn, inside), method, request, reply, conn, options...)
	}
}

// StreamClient does for streams what [UnaryClient] does for calls.
func StreamClient(inside forward.Hosts) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, stream grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
		return stream(outgoing(ctx, conn, inside), desc, conn, method, options...)
	}
}

func outgoing(ctx context.Context, conn *grpc.ClientConn, inside forward.Hosts) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx) // a copy
	for name := range md {
		if identity.IsReservedHeader(name) {
			delete(md, name)
		}
	}
	if token, ok := forward.FromContext(ctx); ok && inside.Admit(endpoint(conn.CanonicalTarget())) {
		if md == nil {
			md = metadata.MD{}
		}
		md.Set(key, token)
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// endpoint is where a target such as "dns:///orders.shop.svc.cluster.local:8080" leads, read as gRPC
// reads it: scheme, authority, endpoint. Without a port it is 443 to gRPC. A socket in the file system
// and an endpoint with a further slash are no host: the zero URL, which no [forward.Hosts] admits.
func endpoint(target string) *url.URL {
	u, err := url.Parse(target)
	if err != nil || strings.HasPrefix(u.Scheme, "unix") {
		return &url.URL{}
	}
	host := u.Path
	if host == "" {
		host = u.Opaque
	}
	if host = strings.TrimPrefix(host, "/"); strings.Contains(host, "/") {
		return &url.URL{}
	}
	return &url.URL{Scheme: "https", Host: host}
}
