package check

import (
	"fmt"
	"net/http"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoytype "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
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

// allow lets the request on: with the identity headers that a verified token
// vouches for, and without those that nobody does, whatever decided it. Envoy
// removes after it sets, so that no name may stand in both lists.
func (c *call) allow() *auth.CheckResponse {
	values, withheld := c.IdentityHeaders.Of(c.claims)
	c.withheld = withheld
	ok := &auth.OkHttpResponse{HeadersToRemove: c.question.headers.unvouched(c.claims != nil, c.IdentityHeaders, values)}
	for _, ours := range c.IdentityHeaders {
		if value, set := values[ours.Name]; set {
			ok.Headers = append(ok.Headers, header(ours.Name, value))
		}
	}
	return &auth.CheckResponse{Status: &rpc.Status{Code: int32(codes.OK)}, HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: ok}}
}

// refuse ends the request at Envoy. Any status but OK is a denial there, and is
// never failed open, unlike a gRPC error. The transaction stands in the body only:
// the edge tells it in a header, and one from each hop would double it.
func (c *call) refuse() *auth.CheckResponse {
	reason, txn := c.decision.Reason, c.txn()
	status := c.status(reason.Class())
	headers := []*core.HeaderValueOption{header("content-type", decision.ProblemMediaType)}
	if status == http.StatusUnauthorized {
		headers = append(headers, header("www-authenticate", challenge(reason)))
	}
	return &auth.CheckResponse{
		Status: &rpc.Status{Code: int32(grpcCode(reason.Class()))},
		HttpResponse: &auth.CheckResponse_DeniedResponse{DeniedResponse: &auth.DeniedHttpResponse{
			Status:  &envoytype.HttpStatus{Code: envoytype.StatusCode(status)},
			Headers: headers,
			Body:    string(decision.ProblemBody(status, reason, txn)),
		}},
	}
}

// challenge is what a 401 must carry (RFC 9110 sections 11.6.1 and 15.5.2). The
// scheme is the token's header: a Bearer token in Authorization opens nothing at a hop.
func challenge(reason decision.Reason) string {
	return fmt.Sprintf("%s error=%q", identity.Header, string(reason))
}

// header always states the action: with none, Envoy up to 1.39 overwrites and
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
