package drills

import (
	"syscall"
	"testing"
)

// lifeDrills are drills of authorizers that start and end.
func lifeDrills() []drill {
	return []drill{
		{name: "Service without endpoints", closed: unavailable, open: backstop, log: logError, setup: rigSetup{edits: []fileEdit{noEndpoint}}, run: fault(startUnready).runDrill},
		{name: "authorizer crashes and is restarted", closed: decided.orAnswers(unavailable), open: decided.orAnswers(backstop), log: logError, shared: true, run: crashAndRestart},
		{name: "one of two authorizers crashes", closed: decided.orAnswers(unavailable), open: decided.orAnswers(backstop), log: logError, setup: rigSetup{edits: []fileEdit{withSecond, longTimeout}}, run: loseAuthorizer((*authorizer).kill).runDrill},
		{name: "one of two authorizers hangs", closed: decided.orAnswers(unavailable), open: decided.orAnswers(backstop), log: logError, setup: rigSetup{edits: []fileEdit{withSecond}}, run: loseAuthorizer((*authorizer).pause).runDrill},
		{name: "one of two authorizers hangs from its start", closed: decided.orAnswers(unavailable), open: decided.orAnswers(backstop), log: logError, setup: rigSetup{edits: []fileEdit{withSecond}}, run: hangFromStart},
		{name: "one of two authorizers is drained", closed: decided, open: decided, setup: rigSetup{edits: []fileEdit{withSecond, longTimeout}}, run: drainOne},
	}
}

// noEndpoint leaves no authorizer ready.
var noEndpoint = fileEdit{"cluster/meshpass.yaml", "conditions: {ready: true}", "conditions: {ready: false}"}

func startUnready(t *testing.T, r *rig) func() {
	r.startAuthorizer(t, authorizerHost)
	return func() { r.editFile(t, fileEdit{noEndpoint.file, noEndpoint.new, noEndpoint.old}) }
}

// withSecond adds a second authorizer.
var withSecond = fileEdit{"cluster/meshpass.yaml", "endpoints:\n", "endpoints:\n" + second}

const second = "  - addresses: [127.77.0.7]\n    conditions: {ready: true}\n"

func crashAndRestart(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)
	l := r.startLoad(t)
	l.awaitAnswers(t, 20, decided, decided)
	a.kill()
	l.awaitAnswers(t, 20, unavailable, backstop)
	r.startAuthorizer(t, authorizerHost)
	l.awaitAnswers(t, 20, decided, decided)
	l.checkAll(t, r, d)
}

// loseAuthorizer makes one of two authorizers unavailable.
type loseAuthorizer func(*authorizer)

// runDrill shows that an Envoy, which asks one authorizer once, ejects it at the third failure in
// a row. The endpoint's withdrawal, which may come much later, changes nothing.
func (lose loseAuthorizer) runDrill(t *testing.T, r *rig, d drill) {
	r.startAuthorizer(t, authorizerHost)
	leaving := r.startAuthorizer(t, behindHost)
	r.awaitMembers(t, 2)
	r.awaitRecovery(t)
	for _, to := range r.place.called {
		r.awaitAnswersOf(t, leaving, to)
	}
	lose(leaving)
	for to, want := range map[string]answers{closed: d.closed, open: d.open} {
		if failed := r.failuresUntilEjected(t, to, want); failed != 3 {
			t.Errorf("%s: %d checks failed before the authorizer was ejected, want 3", to, failed)
		}
	}
	r.editFile(t, fileEdit{"cluster/meshpass.yaml", second, ""})
	r.awaitMembers(t, 1)
	r.awaitRecovery(t)
}

// awaitAnswersOf waits until the Envoy of a called workload is connected to an authorizer: Checks that time out before
// count for no authorizer.
func (r *rig) awaitAnswersOf(t *testing.T, a *authorizer, to string) {
	t.Helper()
	before := len(a.readRecords(t))
	eventually(t, to+"'s Envoy asks both authorizers", func() bool {
		r.mustSend(t, r.newRequest(to, otherTenant))
		return len(a.readRecords(t)) > before
	})
}

// hangFromStart shows that an Envoy also ejects an authorizer to which it never was connected: its connections fail after the
// DestinationRule's connectTimeout.
func hangFromStart(t *testing.T, r *rig, d drill) {
	r.startAuthorizer(t, authorizerHost)
	r.startAuthorizer(t, behindHost).pause()
	r.awaitMembers(t, 2)
	for to, want := range map[string]answers{closed: d.closed, open: d.open} {
		if failed := r.failuresUntilEjected(t, to, want); failed < 3 {
			t.Errorf("%s: %d checks failed before the authorizer was ejected, want at least 3", to, failed)
		}
	}
	r.editFile(t, fileEdit{"cluster/meshpass.yaml", second, ""})
	r.awaitMembers(t, 1)
	r.awaitRecovery(t)
}

// failuresUntilEjected sends one request after the other, and counts those that were not decided.
func (r *rig) failuresUntilEjected(t *testing.T, to string, want answers) (failed int) {
	t.Helper()
	eventually(t, to+"'s Envoy ejects an authorizer", func() bool {
		got := r.mustSend(t, r.newRequest(to, otherTenant))
		if !want.admits(otherTenant, got) {
			t.Errorf("%s: got %v, want %s", to, got, want.byKind[otherTenant])
		}
		if !decided.admits(otherTenant, got) {
			failed++
		}
		return r.authorizerStat(t, to, "outlier_detection.ejections_active") == 1
	})
	return failed
}

// drainOne stops an authorizer as Kubernetes does: SIGTERM comes first, readiness ends, and only then
// is the endpoint withdrawn. Requests that still reach the leaving authorizer are answered.
func drainOne(t *testing.T, r *rig, d drill) {
	staying, leaving := r.startAuthorizer(t, authorizerHost), r.startAuthorizer(t, behindHost)
	r.awaitRecovery(t)
	r.awaitMembers(t, 2)
	l := r.startLoad(t)
	l.awaitAnswers(t, 20, decided, decided)
	if len(leaving.readRecords(t)) == 0 || len(staying.readRecords(t)) == 0 {
		t.Fatal("the load does not reach both authorizers")
	}
	must(t, syscall.Kill(leaving.PID(), syscall.SIGTERM))
	eventually(t, "the leaving authorizer is not ready", func() bool { return leaving.checkReady(t.Context()) != nil })
	r.editFile(t, fileEdit{"cluster/meshpass.yaml", second, ""})
	r.awaitMembers(t, 1)
	if err := leaving.Err(); err != nil {
		t.Fatalf("it ended before the Envoys knew: %v", err)
	}
	<-leaving.Done()
	l.awaitAnswers(t, 20, decided, decided)
	l.checkAll(t, r, d)
	l.checkRecords(t, staying, leaving)
}

// awaitMembers waits until every Envoy that asks knows n authorizers on each of the place's ports that it knows.
func (r *rig) awaitMembers(t *testing.T, n float64) {
	t.Helper()
	for _, to := range r.place.called {
		for _, envoy := range r.askingEnvoys(to) {
			eventually(t, envoy+"'s Envoy follows the endpoints", func() bool {
				clusters, following := 0, 0
				for _, port := range r.place.ports {
					for _, members := range r.authorizerStats(t, envoy, port, "membership_total") {
						clusters++
						if members == n {
							following++
						}
					}
				}
				return clusters > 0 && clusters == following
			})
		}
	}
}
