package check

import (
	"encoding/json"
	"net/http"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoytype "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/meshpass/meshpass/shared/decision"
)

// response is the decision as Envoy carries it out.
func (c *call) response() *auth.CheckResponse {
	answer := c.refuse
	if c.decision.Allowed() {
		answer = c.allow
	}
	response := answer()
	response.DynamicMetadata = c.metadata()
	return response
}

// allow lets the request on, without the headers that nobody vouches for.
func (c *call) allow() *auth.CheckResponse {
	return &auth.CheckResponse{
		Status: &rpc.Status{Code: int32(codes.OK)},
		HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{
			HeadersToRemove: c.question.headers.unverified(c.claims != nil),
		}},
	}
}

// refuse ends the request at Envoy. Any status but OK is a denial there, and is
// never failed open, unlike a gRPC error.
func (c *call) refuse() *auth.CheckResponse {
	reason, txn := c.decision.Reason, c.txn()
	status := c.status(reason.Class())
	return &auth.CheckResponse{
		Status: &rpc.Status{Code: int32(grpcCode(reason.Class()))},
		HttpResponse: &auth.CheckResponse_DeniedResponse{DeniedResponse: &auth.DeniedHttpResponse{
			Status:  &envoytype.HttpStatus{Code: envoytype.StatusCode(status)},
			Headers: []*core.HeaderValueOption{header("content-type", "application/problem+json")},
			Body:    problem(status, reason, txn),
		}},
	}
}

// problem is the body of RFC 9457. The client learns the reason's code and the
// transaction, with which its support finds the audit record; nothing else. In a
// header the edge tells it, once: a second one from each hop would only double it.
func problem(status int, reason decision.Reason, txn string) string {
	body, err := json.Marshal(struct {
		Type   string          `json:"type"`
		Title  string          `json:"title"`
		Status int             `json:"status"`
		Reason decision.Reason `json:"reason"`
		Txn    string          `json:"txn,omitempty"`
	}{"about:blank", http.StatusText(status), status, reason, txn})
	if err != nil {
		return ""
	}
	return string(body)
}

// header always states the action: with none, Envoy up to 1.36 overwrites and
// later ones append, so that a forged value would survive beside ours.
func header(name, value string) *core.HeaderValueOption {
	return &core.HeaderValueOption{
		Header:       &core.HeaderValue{Key: name, Value: value},
		AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

// status of a refusal. Token failures are 403 unless the listener says 401: a
// workload's client did not bring the token and cannot mend it.
func (s *Server) status(class decision.Class) int {
	if class == decision.Unauthenticated {
		return s.TokenFailure
	}
	return class.Status()
}

func grpcCode(class decision.Class) codes.Code {
	switch class {
	case decision.Unauthenticated:
		return codes.Unauthenticated
	case decision.Unavailable:
		return codes.Unavailable
	case decision.Broken:
		return codes.Internal
	default:
		return codes.PermissionDenied
	}
}
