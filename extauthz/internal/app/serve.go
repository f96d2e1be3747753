package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/extauthz/internal/liveness"
	"github.com/meshpass/meshpass/extauthz/internal/ops"
	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/extauthz/internal/transport"
)

// service is the authorizer while it runs.
type service struct {
	authorizer *authorizer
	log        *slog.Logger
	checks     []*check.Server
	bound      sockets

	health    *health.Server
	updating  sync.Mutex // one update of health at a time
	checking  *liveness.Monitor
	ready     *ops.Readiness
	servers   []*grpc.Server
	listening []*limits.Listener
	probes    *http.Server
	debug     *http.Server // nil: it is not configured
	broken    chan error   // the error that ended one of the listeners
}

func newService(a *authorizer, checks []*check.Server, bound sockets) *service {
	s := &service{
		authorizer: a, log: a.process.Log, checks: checks, bound: bound,
		health: health.NewServer(), broken: make(chan error, len(checks)+2),
	}
	s.checking = liveness.New(s.log, s.updateHealth, selfChecks(checks)...)
	s.ready = ops.NewReadiness(s.checking, a.opsSources(), a.registry.Issuers, a.audit.status, s.limitsUsage, a.revoked.notes)
	s.updateHealth()
	return s
}

// selfChecks are the questions that each listener is asked.
func selfChecks(servers []*check.Server) (all []liveness.Listener) {
	for _, server := range servers {
		all = append(all, liveness.Listener{Name: server.Listener(), Ask: server.CheckSelf})
	}
	return all
}

// runSelfChecks asks until the returned function is called. It does not wait for questions that hang.
func (s *service) runSelfChecks() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go s.checking.Run(ctx)
	return cancel
}

// updateHealth has grpc.health.v1 follow the readiness, for the process and for its service by name.
func (s *service) updateHealth() {
	s.updating.Lock()
	defer s.updating.Unlock()
	serving := healthpb.HealthCheckResponse_NOT_SERVING
	if s.ready.IsReady() {
		serving = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", serving)
	s.health.SetServingStatus(check.ServiceName, serving)
}

// serve answers on every listener until ctx ends or one of them breaks; then
// all stop, since half an authorizer would hide the fault.
func (s *service) serve(ctx context.Context) error {
	s.logWarnings()
	s.listen()
	s.showMetrics()
	s.serveProbes()
	s.serveDebug()
	defer s.runSelfChecks()()
	s.becomeReady(ctx)
	s.logPolicies()
	failure := s.wait(ctx)
	s.drain(failure != nil)
	return failure
}

func (s *service) logWarnings() {
	a := s.authorizer
	sum := a.config.memory()
	s.log.Info("memory at most", "process", int64(processMemory), "peers", int64(sum-processMemory))
	a.findWarnings(debug.SetMemoryLimit(-1)).log(s.log)
	descriptorsBelow(a.config.descriptors(), maxDescriptors()).log(s.log)
	a.revoked.warnUnknownIssuers()
}

func (s *service) listen() {
	for i, socket := range s.bound.grpc {
		name := s.checks[i].Listener()
		bounded, options := s.boundConnections(socket, name, s.authorizer.settings.admissions[i])
		server := check.NewGRPC(s.checks[i], options...)
		healthpb.RegisterHealthServer(server, s.health)
		s.servers, s.listening = append(s.servers, server), append(s.listening, bounded)
		go func() { s.broken <- server.Serve(bounded) }()
		s.log.Info("listening", "listener", name, "address", socket.Addr().String())
	}
}

// boundConnections bounds the connections of a listener, and returns the options of its gRPC server.
func (s *service) boundConnections(socket net.Listener, name string, admit admission) (*limits.Listener, []grpc.ServerOption) {
	a := s.authorizer
	if a.certificates == nil {
		return a.limiter.Listen(socket, name, limits.HTTP2), nil
	}
	bounded := a.limiter.Listen(socket, name, limits.HTTP2OverTLS)
	logFailure := func(client net.Addr, err error) {
		a.limiter.Warn("handshake", "TLS handshake failed", "listener", name, "client", client.String(), "error", err)
	}
	tls := transport.Credentials(a.certificates.Get, admit.handshake, logFailure)
	return bounded, []grpc.ServerOption{grpc.Creds(bounded.CountingCredentials(tls))}
}

func (s *service) showMetrics() {
	a, metrics := s.authorizer, s.authorizer.metrics
	metrics.ShowSources(a.opsSources())
	metrics.ShowPolicies(a.policies.status)
	metrics.ShowIssuers(a.registry.Issuers)
	metrics.ShowLimits(s.limitsUsage)
	metrics.ShowRevocations(a.revoked.lists())
	metrics.ShowAudit(a.audit.status)
	metrics.ShowSelfChecks(s.checking.Silent)
	if a.tracer != nil {
		metrics.ShowSpans(a.tracer.Stats)
	}
	if a.process.LogStats != nil {
		metrics.ShowLogLines(a.process.LogStats)
	}
	if a.certificates != nil {
		metrics.ShowCertificate(func() time.Time { return a.certificates.Get().NotAfter() })
	}
}

// limitsUsage is for the metrics and for /readyz?verbose.
func (s *service) limitsUsage() ops.Limits {
	usage := s.authorizer.limiter.Usage()
	now := ops.Limits{
		Checks:      ops.Used{Now: int64(usage.Checks), Max: int64(usage.MaxChecks)},
		Bytes:       ops.Used{Now: usage.Bytes, Max: usage.MaxBytes},
		Watches:     ops.Used{Now: int64(usage.Watches), Max: int64(usage.MaxWatches)},
		Descriptors: countDescriptors(),
	}
	for _, listener := range s.listening {
		c := listener.Connections()
		now.Listeners = append(now.Listeners, ops.Connections{
			Listener: c.Listener, Used: ops.Used{Now: int64(c.Open), Max: int64(c.Max)}, Refused: c.Refused,
			Deadline: listener.Deadline(), EnvoyTimeout: c.ShortestTimeout,
		})
	}
	return now
}

// maxProbes is how many connections ops may have: those of kubelet, Prometheus and
// people are a handful.
const maxProbes = 100

func (s *service) serveProbes() {
	a := s.authorizer
	report := s.statusReport
	s.probes = ops.NewServer(s.ready, a.metrics, a.registry.Published, report, s.log)
	if s.bound.ops == nil {
		return
	}
	bounded := limits.New(limits.Limits{Connections: maxProbes}, s.log).Listen(s.bound.ops, "ops", limits.HTTP1)
	s.listening = append(s.listening, bounded)
	go func() { s.broken <- s.probes.Serve(bounded) }()
	s.log.Info("probes and metrics", "address", s.bound.ops.Addr().String())
}

// statusReport is the answer of /status, made when it is asked for.
func (s *service) statusReport() status.Report {
	report := s.authorizer.statusReport(s.ready.State())
	usage := s.limitsUsage()
	report.Limits, report.Deadlines = usage.List(), usage.Deadlines()
	return report
}

// becomeReady: a replica that has started while every JWKS server is away, and
// has no seed, answers, but is not ready: in a rollout, the replicas that still
// have keys stay. Once ready, it stays so, as all replicas lose their keys at the
// same time. It does not end either, since another start would fix nothing.
func (s *service) becomeReady(ctx context.Context) {
	usable := s.authorizer.registry.Usable()
	select {
	case <-usable:
		s.ready.SetServing()
		s.updateHealth()
		return
	default:
		s.log.Error("not ready: there are no keys of any issuer yet")
	}
	go func() {
		select {
		case <-usable:
			s.ready.SetServing()
			s.updateHealth()
		case <-ctx.Done():
		}
	}()
}

func (s *service) logPolicies() {
	p := s.authorizer.policies
	p.logRejectedDocuments(p.documents.Get())
	p.logOverrides()
	set := p.set.Load()
	s.log.Info("serving", "policies", set.Len(), "generation", set.Generation())
}

// wait returns when a stop is due, with the reason unless ctx has ended.
func (s *service) wait(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.broken:
			return fmt.Errorf("a listener broke: %w", err)
		case <-s.authorizer.process.Hangup:
			s.authorizer.audit.reopen()
		}
	}
}

