package cluster_test

import (
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
)

func TestWorkloads(t *testing.T) {
	got, err := cluster.LoadTourWorkloads("127.80.3.")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct{ spiffe, proxy string }{
		"tyk-gateway": {"spiffe://cluster.local/ns/edge/sa/tyk-gateway", "http://127.80.3.10:15080"},
		"orders":      {"spiffe://cluster.local/ns/shop/sa/orders", "http://127.80.3.11:15080"},
		"inventory":   {"spiffe://cluster.local/ns/shop/sa/inventory", "http://127.80.3.12:15080"},
		"reports":     {"spiffe://cluster.local/ns/shop/sa/reports", "http://127.80.3.13:15080"},
	}
	for name, w := range want {
		if g := got[name]; g.SPIFFE() != w.spiffe || g.ProxyURL() != w.proxy {
			t.Errorf("%s is %s behind %s", name, g.SPIFFE(), g.ProxyURL())
		}
		guarded := got[name].Labels["meshpass.dev/guarded"] == "true"
		if want := name != "tyk-gateway"; guarded != want {
			t.Errorf("%s: guarded is %t, want %t", name, guarded, want)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d workloads, want %d: the authorizer has no sidecar", len(got), len(want))
	}
}

func TestWhichEnvoyAPodHas(t *testing.T) {
	const pods = `kind: Pod
metadata: {name: ingress}
spec: {containers: [{args: [proxy, router, --domain, x]}]}
---
kind: Pod
metadata: {name: sidecar, labels: {security.istio.io/tlsMode: istio}}
---
kind: Pod
metadata: {name: none}
---
kind: Pod
metadata: {name: certificate, labels: {security.istio.io/tlsMode: istio}, annotations: {traffic.sidecar.istio.io/includeInboundPorts: ""}}
---
kind: Pod
metadata: {name: ambient, annotations: {ambient.istio.io/redirection: enabled}}
---
kind: Service
metadata: {name: service, labels: {security.istio.io/tlsMode: istio}}
`
	got, err := cluster.LoadWorkloads(fstest.MapFS{"pods.yaml": {Data: []byte(pods)}}, "127.80.3.")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got["ingress"].Type != envoy.Router || got["sidecar"].Type != envoy.Sidecar || !got["ambient"].Ambient || got["sidecar"].Ambient {
		t.Errorf("got %v", got)
	}
}

func TestServices(t *testing.T) {
	const objects = `kind: Service
metadata: {name: orders, namespace: shop}
spec: {clusterIP: 127.77.0.111}
---
kind: Pod
metadata: {name: orders, namespace: edge}
`
	got, err := cluster.LoadServices(fstest.MapFS{"orders.yaml": {Data: []byte(objects)}}, "127.80.3.")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got["orders.shop.svc.cluster.local"] != "127.80.3.111" {
		t.Errorf("got %v", got)
	}
	if _, err := cluster.LoadServices(fstest.MapFS{"orders.yaml": {Data: []byte("kind: [")}}, "127.80.3."); err == nil {
		t.Error("a malformed object was taken")
	}
}
