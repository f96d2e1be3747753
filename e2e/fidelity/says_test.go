package fidelity_test

import (
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoytype "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// says is a fixed answer.
func fixed(response *auth.CheckResponse) answer {
	return func() (*auth.CheckResponse, error) { return proto.CloneOf(response), nil }
}

// coded is the answer's own status, which decides whether it is an allow.
func coded(code codes.Code) *rpc.Status { return &rpc.Status{Code: int32(code)} }

// passing lets the request in, changed.
func passing(ok *auth.OkHttpResponse) answer {
	return fixed(&auth.CheckResponse{Status: coded(codes.OK), HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: ok}})
}

// denied refuses with an HTTP status and a body.
func denied(httpStatus int, body string) answer {
	return denying(&auth.DeniedHttpResponse{Status: httpCode(httpStatus), Body: body})
}

func denying(d *auth.DeniedHttpResponse) answer {
	return fixed(&auth.CheckResponse{Status: coded(codes.PermissionDenied), HttpResponse: &auth.CheckResponse_DeniedResponse{DeniedResponse: d}})
}

func httpCode(code int) *envoytype.HttpStatus {
	return &envoytype.HttpStatus{Code: envoytype.StatusCode(code)}
}

// failing is a gRPC error: to Envoy the authorizer failed, and failOpen decides.
func failing() (*auth.CheckResponse, error) { return nil, status.Error(codes.Internal, "for a test") }
