package app

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/meshpass/meshpass/extauthz/check"
)

// serve answers on every listener until ctx ends or one of them breaks; then
// all stop, since half an authorizer would hide the fault.
func (a *authorizer) serve(ctx context.Context, listeners []net.Listener, checks []*check.Server) error {
	state := health.NewServer()
	servers := make([]*grpc.Server, len(listeners))
	broken := make(chan error, len(listeners))
	for i, listener := range listeners {
		servers[i] = check.NewGRPC(checks[i])
		healthpb.RegisterHealthServer(servers[i], state)
		go func() { broken <- servers[i].Serve(listener) }()
		a.Log.Info("listening", "listener", checks[i].Listener, "address", listener.Addr().String())
	}
	state.SetServingStatus(check.ServiceName, healthpb.HealthCheckResponse_SERVING)
	a.Log.Info("serving", "policies", a.policies.Len(), "generation", a.policies.Generation())

	var failure error
	select {
	case <-ctx.Done():
		a.Log.Info("stopping", "drain", a.Drain.String())
	case err := <-broken:
		failure = fmt.Errorf("a listener broke: %w", err)
	}
	state.Shutdown() // NOT_SERVING from here on, so that no new caller chooses us
	stop(servers, a.Drain)
	a.Log.Info("stopped")
	return failure
}

// stop lets open Checks end, and after the deadline ends them: a client that
// watches our health keeps its stream open for ever.
func stop(servers []*grpc.Server, within time.Duration) {
	var graceful sync.WaitGroup
	for _, server := range servers {
		graceful.Go(server.GracefulStop)
	}
	timer := time.AfterFunc(within, func() {
		for _, server := range servers {
			server.Stop()
		}
	})
	defer timer.Stop()
	graceful.Wait()
}
