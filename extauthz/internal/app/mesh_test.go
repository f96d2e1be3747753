package app

import (
	"context"
	"strings"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
)

// from is what our own sidecar appends for a peer.
func from(uri string) string {
	return `By=spiffe://cluster.local/ns/meshpass/sa/meshpass;Hash=0a1b;Subject="";URI=` + uri
}

// Who may ask is read from the call's metadata as our own sidecar wrote it, and
// from nothing that the client can write.
func TestMeshClients(t *testing.T) {
	const (
		named   = "spiffe://cluster.local/ns/shop/sa/orders"
		unnamed = "spiffe://cluster.local/ns/other/sa/orders"
	)
	r := start(t, "testdata/mesh.yaml")
	client := auth.NewAuthorizationClient(dial(t, r.addresses()[0]))
	for _, row := range []struct {
		name    string
		headers []string // of the call, as the sidecar hands it over
		inCheck string   // XFCC of the request that is asked about
		reason  string
		log     string
	}{
		{"a client that is named", []string{from(named)}, "", "rule_allowed", ""},
		{"a namespace with *", []string{from("spiffe://cluster.local/ns/shop/sa/inventory")}, "", "rule_allowed", ""},
		{"another namespace", []string{from(unnamed)}, "", "client_refused", "ns/other/sa/orders is not among tls.clients"},
		{"another account", []string{from("spiffe://cluster.local/ns/edge/sa/other")}, "", "client_refused", "ns/edge/sa/other is not among"},
		{"the same name in a foreign mesh", []string{from("spiffe://evil.example/ns/shop/sa/orders")}, "", "client_refused", "spiffe://evil.example/ns/shop/sa/orders is not among"},
		{"a client that forges an element", []string{from(named) + "," + from(unnamed)}, "", "client_refused", "ns/other/sa/orders is not among"},
		{"a client that opens a quote", []string{from(named) + `;Subject="` + "," + from(unnamed)}, "", "client_refused", "malformed"},
		{"no sidecar", nil, "", "client_refused", "0 values"},
		{"no sidecar, and a Check that says so", nil, from(named), "client_refused", "0 values"},
		{"a Check that says otherwise", []string{from(named)}, from(unnamed), "rule_allowed", ""},
		{"two headers", []string{from(named), from(named)}, "", "client_refused", "2 values"},
		{"an empty header", []string{""}, "", "client_refused", "malformed"},
		{"no SPIFFE id", []string{from("orders.shop.svc")}, "", "client_refused", "not a SPIFFE id"},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, request := t.Context(), order(t, gateway)
			for _, header := range row.headers {
				ctx = metadata.AppendToOutgoingContext(ctx, decide.XFCCHeader, header)
			}
			if row.inCheck != "" {
				request.Attributes.Request.Http.Headers[decide.XFCCHeader] = row.inCheck
			}
			before := len(r.log.String())
			if got := reasonOf(t, client, ctx, request); got != row.reason {
				t.Errorf("got %s, want %s", got, row.reason)
			}
			if log := r.log.String()[before:]; !strings.Contains(log, row.log) || row.log == "" && log != "" {
				t.Errorf("log: %s", log)
			}
		})
	}
	if answer, err := healthpb.NewHealthClient(dial(t, r.addresses()[0])).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil ||
		answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("a probe without a certificate: got %v, %v", answer, err)
	}
}

func reasonOf(t *testing.T, client auth.AuthorizationClient, ctx context.Context, request *auth.CheckRequest) string {
	t.Helper()
	answer, err := client.Check(ctx, request)
	if err != nil {
		t.Fatalf("a gRPC error, which failOpen may turn into an allow: %v", err)
	}
	return answer.GetDynamicMetadata().GetFields()["reason"].GetStringValue()
}

// A sidecar in front may be asked for on any address.
func TestMeshListensAnywhere(t *testing.T) {
	file := writeConfig(t, `listeners: [{name: sidecar, grpc: "0.0.0.0:0", caller: principal, callee: principal}]`, `{mode: mesh, clients: [ns/*/sa/*]}`)
	a, err := loadAuthorizer(process(file))
	if err != nil {
		t.Fatal(err)
	}
	a.audit.close()
}
