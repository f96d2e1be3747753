package app

import (
	"strings"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/internal/tokentest"
)

// What the file says is what the running authorizer does.
func TestConfigurationDecides(t *testing.T) {
	const listener = `listeners: [{name: sidecar, grpc: "127.0.0.1:0", caller: principal, callee: principal`
	rows := []struct{ name, config, caller, reason string }{
		{"as it is", listener + "}]", "spiffe://cluster.local/ns/edge/sa/tyk-gateway", "rule_allowed"},
		{"tokenBytes", listener + "}]\nlimits: {tokenBytes: 512}", "spiffe://cluster.local/ns/edge/sa/tyk-gateway", "token_too_large"},
		{"aliases", listener + "}]\ntrustDomains: {aliases: [old.local]}", "spiffe://old.local/ns/edge/sa/tyk-gateway", "rule_allowed"},
		{"no aliases", listener + "}]", "spiffe://old.local/ns/edge/sa/tyk-gateway", "no_rule"},
		{"local", listener + "}]\ntrustDomains: {local: new.local}", "spiffe://new.local/ns/edge/sa/tyk-gateway", "unguarded"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := start(t, writeConfig(t, row.config))
			client := auth.NewAuthorizationClient(dial(t, r.addresses()[0]))
			if _, err := client.Check(t.Context(), order(t, row.caller)); err != nil {
				t.Fatal(err)
			}
			if err := r.end(t); err != nil {
				t.Error(err)
			}
			if got := r.stdout.String(); !strings.Contains(got, `"reason":"`+row.reason+`"`) {
				t.Errorf("got %s, want %s", got, row.reason)
			}
		})
	}
}

// order reads an order of alice's tenant.
func order(t *testing.T, caller string) *auth.CheckRequest {
	return &auth.CheckRequest{Attributes: &auth.AttributeContext{
		Source:      &auth.AttributeContext_Peer{Principal: caller},
		Destination: &auth.AttributeContext_Peer{Principal: "spiffe://cluster.local/ns/shop/sa/orders"},
		Request: &auth.AttributeContext_Request{Http: &auth.AttributeContext_HttpRequest{
			Method: "GET", Path: "/tenants/acme/orders/7",
			Headers: map[string]string{"txn-token": tokentest.ValidToken(t, time.Now())},
		}},
	}}
}