// drain has callers go elsewhere first: readiness and health say so, and for a
// while Checks are answered as before, because the news takes its time. Then
// every connection is asked to end (GOAWAY), and its open Checks may finish. The
// probes answer to the last.
func (s *service) drain(atOnce bool) {
	p := s.authorizer.process
	s.ready.SetStopping()
	s.health.Shutdown()
	if s.bound.ops != nil && !atOnce {
		s.log.Info("not ready from here on", "drain_delay", p.DrainDelay.String())
		select {
		case <-time.After(p.DrainDelay):
		case err := <-s.broken:
			s.log.Error("a listener broke during the drain delay", "error", err)
		}
	}
	s.log.Info("stopping", "drain", p.Drain.String())
	stopServers(s.servers, p.Drain)
	if err := s.probes.Close(); err != nil {
		s.log.Warn("probes and metrics did not close", "error", err)
	}
	if s.debug != nil {
		_ = s.debug.Close() // a profile that is being made ends with the process
	}
	s.log.Info("stopped")
}

// stopServers lets open Checks end, and ends them after the deadline: a client
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

// sockets are all that the process listens on.
type sockets struct {
	grpc  []net.Listener // one for each listener of the configuration, in its order
	ops   net.Listener   // nil: not configured
	debug net.Listener   // nil: not configured
}

// bind opens all addresses. If one of them fails, it closes the others, so that half an authorizer
// never runs.
func bind(c config) (sockets, error) {
	var bound sockets
	var failures []error
	for _, l := range c.Listeners {
		socket, err := listenOn(fmt.Sprintf("listener %q", l.Name), l.GRPC)
		bound.grpc, failures = append(bound.grpc, socket), append(failures, err)
	}
	if c.Ops != "" {
		socket, err := listenOn("ops", c.Ops)
		bound.ops, failures = socket, append(failures, err)
	}
	if c.Debug != "" {
		socket, err := listenOn("debug", c.Debug)
		bound.debug, failures = socket, append(failures, err)
	}
	if err := errors.Join(failures...); err != nil {
		return sockets{}, errors.Join(err, bound.closeAll())
	}
	return bound, nil
}

func listenOn(name, address string) (net.Listener, error) {
	socket, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", name, address, withoutAddress(err))
	}
	return socket, nil
}

func (s sockets) closeAll() error {
	var failures []error
	for _, socket := range append(s.grpc, s.ops, s.debug) {
		if socket != nil {
			failures = append(failures, socket.Close())
		}
	}
	return errors.Join(failures...)
}

// withoutAddress strips the address, which the message has already.
func withoutAddress(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
