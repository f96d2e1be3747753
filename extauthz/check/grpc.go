package check

import (
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// maxRequest is the largest Check that gets an answer; above it gRPC itself
// gives an error, and Envoy's failOpen decides. Envoy admits at most 8 MiB of
// headers (max_request_headers_kb), which a Check can hold twice (a path is
// also :path), and Istio at most 1 MiB of body. gRPC's default is 4 MiB.
const maxRequest = (8 + 8 + 1) << 20

// ServiceName is the service's name, also in health checks.
var ServiceName = auth.Authorization_ServiceDesc.ServiceName

// NewGRPC is a gRPC server that answers the Checks of one listener; options say
// how it is reached. What else it serves is registered by the caller.
func NewGRPC(s *Server, options ...grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(append(options,
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.ForceServerCodecV2(answering{encoding.GetCodecV2(protocodec.Name)}),
	)...)
	auth.RegisterAuthorizationServer(server, s)
	return server
}

// answering turns a Check that cannot be decoded into an empty one, which is
// refused for its missing HTTP attributes. The plain codec would give a gRPC
// error, which Envoy's failOpen may turn into an allow: a byte that is not
// UTF-8 was enough for that once (CVE-2023-27488).
type answering struct{ encoding.CodecV2 }

func (a answering) Unmarshal(data mem.BufferSlice, into any) error {
	err := a.CodecV2.Unmarshal(data, into)
	if check, ok := into.(*auth.CheckRequest); ok && err != nil {
		proto.Reset(check)
		return nil
	}
	return err
}
