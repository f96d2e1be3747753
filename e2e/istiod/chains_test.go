package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/simulation"
)

var (
	// orders has the file in manifests/istio/tcp and its label; inventory has the label; reports has neither.
	orders    = pod{name: "orders", namespace: "shop", address: "10.98.77.11", labels: map[string]string{"app": "orders", "meshpass.dev/guarded": "tcp"}}
	inventory = pod{name: "inventory", namespace: "shop", address: "10.98.77.12", labels: map[string]string{"app": "inventory", "meshpass.dev/guarded": "true"}}
	reports   = pod{name: "reports", namespace: "shop", address: "10.98.77.13", labels: map[string]string{"app": "reports"}}
	observed  = pod{name: "inventory", namespace: "shop", address: "10.98.77.12", labels: map[string]string{"app": "inventory", "meshpass.dev/guarded": "observe"}}
	forgotten = pod{name: "orders", namespace: "shop", address: "10.98.77.11", labels: map[string]string{"app": "orders"}}
	open      = pod{name: "open", namespace: "shop", address: "10.98.77.16", labels: map[string]string{"meshpass.dev/guarded": "open"}}
	meshpass  = pod{name: "meshpass", namespace: "meshpass", address: "10.98.77.5", labels: map[string]string{"app": "meshpass"}}
	ingress   = pod{name: "istio-ingressgateway", namespace: "istio-system", address: "10.98.77.14", labels: map[string]string{"istio": "ingressgateway"}, kind: model.Router}
	egress    = pod{name: "istio-egressgateway", namespace: "istio-system", address: "10.98.77.15", labels: map[string]string{"istio": "egressgateway"}, kind: model.Router}
)

const (
	asks        = "asks outbound|9000||meshpass.meshpass.svc.cluster.local"
	asksBeside  = "asks outbound|9000||authorizer.meshpass.internal"
	asksIngress = "asks outbound|9020||meshpass-ingress.meshpass.svc.cluster.local"
	catchall    = "virtualInbound-catchall-http" // HTTP to a port that no Service names
	virtual     = "virtualInbound"               // the same, not HTTP
)

