// Package forwardgrpc passes the user's identity on between gRPC services, as package
// forward does between HTTP services. It is a package of its own, so that only services
// with gRPC link gRPC.
//
// The interceptors of a server keep the incoming token in the context of the call. Those of
// a client put it on calls to hosts inside the mesh, and remove it from all others:
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

// metadataKey is the name of the header in gRPC metadata, which is in lower case.
var metadataKey = strings.ToLower(identity.Header)

// UnaryServer keeps the incoming token in the context of a call.
func UnaryServer() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return handler(withIncomingToken(ctx), request)
	}
}

// StreamServer keeps the incoming token in the context of a stream.
func StreamServer() grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		return handler(server, streamWithToken{ServerStream: stream, ctx: withIncomingToken(stream.Context())})
	}
}

func withIncomingToken(ctx context.Context) context.Context {
	return forward.Remember(ctx, metadata.ValueFromIncomingContext(ctx, metadataKey))
}

// streamWithToken is a stream whose context has the token.
type streamWithToken struct {
	grpc.ServerStream
	ctx context.Context
}

// Context returns the context with the token.
func (s streamWithToken) Context() context.Context { return s.ctx }

// UnaryClient puts the context's token on calls to hosts inside the mesh, and replaces one
// that is there. It removes the token and all identity metadata from every other call.
func UnaryClient(inside forward.Hosts) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		return invoke(withOutgoingToken(ctx, conn, inside), method, request, reply, conn, options...)
	}
}

// StreamClient does for streams what [UnaryClient] does for calls.
func StreamClient(inside forward.Hosts) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, stream grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
		return stream(withOutgoingToken(ctx, conn, inside), desc, conn, method, options...)
	}
}

func withOutgoingToken(ctx context.Context, conn *grpc.ClientConn, inside forward.Hosts) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx) // a copy
	for name := range md {
		if identity.IsReservedHeader(name) {
			delete(md, name)
		}
	}
	if token, ok := forward.FromContext(ctx); ok && inside.Admit(endpointURL(conn.CanonicalTarget())) {
		if md == nil {
			md = metadata.MD{}
		}
		md.Set(metadataKey, token)
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// endpointURL returns the host of a target such as "dns:///orders.shop.svc.cluster.local:8080",
// read as gRPC reads it: scheme, authority, endpoint. Without a port gRPC takes 443. A socket
// in the file system, or an endpoint with one more slash, is not a host. Then the result is
// the zero URL, which no [forward.Hosts] admits.
func endpointURL(target string) *url.URL {
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
