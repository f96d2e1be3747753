package check

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoytype "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/shared/decision"
)

// newResponse is the reference: the response as generated messages.
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

// Responses are the same as those of the generated code, of any size.
func TestResponses(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	text := func() string {
		return strings.Repeat("é", random.IntN(3)*random.IntN(90)) + fmt.Sprint(random.IntN(5))
	}
	fields := func() (all []decide.Field) {
		for i := range random.IntN(4) {
			all = append(all, decide.Field{Name: fmt.Sprint(i, text()), Value: text()})
		}
		return all
	}
	for _, reason := range decision.Reasons() {
		for range 50 {
			answer := decide.Answer{Decision: decision.Decision{Reason: reason}, Metadata: fields()}
			if answer.Decision.Allowed() {
				answer.SetHeaders = fields()
				for range random.IntN(3) {
					answer.RemoveHeaders = append(answer.RemoveHeaders, text())
				}
			} else {
				answer.Status, answer.Headers, answer.Body = 400+random.IntN(200), fields(), text()
			}
			var got auth.CheckResponse
			if err := proto.Unmarshal(encodeResponse(answer), &got); err != nil || !proto.Equal(&got, newResponse(answer)) {
				t.Fatalf("%v\ngot  %v\nwant %v", err, &got, newResponse(answer))
			}
		}
	}
}

// Bytes that are not UTF-8 cannot make an answer that Envoy cannot decode.
func TestResponsesAreUTF8(t *testing.T) {
	bad := "a\xff"
	answer := decide.Answer{
		Decision: decision.Allow(decision.RuleAllowed), RemoveHeaders: []string{bad},
		SetHeaders: []decide.Field{{Name: bad, Value: bad}}, Metadata: []decide.Field{{Name: bad, Value: bad}},
	}
	var got auth.CheckResponse
	if err := proto.Unmarshal(encodeResponse(answer), &got); err != nil {
		t.Fatal(err)
	}
	if removed := got.GetOkResponse().GetHeadersToRemove(); len(removed) != 1 || removed[0] != "a\uFFFD" {
		t.Errorf("got %q", removed)
	}
}
