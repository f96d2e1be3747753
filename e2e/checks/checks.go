// Package checks makes the Checks that Envoy sends to an authorizer, and reads the answers.
package checks

import (
	"fmt"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

// Names of the workloads in [New], as SPIFFE ids.
const (
	Gateway = "spiffe://cluster.local/ns/edge/sa/tyk-gateway"
	Orders  = "spiffe://cluster.local/ns/shop/sa/orders"
)

// New returns a Check about a request for an order of the tenant acme, from the gateway to orders.
func New(token string) *auth.CheckRequest {
	return &auth.CheckRequest{Attributes: &auth.AttributeContext{
		Source:      &auth.AttributeContext_Peer{Principal: Gateway},
		Destination: &auth.AttributeContext_Peer{Principal: Orders},
		Request: &auth.AttributeContext_Request{Http: &auth.AttributeContext_HttpRequest{
			Method: "GET", Path: "/tenants/acme/orders/7", Headers: map[string]string{"txn-token": token},
		}},
	}}
}

// AnswerText returns "allow", or the status and the reason of a denial.
func AnswerText(answer *auth.CheckResponse) string {
	if answer.GetOkResponse() != nil {
		return "allow"
	}
	reason := answer.GetDynamicMetadata().GetFields()["reason"].GetStringValue()
	return fmt.Sprintf("%d %s", answer.GetDeniedResponse().GetStatus().GetCode(), reason)
}
