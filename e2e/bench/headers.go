package bench

import (
	"context"
	"fmt"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/shared/keyset"
)

// sentHeaders are those of a Check after the EnvoyFilter of `meshpass istio headers`, for documents that read no header.
var sentHeaders = []string{"txn-token", ":authority", ":path", "traceparent", "x-request-id"}

// newHeaderGroup compares Checks with all headers of their requests with Checks that have only the headers that are read.
func newHeaderGroup() Group {
	rig := &checkRig{}
	measure := func(headers int, filtered bool) func(context.Context, Round) (float64, error) {
		return func(_ context.Context, r Round) (float64, error) { return rig.measureHeaders(headers, filtered, r) }
	}
	return Group{Name: "headers", Start: rig.start, Rows: []Row{
		{Name: "all-of-10", Unit: cpuMicros, Measure: measure(10, false)},
		{Name: "read-of-10", Unit: cpuMicros, Measure: measure(10, true), Base: []string{"all-of-10"}},
		{Name: "all-of-30", Unit: cpuMicros, Measure: measure(30, false)},
		{Name: "read-of-30", Unit: cpuMicros, Measure: measure(30, true), Base: []string{"all-of-30"}},
	}}
}

func (c *checkRig) measureHeaders(headers int, filtered bool, r Round) (float64, error) {
	raw, err := c.authorizer.newToken(keyset.ES256)
	if err != nil {
		return 0, err
	}
	check := addHeaders(newCheck(raw), headers)
	if filtered {
		keepHeaders(check)
	}
	message, err := frameMessage(check)
	if err != nil {
		return 0, err
	}
	if _, err := c.authorizer.load(r.Length/8, inFlightCPU, alwaysSend(message)); err != nil { // remembers the token
		return 0, err
	}
	return measureCPU(func() (answered, error) { return c.authorizer.load(r.Length, inFlightCPU, alwaysSend(message)) })
}

// addHeaders adds headers until the request has so many.
func addHeaders(check *auth.CheckRequest, count int) *auth.CheckRequest {
	headers := check.GetAttributes().GetRequest().GetHttp().GetHeaders()
	for i := 0; len(headers) < count; i++ {
		headers[fmt.Sprintf("x-application-%02d", i)] = "a-value-of-some-length-like-others"
	}
	return check
}

func keepHeaders(check *auth.CheckRequest) {
	http := check.GetAttributes().GetRequest().GetHttp()
	kept := map[string]string{}
	for _, name := range sentHeaders {
		kept[name] = http.GetHeaders()[name]
	}
	http.Headers = kept
}
