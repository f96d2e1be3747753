package drills

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newConnections has every request open a connection, and so show certificates.
const newConnections = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: new-connections, namespace: istio-system}
spec:
  host: "*.shop.svc.cluster.local"
  trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}}
`

// logExpired is how the caller's Envoy begins; the called one logs nothing.
const logExpired = "URX,UF upstream_reset_before_response_started"

// patient is for drills that are not about the timeout: on a busy machine a good
// answer may take as long.
var patient = edit{"istio/install.yaml", "timeout: 0.25s", "timeout: 5s"}

// pushed is a policy whose arrival can be seen.
const pushed = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: pushed, namespace: istio-system}
spec:
  action: DENY
  rules: [{to: [{operation: {paths: ["/tenants/*/pushed"]}}]}]
`

// meshDrills: the authorizer is well, and what is around it is not.
func meshDrills() []drill {
	turnover := map[string]string{"new-connections.yaml": newConnections}
	return []drill{
		{name: "istiod pushes policies under load", closed: decided, open: decided, setup: setup{edits: []edit{patient}}, run: push},
		{name: "istiod gone", closed: decided, open: decided, setup: setup{edits: []edit{patient}}, run: istiodGone},
		{name: "workload certificates are rotated under load", closed: decided, open: decided, setup: setup{edits: []edit{patient}, files: turnover}, run: rotate},
		{name: "workload certificates expired", closed: unreachable, open: unreachable, log: logExpired, setup: setup{files: turnover, certificate: 5 * time.Second}, run: expire},
		{name: "Envoy out of file descriptors", closed: refused, open: backstop, log: logError, shared: true, run: outOfFiles},
	}
}

// push: Envoy replaces filter chains while requests are on them.
func push(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.recovers(t)
	l := r.startLoad(t)
	l.sees(t, 20, decided, decided)
	r.push(t)
	for _, to := range []string{closed, open} {
		eventually(t, to+"'s Envoy has what was pushed", func() bool { return r.hasPushed(t, to) })
	}
	l.sees(t, 20, decided, decided)
	l.check(t, r, d)
	l.decidedOnce(t, a)
}

func (r *rig) push(t *testing.T) {
	t.Helper()
	must(t, os.WriteFile(r.path("istio", "pushed.yaml"), []byte(pushed), 0o644))
}

func (r *rig) hasPushed(t *testing.T, to string) bool {
	t.Helper()
	return bytes.Contains(r.configOf(t, to), []byte("policy[pushed]"))
}

// istiodGone: the Envoys keep what they have.
func istiodGone(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.recovers(t)
	must(t, r.istiod.Stop())
	eventually(t, "the Envoys miss istiod", func() bool {
		return r.connected(t, closed) == 0 && r.connected(t, open) == 0
	})
	l := r.startLoad(t)
	l.sees(t, 20, decided, decided)
	l.check(t, r, d)
	l.decidedOnce(t, a)
}

func rotate(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.recovers(t)
	l := r.startLoad(t)
	for range 2 {
		before := r.certificates(t)
		r.sds.Stop()
		r.serveCertificates(t)
		eventually(t, "every Envoy has a new certificate", func() bool {
			for name, serial := range r.certificates(t) {
				if serial == before[name] {
					return false
				}
			}
			return true
		})
		l.sees(t, 20, decided, decided)
	}
	l.check(t, r, d)
	l.decidedOnce(t, a)
}

// expire: nobody renews. A request that is on its way ends well; no connection
// is opened any more, so that nothing reaches the check.
func expire(t *testing.T, r *rig, d drill) {
	r.startAuthorizer(t, authorizerHost)
	r.recovers(t)
	held := r.hold(t, closed)
	for to, want := range map[string]answers{closed: d.closed, open: d.open} {
		eventually(t, "certificates expire", func() bool { return want.admits(own, r.send(t, r.ask(to, own))) })
		for k := range kinds {
			got := r.send(t, r.ask(to, k))
			if !want.admits(k, got) {
				t.Errorf("%s, %v: answered %v, want %s", to, k, got, want.of[k])
			}
			if logged := r.logOf(t, "tyk-gateway", got); !strings.HasPrefix(logged, d.log) || !strings.Contains(logged, "certificate_has_expired") {
				t.Errorf("the caller's Envoy logs %q, want %q", logged, d.log)
			}
		}
	}
	r.apps[closed].release()
	if got := <-held; !decided.admits(own, got) {
		t.Errorf("the request that was on its way: %v", got)
	}
	r.sds.Stop()
	r.authority.Lifetime = time.Hour
	r.serveCertificates(t)
	r.recovers(t)
}

// hold returns once a request has reached the program, which keeps it until release.
func (r *rig) hold(t *testing.T, to string) <-chan answer {
	t.Helper()
	one := r.ask(to, own)
	one.header = map[string]string{appHold: "yes"}
	before, client, got := r.apps[to].total(), r.client(t, one.from), make(chan answer, 1)
	go func() {
		answer, _ := deliver(client, one) // without an answer its status is 0
		got <- answer
	}()
	eventually(t, "the program has the request", func() bool { return r.apps[to].total() > before })
	return got
}

// outOfFiles: on its open connections an Envoy goes on as before. When it must
// open one to the authorizer, it cannot ask.
func outOfFiles(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.recovers(t)
	restore := r.noMoreFiles(t, closed, open)
	r.see(t, closed, decided, d.log)
	r.see(t, open, decided, d.log)
	a.kill()
	r.startAuthorizer(t, authorizerHost)
	r.see(t, closed, d.closed, d.log)
	r.see(t, open, d.open, d.log)
	for _, name := range []string{closed, open} {
		if log := must1(os.ReadFile(r.path(name + ".envoy.log")))(t); !bytes.Contains(log, []byte("Too many open files")) {
			t.Errorf("%s's Envoy does not log why", name)
		}
	}
	restore()
	r.recovers(t)
}

// noMoreFiles keeps Envoys from opening any, sockets included.
func (r *rig) noMoreFiles(t *testing.T, names ...string) (restore func()) {
	t.Helper()
	was := map[string]unix.Rlimit{}
	for _, name := range names {
		var limit unix.Rlimit
		must(t, unix.Prlimit(r.envoys[name].PID(), unix.RLIMIT_NOFILE, nil, &limit))
		was[name] = limit
		limit.Cur = 1
		must(t, unix.Prlimit(r.envoys[name].PID(), unix.RLIMIT_NOFILE, &limit, nil))
	}
	return func() {
		for name, limit := range was {
			must(t, unix.Prlimit(r.envoys[name].PID(), unix.RLIMIT_NOFILE, &limit, nil))
		}
	}
}
