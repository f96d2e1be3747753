package main

import (
	"context"
	"net"
	"net/http"
	"time"

	discovery "istio.io/istio/pilot/pkg/xds"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/security"
	"istio.io/istio/pkg/test"

	"github.com/meshpass/meshpass/e2e/istiod/upstream"
)

// control runs Istio's control plane at the addresses of o until ctx ends, and calls ready
// once it has taken in m and answers Envoys.
func control(ctx context.Context, o options, m *manifests, ready func(net.Addr) error) error {
	// NewFakeDiscoveryServer wants a test to fail and to clean up after; Wrap
	// replaces one and turns the failure into an error.
	return test.Wrap(func(t test.Failer) {
		adapted := make(chan struct{})
		s := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
			MeshConfig:                 m.mesh,
			KubernetesObjects:          m.objects,
			Configs:                    m.configs,
			ListenerBuilder:            func() (net.Listener, error) { return listenLater(o.listen, adapted) },
			DisableSecretAuthorization: true, // the store in memory has no roles to ask
		})
		adapt(s.Discovery)
		close(adapted)
		if o.debug != "" {
			stop, err := serveDebug(o.debug, s.Discovery)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
		}
		if err := ready(s.Listener.Addr()); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
	})
}

// serveDebug serves the debug interface of a real istiod, which answers only clients on loopback without a token.
func serveDebug(addr string, s *discovery.DiscoveryServer) (stop func() error, err error) {
	mux := http.NewServeMux()
	s.InitDebug(mux, false, nil)
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // it ends with stop
	return server.Close, nil
}

// adapt changes what needs a cluster around it.
func adapt(s *discovery.DiscoveryServer) {
	security.AuthPlaintext = true
	s.Authenticators = []security.Authenticator{claimed{}}
	s.Generators[v3.ListenerType] = podBound{upstream.Listeners(s.Generators[v3.ListenerType])}
}

// later accepts no connection until it is released: the helper would serve output that is not adapted yet.
type later struct {
	net.Listener
	may <-chan struct{}
}

func listenLater(addr string, may <-chan struct{}) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	return later{l, may}, err
}

func (l later) Accept() (net.Conn, error) {
	<-l.may
	return l.Listener.Accept()
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
