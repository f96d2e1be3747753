package app

import (
	"strings"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
)

const (
	waypointListener = `
listeners: [{name: waypoint, grpc: "127.0.0.1:0", caller: xfcc, callee: service, services: services.yaml}]
ops: "127.0.0.1:0"
insecure: {xfccFromAnyClient: true}
`
	ordersService = "services: [{namespace: shop, name: orders, addresses: [10.96.0.7], ports: [8080]}]"
)

// throughWaypoint is alice's order as a waypoint asks about it.
func throughWaypoint(t *testing.T, caller, address string) *auth.CheckRequest {
	request := order(t, "")
	request.Attributes.Destination = &auth.AttributeContext_Peer{
		Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: address, PortSpecifier: &core.SocketAddress_PortValue{PortValue: 8080},
		}}},
	}
	request.Attributes.Request.Http.Headers[decide.XFCCHeader] = from(caller)
	return request
}

// The file of Services is followed like the policies; what cannot be used changes
// nothing.
func TestServicesAreFollowed(t *testing.T) {
	f := newFiles(t, waypointListener)
	f.write("services.yaml", ordersService)
	f.write("policies/orders.yaml", strings.Replace(allowing("from-the-edge"), "ns/shop/sa/orders", "service/shop/orders", 1))
	a := startAsked(t, f)
	reason := func(address string) string {
		return reasonOf(t, a, t.Context(), throughWaypoint(t, gateway, address))
	}
	expect := func(address, want string) {
		t.Helper()
		if got := reason(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
	expect("10.96.0.7", "rule_allowed")
	expect("10.96.0.8", "no_callee")

	f.write("services.yaml", strings.Replace(ordersService, "10.96.0.7", "10.96.0.8", 1))
	a.await(t, "services reloaded")
	expect("10.96.0.7", "no_callee")
	expect("10.96.0.8", "rule_allowed")

	for i, bad := range []string{"", "services: [", strings.Replace(ordersService, "[10.96.0.7]", "[10.96.0.7, 10.96.0.7]", 1)} {
		f.write("services.yaml", bad)
		eventually(t, "not refused", func() bool { return a.logged(refusedMessage) == i+1 })
		expect("10.96.0.8", "rule_allowed")
	}
	a.shows(t, "services/waypoint", 0, 3, "ready\n", "services/waypoint: active since", "10.96.0.7:8080 is taken by service/shop/orders")

	f.write("services.yaml", ordersService)
	eventually(t, "not fixed", func() bool { return reason("10.96.0.7") == "rule_allowed" })
	a.shows(t, "services/waypoint", 1, 3, "ready\n")
}

// The setting that lets any client name the caller is logged with its effect.
func TestXFCCFromAnyClientWarns(t *testing.T) {
	f := newFiles(t, waypointListener)
	f.write("services.yaml", ordersService)
	a := startAsked(t, f)
	if got := a.matches(`"level":"WARN","msg":"(insecure\.xfccFromAnyClient): `); len(got) != 1 {
		t.Errorf("log: %s", a.log.String())
	}
}
