package drills

import (
	"syscall"
	"testing"
)

// lifeDrills: authorizers come and go.
func lifeDrills() []drill {
	return []drill{
		{name: "Service without endpoints", closed: refused, open: backstop, log: logError, setup: setup{edits: []edit{noEndpoint}}, run: fault(notReady).run},
		{name: "authorizer crashes and is restarted", closed: decided.or(refused), open: decided.or(backstop), log: logError, shared: true, run: crash},
		{name: "one of two authorizers crashes", closed: decided.or(refused), open: decided.or(backstop), log: logError, setup: setup{edits: []edit{withSecond, patient}}, run: loss((*authorizer).kill).run},
		{name: "one of two authorizers hangs", closed: decided.or(refused), open: decided.or(backstop), log: logError, setup: setup{edits: []edit{withSecond}}, run: loss((*authorizer).pause).run},
		{name: "one of two authorizers is drained", closed: decided, open: decided, setup: setup{edits: []edit{withSecond, patient}}, run: drain},
	}
}

// noEndpoint has no authorizer that is ready.
var noEndpoint = edit{"cluster/meshpass.yaml", "conditions: {ready: true}", "conditions: {ready: false}"}

func notReady(t *testing.T, r *rig) func() {
	r.startAuthorizer(t, authorizerHost)
	return func() { r.edit(t, edit{noEndpoint.file, noEndpoint.new, noEndpoint.old}) }
}

// withSecond has two authorizers.
var withSecond = edit{"cluster/meshpass.yaml", "endpoints:\n", "endpoints:\n" + second}

const second = "  - addresses: [127.77.0.7]\n    conditions: {ready: true}\n"

func crash(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.recovers(t)
	l := r.startLoad(t)
	l.sees(t, 20, decided, decided)
	a.kill()
	l.sees(t, 20, refused, backstop)
	r.startAuthorizer(t, authorizerHost)
	l.sees(t, 20, decided, decided)
	l.check(t, r, d)
}

// loss takes one of two authorizers away.
type loss func(*authorizer)

// run: an Envoy asks one authorizer, once. The third failure in a row is the
// last, and the endpoint's withdrawal, which may come much later, changes nothing.
func (take loss) run(t *testing.T, r *rig, d drill) {
	r.startAuthorizer(t, authorizerHost)
	leaving := r.startAuthorizer(t, behindHost)
	r.members(t, 2)
	r.recovers(t)
	take(leaving)
	for to, want := range map[string]answers{closed: d.closed, open: d.open} {
		if failed := r.untilLeftOut(t, to, want); failed != 3 {
			t.Errorf("%s: %d checks failed before the authorizer was left out, want 3", to, failed)
		}
	}
	r.edit(t, edit{"cluster/meshpass.yaml", second, ""})
	r.members(t, 1)
	r.recovers(t)
}

// untilLeftOut sends one request after the other, and counts those that were not decided.
func (r *rig) untilLeftOut(t *testing.T, to string, want answers) (failed int) {
	t.Helper()
	eventually(t, to+"'s Envoy leaves an authorizer out", func() bool {
		got := r.send(t, r.ask(to, foreign))
		if !want.admits(foreign, got) {
			t.Errorf("%s: got %v, want %s", to, got, want.of[foreign])
		}
		if !decided.admits(foreign, got) {
			failed++
		}
		return r.ofAuthorizers(t, to, "outlier_detection.ejections_active") == 1
	})
	return failed
}

// drain: as Kubernetes does, SIGTERM comes first, readiness ends, and only then
// is the endpoint withdrawn. Whoever is still sent to the leaving one is answered.
func drain(t *testing.T, r *rig, d drill) {
	staying, leaving := r.startAuthorizer(t, authorizerHost), r.startAuthorizer(t, behindHost)
	r.recovers(t)
	r.members(t, 2)
	l := r.startLoad(t)
	l.sees(t, 20, decided, decided)
	if len(leaving.records(t)) == 0 || len(staying.records(t)) == 0 {
		t.Fatal("the load does not reach both authorizers")
	}
	must(t, syscall.Kill(leaving.PID(), syscall.SIGTERM))
	eventually(t, "the leaving authorizer is not ready", func() bool { return leaving.ready(t.Context()) != nil })
	r.edit(t, edit{"cluster/meshpass.yaml", second, ""})
	r.members(t, 1)
	if err := leaving.Err(); err != nil {
		t.Fatalf("it left before the Envoys knew: %v", err)
	}
	<-leaving.Done()
	l.sees(t, 20, decided, decided)
	l.check(t, r, d)
	l.decidedOnce(t, staying, leaving)
}

// members waits until both guarded workloads' Envoys know so many authorizers.
func (r *rig) members(t *testing.T, n float64) {
	t.Helper()
	for _, name := range []string{closed, open} {
		eventually(t, name+"'s Envoy follows the endpoints", func() bool {
			return r.ofAuthorizers(t, name, "membership_total") == n
		})
	}
}
