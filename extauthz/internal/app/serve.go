package app

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/extauthz/internal/ops"
)

// service is the authorizer while it runs.
type service struct {
	*authorizer
	servers   []*grpc.Server
	listening []*limits.Listener
	health    *health.Server
	ready     *ops.Readiness
	probes    *http.Server
	broken    chan error // what ended one of the listeners
}

// serve answers on every listener until ctx ends or one of them breaks; then
// all stop, since half an authorizer would hide the fault.
func (a *authorizer) serve(ctx context.Context, bound sockets, checks []*check.Server) error {
	a.serving.Store(true)
	defer a.sources.watch(a.Poll)() // until the last Check is answered
	s := &service{authorizer: a, health: health.NewServer()}
	s.ready = ops.NewReadiness(a.named(), a.registry.Issuers, a.auditStatus, s.limitsUsage, a.revocationNotes)
	s.start(ctx, bound, checks)
	failure := s.run(ctx)
	s.stop(failure != nil)
	return failure
}

// run returns when a stop is due, and why, unless ctx says so.
func (s *service) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.broken:
			return fmt.Errorf("a listener broke: %w", err)
		case <-s.Hangup:
			s.reopenAudit()
		}
	}
}

// maxProbes is how many connections ops may have: those of kubelet, Prometheus and
// people are a handful.
const maxProbes = 100

func (s *service) start(ctx context.Context, bound sockets, checks []*check.Server) {
	s.broken = make(chan error, len(checks)+1)
	s.warn()
	s.warnMemory()
	s.warnTrust(s.trust.Get().entries)
	s.warnUnknownIssuers()
	for i, listener := range bound.grpc {
		bounded, options := s.transport(listener, checks[i].Listener(), s.admit[i])
		server := check.NewGRPC(checks[i], options...)
		healthpb.RegisterHealthServer(server, s.health)
		s.servers, s.listening = append(s.servers, server), append(s.listening, bounded)
		go func() { s.broken <- server.Serve(bounded) }()
		s.Log.Info("listening", "listener", checks[i].Listener(), "address", listener.Addr().String())
	}
	s.metrics.Watch(s.named())
	s.metrics.Policies(s.policiesStatus)
	s.metrics.Issuers(s.registry.Issuers)
	s.metrics.Limits(s.limitsUsage)
	s.metrics.Revocations(s.revocationLists())
	s.metrics.Audit(s.auditStatus)
	if s.LogStats != nil {
		s.metrics.LogLines(s.LogStats)
	}
	if s.material != nil {
		s.metrics.Certificate(func() time.Time { return s.material.Get().NotAfter() })
	}
	s.probes = ops.NewServer(s.ready, s.metrics, s.registry.Published, s.report, s.Log)
	if bound.ops != nil {
		probes := limits.New(limits.Limits{Connections: maxProbes}, s.Log).Listen(bound.ops, "ops", limits.HTTP1)
		s.listening = append(s.listening, probes)
		go func() { s.broken <- s.probes.Serve(probes) }()
		s.Log.Info("probes and metrics", "address", bound.ops.Addr().String())
	}
	s.health.SetServingStatus(check.ServiceName, healthpb.HealthCheckResponse_SERVING)
	s.readyWithKeys(ctx)
	s.tellRefused(s.documents.Get())
	s.tellOverrides()
	set := s.inForce.Load()
	s.Log.Info("serving", "policies", set.Len(), "generation", set.Generation())
}

// readyWithKeys: a replica that has started while every JWKS server is away, and
// has no seed, answers, but is not ready: in a rollout, the replicas that still
// hold keys stay. Once ready, it stays so, as all replicas lose their keys at the
// same time. It does not end either, since starting anew would mend nothing.
func (s *service) readyWithKeys(ctx context.Context) {
	select {
	case <-s.registry.Usable():
		s.ready.Serving()
		return
	default:
		s.Log.Error("not ready: there are no keys of any issuer yet")
	}
	go func() {
		select {
		case <-s.registry.Usable():
			s.ready.Serving()
		case <-ctx.Done():
		}
	}()
}

// stop has callers go elsewhere first: readiness and health say so, and for a
// while Checks are answered as before, because the news takes its time. Then
// every connection is told to end (GOAWAY), and its open Checks may finish. The
// probes answer to the last.
func (s *service) stop(atOnce bool) {
	s.ready.Stopping()
	s.health.Shutdown()
	if s.ops != "" && !atOnce {
		s.Log.Info("not ready from here on", "drain_delay", s.DrainDelay.String())
		select {
		case <-time.After(s.DrainDelay):
		case err := <-s.broken:
			s.Log.Error("a listener broke while it was to be left", "error", err)
		}
	}
	s.Log.Info("stopping", "drain", s.Drain.String())
	stopServers(s.servers, s.Drain)
	if err := s.probes.Close(); err != nil {
		s.Log.Warn("probes and metrics did not close", "error", err)
	}
	s.Log.Info("stopped")
}

// stopServers lets open Checks end, and after the deadline ends them: a client
// that watches our health keeps its stream open for ever. A Check that hangs even
// then is left behind: GracefulStop waits for it, the process does not.
func stopServers(servers []*grpc.Server, within time.Duration) {
	var graceful sync.WaitGroup
	for _, server := range servers {
		graceful.Go(server.GracefulStop)
	}
	ended := make(chan struct{})
	go func() {
		graceful.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(within):
		for _, server := range servers {
			server.Stop()
		}
	}
}
