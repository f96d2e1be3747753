package drills

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newConnections makes every request open a connection, and so show certificates.
const newConnections = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: new-connections, namespace: istio-system}
spec:
  host: "*.shop.svc.cluster.local"
  trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}}
`

// logExpired is the start of the line of the caller's Envoy; the called one logs nothing.
const logExpired = "URX,UF upstream_reset_before_response_started"

// longTimeout is for drills that are not about the timeout: on a busy machine a normal
// answer may take longer than the shipped timeout.
var longTimeout = fileEdit{"istio/install.yaml", "timeout: 0.25s", "timeout: 5s"}

// pushedPolicy is a policy whose arrival is visible.
const pushedPolicy = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: pushed, namespace: istio-system}
spec:
  action: DENY
  rules: [{to: [{operation: {paths: ["/tenants/*/pushed"]}}]}]
`

// meshDrills are drills that leave the authorizer intact and break a part around it.
func meshDrills() []drill {
	turnover := map[string]string{"new-connections.yaml": newConnections}
	return []drill{
		{name: "istiod pushes policies under load", closed: decided, open: decided, setup: rigSetup{edits: []fileEdit{longTimeout}}, run: pushUnderLoad},
		{name: "istiod gone", closed: decided, open: decided, setup: rigSetup{edits: []fileEdit{longTimeout}}, run: stopIstiod},
		{name: "workload certificates are rotated under load", closed: decided, open: decided, setup: rigSetup{edits: []fileEdit{longTimeout}, files: turnover}, run: rotateCertificates},
		{name: "workload certificates expired", closed: unreachable, open: unreachable, log: logExpired, setup: rigSetup{files: turnover, certificate: 5 * time.Second}, run: expireCertificates},
		{name: "Envoy out of file descriptors", closed: unavailable, open: backstop, log: logError, shared: true, run: exhaustFiles},
	}
}

// pushUnderLoad makes Envoy replace filter chains while requests use them.
func pushUnderLoad(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)
	l := r.startLoad(t)
	l.awaitAnswers(t, 20, decided, decided)
	r.pushPolicy(t)
	for _, to := range []string{closed, open} {
		eventually(t, to+"'s Envoy has what was pushed", func() bool { return r.hasPushedPolicy(t, to) })
	}
	l.awaitAnswers(t, 20, decided, decided)
	l.checkAll(t, r, d)
	l.checkRecords(t, a)
}

func (r *rig) pushPolicy(t *testing.T) {
	t.Helper()
	must(t, os.WriteFile(r.filePath("istio", "pushed.yaml"), []byte(pushedPolicy), 0o644))
}

func (r *rig) hasPushedPolicy(t *testing.T, to string) bool {
	t.Helper()
	return bytes.Contains(r.configOf(t, to), []byte("policy[pushed]"))
}

// stopIstiod shows that the Envoys keep their configuration without istiod.
func stopIstiod(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)
	must(t, r.istiod.Stop())
	eventually(t, "the Envoys miss istiod", func() bool {
		return r.isConnectedToIstiod(t, closed) == 0 && r.isConnectedToIstiod(t, open) == 0
	})
	l := r.startLoad(t)
	l.awaitAnswers(t, 20, decided, decided)
	l.checkAll(t, r, d)
	l.checkRecords(t, a)
}

func rotateCertificates(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)
	l := r.startLoad(t)
	for range 2 {
		before := r.certificateSerials(t)
		r.sds.Stop()
		r.serveCertificates(t)
		eventually(t, "every Envoy has a new certificate", func() bool {
			for name, serial := range r.certificateSerials(t) {
				if serial == before[name] {
					return false
				}
			}
			return true
		})
		l.awaitAnswers(t, 20, decided, decided)
	}
	l.checkAll(t, r, d)
	l.checkRecords(t, a)
}

// expireCertificates lets certificates expire without renewal. A request that has begun ends normally. No
// connection can be opened after that, so no request reaches the check.
func expireCertificates(t *testing.T, r *rig, d drill) {
	r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)
	held := r.holdRequest(t, closed)
	for to, want := range map[string]answers{closed: d.closed, open: d.open} {
		// The callee's too: as long as it is the caller's alone, the callee closes a connection that the caller takes for open.
		eventually(t, "both certificates expire", func() bool {
			got := r.mustSend(t, r.newRequest(to, ownTenant))
			return want.admits(ownTenant, got) && strings.HasPrefix(r.logOf(t, "tyk-gateway", got), d.log)
		})
		for k := range requestKinds {
			got := r.mustSend(t, r.newRequest(to, k))
			if !want.admits(k, got) {
				t.Errorf("%s, %v: answered %v, want %s", to, k, got, want.byKind[k])
			}
			if logged := r.logOf(t, "tyk-gateway", got); !strings.HasPrefix(logged, d.log) || !strings.Contains(logged, "certificate_has_expired") {
				t.Errorf("the caller's Envoy logs %q, want %q", logged, d.log)
			}
		}
	}
	r.apps[closed].releaseHeld()
	if got := <-held; !decided.admits(ownTenant, got) {
		t.Errorf("the request that had begun: %v", got)
	}
	r.sds.Stop()
	r.authority.Lifetime = time.Hour
	r.serveCertificates(t)
	r.awaitRecovery(t)
}

// holdRequest returns when a request has reached the program, which holds it until releaseHeld.
func (r *rig) holdRequest(t *testing.T, to string) <-chan answer {
	t.Helper()
	one := r.newRequest(to, ownTenant)
	one.header = map[string]string{appHold: "yes"}
	before, client, got := r.apps[to].requestCount(), r.clientOf(t, one.from), make(chan answer, 1)
	go func() {
		answer, _ := sendRequest(client, one) // without an answer its status is 0
		got <- answer
	}()
	eventually(t, "the program has the request", func() bool { return r.apps[to].requestCount() > before })
	return got
}

// exhaustFiles shows that an Envoy without file descriptors works as before on its open connections. If it must
// open one to the authorizer, it cannot ask.
func exhaustFiles(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)
	restore := r.exhaustFilesOf(t, closed, open)
	r.checkAnswers(t, closed, decided, d.log)
	r.checkAnswers(t, open, decided, d.log)
	a.kill()
	r.startAuthorizer(t, authorizerHost)
	r.checkAnswers(t, closed, d.closed, d.log)
	r.checkAnswers(t, open, d.open, d.log)
	for _, name := range []string{closed, open} {
		if log := mustGet(os.ReadFile(r.filePath(name + ".envoy.log")))(t); !bytes.Contains(log, []byte("Too many open files")) {
			t.Errorf("%s's Envoy does not log the cause", name)
		}
	}
	restore()
	r.awaitRecovery(t)
}

// exhaustFilesOf prevents Envoys from opening files, including sockets.
func (r *rig) exhaustFilesOf(t *testing.T, names ...string) (restore func()) {
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
