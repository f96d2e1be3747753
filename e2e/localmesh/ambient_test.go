package localmesh

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"sigs.k8s.io/yaml"

	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/shared/decision"
)

// Properties of a waypoint that the scenarios cannot show.
func TestWaypoint(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m, err := Start(ctx, Options{Topology: "waypoint"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		audittest.CheckFiles(t, filepath.Join(m.Dir(), "*.audit.log"))
		if err := m.RemoveDir(); err != nil {
			t.Error(err)
		}
	})
	t.Run("nobody else asks", m.nobodyElseAsks)
	t.Run("a mistyped name is an error", m.mistypedNameIsAnError)
	t.Run("ztunnel gets the guard", m.ztunnelGetsTheGuard)
	t.Run("ztunnel sends to the waypoint", m.ztunnelSendsToTheWaypoint)
	t.Run("its pod has the Gateway's annotations", m.podHasTheGatewaysAnnotations)
}

// Any workload can send a Check with any caller in X-Forwarded-Client-Cert. The waypoint's
// Check is answered. Other workloads get no connection.
func (m *Mesh) nobodyElseAsks(t *testing.T) {
	answer, err := m.sendCheck(t, "spiffe://cluster.local/ns/shop/sa/waypoint")
	if err != nil {
		t.Fatal(err)
	}
	var body struct{ Reason decision.Reason }
	if err := json.Unmarshal([]byte(answer.GetDeniedResponse().GetBody()), &body); err != nil {
		t.Fatalf("%v: %v", err, answer)
	}
	if answer.GetStatus().GetCode() == 0 || body.Reason != decision.TokenMissing {
		t.Errorf("the waypoint is answered %s, want %s", body.Reason, decision.TokenMissing)
	}
	for _, id := range []string{
		"spiffe://cluster.local/ns/shop/sa/reports", "spiffe://cluster.local/ns/edge/sa/tyk-gateway",
		"spiffe://cluster.local/ns/edge/sa/waypoint", "spiffe://old.example/ns/shop/sa/waypoint",
	} {
		if answer, err := m.sendCheck(t, id); answer != nil || status.Code(err) != codes.Unavailable {
			t.Errorf("%s: got %v, %v", id, answer, err)
		}
	}
}

// sendCheck sends the authorizer a Check as a waypoint would, of a call by the gateway, with the
// certificate of a SPIFFE id.
func (m *Mesh) sendCheck(t *testing.T, id string) (*auth.CheckResponse, error) {
	t.Helper()
	holder, err := m.newClientTLS(id)
	if err != nil {
		t.Fatal(err)
	}
	holder.NextProtos = nil
	conn, err := grpc.NewClient(m.addressOf(authorizerHost, 9010), grpc.WithTransportCredentials(credentials.NewTLS(holder)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	return auth.NewAuthorizationClient(conn).Check(t.Context(), &auth.CheckRequest{Attributes: &auth.AttributeContext{
		Destination: &auth.AttributeContext_Peer{Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: m.net.Addr(111), PortSpecifier: &core.SocketAddress_PortValue{PortValue: inboundPort},
		}}}},
		Request: &auth.AttributeContext_Request{Http: &auth.AttributeContext_HttpRequest{
			Method: "GET", Path: "/tenants/acme/orders/1001", Host: "orders.shop.svc.cluster.local:8080",
			Headers: map[string]string{"x-forwarded-client-cert": "By=spiffe://cluster.local/ns/shop/sa/waypoint;URI=spiffe://cluster.local/ns/edge/sa/tyk-gateway"},
		}},
	}})
}

// A case that expects a closed connection must not pass because of a mistyped name.
func (m *Mesh) mistypedNameIsAnError(t *testing.T) {
	for _, s := range []scenarios.Send{
		{From: "ns/shop/sa/orders", Tunnel: "waypoint", To: "ledger"},
		{From: "ns/shop/sa/orders", Tunnel: "waypoint", To: "pod/ledger"},
		{From: "ns/shop/sa/orders", Tunnel: "ledger", To: "orders"},
		{From: "orders", Tunnel: "waypoint", To: "orders"},
	} {
		if _, err := m.findRoute(scenarios.Request{Send: s}); err == nil {
			t.Errorf("%+v leads somewhere", s)
		}
	}
}

// The pod in the files of this topology is as Istio would make it from the shipped Gateway.
func (m *Mesh) podHasTheGatewaysAnnotations(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(m.root, "manifests", "istio", "waypoint", "gateway.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var gateway struct {
		Spec struct {
			Infrastructure struct{ Annotations map[string]string }
		}
	}
	if err := yaml.Unmarshal(data, &gateway); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(gateway.Spec.Infrastructure.Annotations, m.workloads["waypoint"].Annotations); diff != "" {
		t.Errorf("(-Gateway +pod):\n%s", diff)
	}
}
