package check

import (
	"fmt"
	"maps"
	"slices"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
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
