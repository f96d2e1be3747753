package main

import (
	"context"
	"net"

	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test"
)

// control runs Istio's control plane on addr until ctx ends, and calls ready
// once it has taken in m and answers Envoys.
func control(ctx context.Context, addr string, m *manifests, ready func(net.Addr) error) error {
	// NewFakeDiscoveryServer wants a test to fail and to clean up after; Wrap
	// stands in for one and turns the failure into an error.
	return test.Wrap(func(t test.Failer) {
		s := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
			MeshConfig:        m.mesh,
			KubernetesObjects: m.objects,
			Configs:           m.configs,
			ListenerBuilder:   func() (net.Listener, error) { return net.Listen("tcp", addr) },
		})
		if err := ready(s.Listener.Addr()); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
	})
}

// quieten leaves Istio's warnings and errors, on standard error. The default
// scope is left out: there it reports, at each start, that the store in memory
// holds custom resource definitions without Gateway API's version annotation.
func quieten() {
	opts := log.DefaultOptions()
	opts.OutputPaths = []string{"stderr"}
	_ = log.Configure(opts) // fails only on an output path or level that does not exist
	for name, scope := range log.Scopes() {
		level := log.WarnLevel
		if name == log.DefaultScopeName {
			level = log.FatalLevel
		}
		scope.SetOutputLevel(level)
	}
}