// Where pods are intercepted, each connection takes one of its Envoy's filter chains, and the filters of our policies are
// on all of them. Which of them take a hand is what the ports in the policies say.
func TestChains(t *testing.T) {
	for _, row := range []struct {
		name    string
		pod     pod
		folders []string // of manifests/istio
		call    simulation.Call
		chain   string
		meets   []string
		cluster string
		err     error
	}{
		{"HTTP to a labelled workload", inventory, nil, in(8080, simulation.HTTP), "0.0.0.0_8080", []string{asks}, "", nil},
		{"HTTP 2", inventory, nil, in(8080, simulation.HTTP2), "0.0.0.0_8080", []string{asks}, "", nil},
		{"TCP to a labelled workload", inventory, nil, in(9099, simulation.TCP), "0.0.0.0_9099", []string{asks}, "", nil},
		{"HTTP to a port that no Service names", inventory, nil, in(7777, simulation.HTTP), catchall, []string{asks}, "", nil},
		{"TCP to a port that no Service names", inventory, nil, in(7777, simulation.TCP), virtual, []string{asks}, "", nil},
		{"plaintext, as of a probe that injection has not rewritten", inventory, nil, plaintext(8080), "", nil, "", simulation.ErrNoFilterChain},
		{"plaintext to a port that no Service names", inventory, nil, plaintext(7777), "", nil, "", simulation.ErrNoFilterChain},

		{"plaintext before mutual TLS is required", inventory, []string{permissive}, plaintext(8080), "0.0.0.0_8080", []string{asks}, "", nil},

		{"HTTP to an observed workload", observed, []string{permissive}, in(8080, simulation.HTTP), "0.0.0.0_8080", []string{asks}, "", nil},
		{"TCP to an observed workload: it takes a policy with ports", observed, []string{permissive}, in(9099, simulation.TCP), "0.0.0.0_9099", []string{asks}, "", nil},

		{"guarded port", orders, []string{"tcp"}, in(8080, simulation.HTTP), "0.0.0.0_8080", []string{asks, "ALLOW"}, "", nil},
		{"declared TCP port", orders, []string{"tcp"}, in(9099, simulation.TCP), "0.0.0.0_9099", []string{"ALLOW"}, "", nil},
		{"forgotten port of a Service", orders, []string{"tcp"}, in(9098, simulation.HTTP), "0.0.0.0_9098", []string{"DENY", "ALLOW of none"}, "", nil},
		{"forgotten port that no Service names", orders, []string{"tcp"}, in(7777, simulation.HTTP), catchall, []string{"DENY", "ALLOW of none"}, "", nil},
		{"the same, TCP", orders, []string{"tcp"}, in(7777, simulation.TCP), virtual, []string{"DENY", "ALLOW of none"}, "", nil},
		{"TCP to the guarded port", orders, []string{"tcp"}, in(8080, simulation.TCP), "0.0.0.0_8080", []string{asks, "ALLOW"}, "", simulation.ErrProtocolError},
		{"the file without the label: guarded port", forgotten, []string{"tcp"}, in(8080, simulation.HTTP), "0.0.0.0_8080", []string{"ALLOW of none"}, "", nil},
		{"the file without the label: TCP port", forgotten, []string{"tcp"}, in(9099, simulation.TCP), "0.0.0.0_9099", []string{"ALLOW"}, "", nil},

		{"fence: a labelled workload", inventory, []string{"fence", "tcp"}, in(8080, simulation.HTTP), "0.0.0.0_8080", []string{asks, "ALLOW"}, "", nil},
		{"fence: a workload with its file", orders, []string{"fence", "tcp"}, in(9099, simulation.TCP), "0.0.0.0_9099", []string{"ALLOW"}, "", nil},
		{"fence: a forgotten file", orders, []string{"fence"}, in(8080, simulation.HTTP), "0.0.0.0_8080", []string{"ALLOW of none"}, "", nil},
		{"fence: a forgotten workload", reports, []string{"fence", "tcp"}, in(8080, simulation.HTTP), catchall, []string{"ALLOW of none"}, "", nil},
		{"fence: a workload of the open provider", open, []string{"fence"}, in(8080, simulation.HTTP), catchall, []string{asks, "ALLOW"}, "", nil},
		{"no fence: a forgotten workload", reports, []string{"tcp"}, in(8080, simulation.HTTP), catchall, nil, "", nil},

		{"a check", meshpass, nil, in(9000, simulation.HTTP2), "0.0.0.0_9000", []string{"ALLOW"}, "", nil},
		{"a scrape of the authorizer", meshpass, nil, in(9090, simulation.HTTP), catchall, []string{"ALLOW"}, "", nil},
		{"any other port of the authorizer", meshpass, nil, in(9091, simulation.HTTP), catchall, []string{"ALLOW of none"}, "", nil},
		{"what the authorizer sends itself", meshpass, nil, out(8080, "inventory.shop.svc.cluster.local"), "", nil, "outbound|8080||inventory.shop.svc.cluster.local", nil},
		{"the authorizer in the pod", inventory, []string{"beside"}, in(8080, simulation.HTTP), "0.0.0.0_8080", []string{asksBeside}, "", nil},

		{"ingress gateway", ingress, []string{"ingress"}, atGateway(8443, "orders.demo.meshpass.dev", simulation.TLS), "", []string{asksIngress}, "outbound|8080||orders.shop.svc.cluster.local", nil},

		{"to a Service of the mesh", orders, []string{"egress"}, out(8080, "inventory.shop.svc.cluster.local"), "", []string{"egress"}, "outbound|8080||inventory.shop.svc.cluster.local", nil},
		{"out of the mesh", orders, []string{"egress"}, out(80, "direct.example"), "", []string{"egress"}, "outbound|80||direct.example", nil},
		{"out through a gateway", orders, []string{"egress"}, out(80, "partner.example"), "", []string{"egress"}, "outbound|80||istio-egressgateway.istio-system.svc.cluster.local", nil},
		{"egress gateway", egress, []string{"egress"}, atGateway(8080, "partner.example", simulation.Plaintext), "", []string{"egress"}, "outbound|80||partner.example", nil},
		{"an unknown host, port that no Service has", orders, []string{"egress"}, out(7777, "unknown.example"), "", nil, "BlackHoleCluster", nil},
		{"the same, without install.yaml of egress", orders, nil, out(7777, "unknown.example"), "", nil, "PassthroughCluster", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			chain := &listener.FilterChain{} // of a call that finds none
			row.call.CustomListenerValidations = []simulation.CustomFilterChainValidation{func(c *listener.FilterChain) error { chain = c; return nil }}
			got := simulator(t, row.pod, row.folders...).Run(row.call)
			got.Matches(t, simulation.Result{FilterChainMatched: row.chain, ClusterMatched: row.cluster, Error: row.err})
			if met := meets(t, chain, row.call.Port); !slices.Equal(met, row.meets) {
				t.Errorf("on chain %q it meets %q, want %q", got.FilterChainMatched, met, row.meets)
			}
		})
	}
}

// An Envoy that knows the other cluster's trust domain as an alias takes it for its own in all of Istio's policies, the
// guard of a waypoint's workloads among them. Meshpass does not, unless its configuration has the alias too.
func TestIstioTakesAnAliasForItsOwn(t *testing.T) {
	const east, west = "spiffe://cluster.local/ns/shop/sa/waypoint", "spiffe://west.example/ns/shop/sa/waypoint"
	for _, row := range []struct {
		folders []string
		want    bool
	}{
		{[]string{"waypoint"}, false},
		{[]string{"waypoint", "multicluster/east"}, true},
	} {
		guarded := fmt.Sprint(simulator(t, inventory, row.folders...).Listeners)
		if !strings.Contains(guarded, east) || strings.Contains(guarded, west) != row.want {
			t.Errorf("%v: the guard lets in %s: %t, and %s: %t, want %t", row.folders, east, strings.Contains(guarded, east), west, strings.Contains(guarded, west), row.want)
		}
	}
}

func in(port int, p simulation.Protocol) simulation.Call {
	return simulation.Call{Port: port, Protocol: p, TLS: simulation.MTLS, CallMode: simulation.CallModeInbound, HostHeader: "orders.shop.svc.cluster.local"}
}

func plaintext(port int) simulation.Call {
	return simulation.Call{Port: port, Protocol: simulation.HTTP, CallMode: simulation.CallModeInbound}
}

func out(port int, host string) simulation.Call {
	return simulation.Call{Port: port, Protocol: simulation.HTTP, CallMode: simulation.CallModeOutbound, HostHeader: host}
}

func atGateway(port int, host string, mode simulation.TLSMode) simulation.Call {
	return simulation.Call{Port: port, Protocol: simulation.HTTP, TLS: mode, CallMode: simulation.CallModeGateway, HostHeader: host}
}
