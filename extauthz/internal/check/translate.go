package check

import (
	"fmt"
	"maps"
	"slices"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoytype "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/shared/decision"
)

// ReadJSON reads a CheckRequest in the JSON form of protobuf, as a log of the gRPC call
// holds it.
func ReadJSON(data []byte, peers decide.Peers, now time.Time) (decide.Reading, error) {
	var request auth.CheckRequest
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, &request); err != nil {
		return decide.Reading{}, fmt.Errorf("a CheckRequest in JSON: %w", err)
	}
	return decide.ReadRequest(newRequest(&request), peers, now), nil
}

// newRequest turns a CheckRequest into plain values.
func newRequest(check *auth.CheckRequest) *decide.Request {
	attributes := check.GetAttributes()
	called := attributes.GetDestination().GetAddress().GetSocketAddress()
	request := &decide.Request{
		Source: attributes.GetSource().GetPrincipal(), Destination: attributes.GetDestination().GetPrincipal(),
		Address: called.GetAddress(), Port: called.GetPortValue(),
	}
	if http := attributes.GetRequest().GetHttp(); http != nil {
		request.HTTP = &decide.HTTP{Method: http.GetMethod(), Path: http.GetPath(), Host: http.GetHost(), Headers: newHeaders(http)}
	}
	return request
}

// newHeaders reads both forms of the headers. Envoy fills the map or, with
// encode_raw_headers, the list. If both are filled, it is not known which one the
// workload gets, so a token in each of them is a doubled token. The map is read in
// order, so that the same Check always gives the same answer.
func newHeaders(http *auth.AttributeContext_HttpRequest) decide.Headers {
	headers := decide.NewHeaders(len(http.GetHeaders()) + len(http.GetHeaderMap().GetHeaders()))
	for _, name := range slices.Sorted(maps.Keys(http.GetHeaders())) {
		headers.Add(name, http.GetHeaders()[name])
	}
	for _, header := range http.GetHeaderMap().GetHeaders() {
		headers.Add(header.GetKey(), valueOf(header))
	}
	return headers
}

// valueOf reads raw_value too: encode_raw_headers fills only that field.
func valueOf(header *core.HeaderValue) string {
	if raw := header.GetRawValue(); len(raw) > 0 {
		return string(raw)
	}
	return header.GetValue()
}

// newResponse turns an answer into what Envoy carries out. Any status but OK is a denial
// at Envoy, and failOpen does not apply to it, unlike to a gRPC error.
func newResponse(answer decide.Answer) *auth.CheckResponse {
	response := &auth.CheckResponse{Status: &rpc.Status{Code: int32(codeOf(answer.Decision.Reason.Class()))}}
	if answer.Decision.Allowed() {
		response.HttpResponse = &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{
			Headers: overwriteAll(answer.SetHeaders), HeadersToRemove: answer.RemoveHeaders,
		}}
	} else {
		response.HttpResponse = &auth.CheckResponse_DeniedResponse{DeniedResponse: &auth.DeniedHttpResponse{
			Status:  &envoytype.HttpStatus{Code: envoytype.StatusCode(answer.Status)},
			Headers: overwriteAll(answer.Headers),
			Body:    answer.Body,
		}}
	}
	if answer.Metadata != nil {
		fields := make(map[string]*structpb.Value, len(answer.Metadata))
		for _, field := range answer.Metadata {
			fields[field.Name] = structpb.NewStringValue(field.Value)
		}
		response.DynamicMetadata = &structpb.Struct{Fields: fields}
	}
	return response
}

// overwriteAll always states the action. Without one, Envoy up to 1.39 overwrites and
// later versions append, so that a forged value would survive beside ours.
func overwriteAll(headers []decide.Field) []*core.HeaderValueOption {
	options := make([]*core.HeaderValueOption, len(headers))
	for i, header := range headers {
		options[i] = &core.HeaderValueOption{
			Header:       &core.HeaderValue{Key: header.Name, Value: header.Value},
			AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		}
	}
	return options
}

// codeOf gives the status of a CheckResponse: OK only for the class of allowed requests.
func codeOf(class decision.Class) codes.Code {
	switch class {
	case decision.Allowed:
		return codes.OK
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
