package app

import (
	"context"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/liveness"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// newIdleService is an authorizer with probes that listens nowhere and does not ask itself: a test begins each interval.
func newIdleService(t *testing.T, file string, bound sockets, changes ...func(*Process, *decide.Config)) (s *service, probes string) {
	t.Helper()
	p := process(file)
	var decider decide.Config
	for _, change := range changes {
		change(&p, &decider)
	}
	a, err := loadWithKeys(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.shutDown)
	servers, err := a.newCheckServers()
	if err != nil {
		t.Fatal(err)
	}
	if decider.Policies != nil {
		decider.Listener, decider.TokenFailure, decider.Verifier = "sidecar", 403, a.registry.Verifier
		decider.Peers = decide.Peers{NoCaller: true, Callee: decide.CalleeNamed(identity.Workload("gateway/front"))}
		decider.Audit, decider.Meter, decider.Log, decider.Now = a.audit.records, a.metrics.Listener("sidecar"), p.Log, p.Now
		server, err := check.New(check.Config{Decide: decider, Admit: func(context.Context) error { return nil }, Limiter: a.limiter})
		if err != nil {
			t.Fatal(err)
		}
		servers = []*check.Server{server}
	}
	s = newService(a, servers, bound)
	s.listen()
	t.Cleanup(func() {
		for _, server := range s.servers {
			server.Stop()
		}
	})
	s.showMetrics()
	s.serveProbes()
	s.becomeReady(t.Context())
	server := httptest.NewServer(s.probes.Handler)
	t.Cleanup(server.Close)
	return s, server.URL
}

// beginInterval asks every listener, and waits for the answers.
func (s *service) beginInterval(t *testing.T) {
	t.Helper()
	s.checking.AskAll(t.Context())
	eventually(t, "a self-check is not answered", func() bool { return s.checking.Open() == 0 })
}

func (s *service) requireHealth(t *testing.T, want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	for _, name := range []string{"", "envoy.service.auth.v3.Authorization"} {
		answer, err := s.health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
		if err != nil || answer.GetStatus() != want {
			t.Errorf("service %q: got %v, %v, want %v", name, answer, err, want)
		}
	}
}

// While a decision hangs, /livez fails after the bound and not before, readiness and health are withdrawn, and all recover as
// soon as decisions are answered.
func TestDecisionsThatHang(t *testing.T) {
	released, policies := make(chan struct{}), (*policy.Set)(nil)
	s, probes := newIdleService(t, newFiles(t, oneListener).config, sockets{}, func(_ *Process, c *decide.Config) {
		c.Policies = func() *policy.Set { <-released; return policies }
	})
	policies = s.authorizer.policies.set.Load()
	for range liveness.Bound {
		s.checking.AskAll(t.Context())
		if status, body := get(t, probes+"/livez"); status != 200 || body != "alive\n" {
			t.Fatalf("before the bound: %d %s", status, body)
		}
		s.requireHealth(t, healthpb.HealthCheckResponse_SERVING)
	}
	s.checking.AskAll(t.Context())
	const hangs = "decisions of listener sidecar hang: no self-check was answered for 10s\n"
	if status, body := get(t, probes+"/livez"); status != 503 || body != "not alive: "+hangs {
		t.Errorf("at the bound: %d %s", status, body)
	}
	if status, body := get(t, probes+"/readyz"); status != 503 || !strings.HasPrefix(body, "not ready: decisions hang\nmissing: "+hangs) {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if metrics := body(t, probes+"/metrics"); !strings.Contains(metrics, `meshpass_self_check_unanswered_seconds{listener="sidecar"} 10`+"\n") {
		t.Errorf("metrics: %s", metrics)
	}
	s.requireHealth(t, healthpb.HealthCheckResponse_NOT_SERVING)

	close(released)
	eventually(t, "never alive again", func() bool { status, _ := get(t, probes+"/livez"); return status == 200 })
	if status, body := get(t, probes+"/readyz"); status != 200 || !strings.HasPrefix(body, "ready\n") {
		t.Errorf("/readyz: %d %s", status, body)
	}
	eventually(t, "never healthy again", func() bool {
		answer, err := s.health.Check(t.Context(), &healthpb.HealthCheckRequest{})
		return err == nil && answer.GetStatus() == healthpb.HealthCheckResponse_SERVING
	})
	s.beginInterval(t)
	s.requireHealth(t, healthpb.HealthCheckResponse_SERVING)
}

// stalled is an output without a reader.
type stalled struct{ release chan struct{} }

func (s stalled) Write(p []byte) (int, error) { <-s.release; return len(p), nil }

// All places of limits.inFlight are taken, nobody reads the audit trail, which is required, and its queue is full, no issuer has keys, and Redis is
// away: a restart would help with none of these, so /livez does not fail, however long they last.
func TestWhatIsNoReasonForARestart(t *testing.T) {
	redis := listen(t)
	release(t, redis)
	east := newFleet(t, "east")
	f := newTrusting(t, overHTTP+"limits: {inFlight: 16}\naudit: {queue: 256KiB, required: true}\nrevocation: {redis: {address: \""+redis.Addr().String()+"\"}, onStale: deny}\n",
		fromURL(east, newKeyServer(t, "").URL))
	output := stalled{make(chan struct{})}
	bound := sockets{grpc: []net.Listener{listen(t)}}
	s, probes := newIdleService(t, f.config, bound, func(p *Process, _ *decide.Config) { p.Stdout = output })
	t.Cleanup(func() { close(output.release) })

	for range 2000 {
		s.authorizer.audit.records.Record(audit.Record{Time: s.authorizer.process.Now(), Kind: audit.KindCheck, Path: strings.Repeat("x", 1024), Authenticated: true})
	}
	if lost := s.authorizer.audit.records.Stats().Lost["queue_full"]; lost == 0 {
		t.Fatal("the queue is not full")
	}
	connection := dial(t, bound.grpc[0].Addr().String())
	for range 16 { // Checks whose message does not come
		if _, err := connection.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, auth.Authorization_Check_FullMethodName); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "not all places are taken", func() bool { return s.limitsUsage().Checks.Now == 16 })
	if got := (asked{AuthorizationClient: auth.NewAuthorizationClient(connection)}).reason(t); got != "overloaded" {
		t.Errorf("a Check beside it got %s", got)
	}
	decided, written := body(t, probes+"/metrics"), s.authorizer.audit.records.Stats()
	for range 3 * liveness.Bound {
		s.beginInterval(t)
		if status, body := get(t, probes+"/livez"); status != 200 {
			t.Fatalf("/livez: %d %s", status, body)
		}
	}
	if after := s.authorizer.audit.records.Stats(); after.Lost["queue_full"] != written.Lost["queue_full"] || after.Bytes != written.Bytes {
		t.Errorf("self-checks were recorded: before %+v, after %+v", written, after)
	}
	const sample = "meshpass_decisions_total{"
	if before, after := linesWith(decided, sample), linesWith(body(t, probes+"/metrics"), sample); before != after {
		t.Errorf("self-checks were counted: before %s\nafter %s", before, after)
	}
	status, readyz := get(t, probes+"/readyz?verbose")
	for _, line := range []string{
		"not ready: starting\nmissing: keys: no issuer has one that may be used, so no token can be verified\n",
		"checks in flight: 16 of 16, near its limit\n", "self-check of sidecar: answered at ", "revocations/redis: ", "lost ",
	} {
		if status != 503 || !strings.Contains(readyz, line) {
			t.Errorf("/readyz?verbose: %d, no %q in\n%s", status, line, readyz)
		}
	}
	s.requireHealth(t, healthpb.HealthCheckResponse_NOT_SERVING)
}

func linesWith(text, part string) string {
	var all []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			all = append(all, line)
		}
	}
	return strings.Join(all, "")
}
