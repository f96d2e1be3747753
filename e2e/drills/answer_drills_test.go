package drills

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
)

// late is well above the provider's timeout of 0.25 s.
const late = 600 * time.Millisecond

// answerDrills: the authorizer gives no answer, or none that counts.
func answerDrills() []drill {
	away := func(name string, f fault) drill {
		return drill{name: name, closed: refused, open: backstop, log: logError, shared: true, run: f.run}
	}
	return []drill{
		away("authorizer down", func(t *testing.T, r *rig) func() {
			return func() { r.startAuthorizer(t, authorizerHost) }
		}),
		away("authorizer hangs", hang),
		away("network slower than the timeout", func(t *testing.T, r *rig) func() {
			_, stop := r.startBehind(t, wire{there: late})
			return r.replace(t, stop)
		}),
		away("something else answers: HTTP/1.1", func(t *testing.T, r *rig) func() {
			return r.replace(t, serveTCP(t, r.authorizerAddress(), http1))
		}),
		away("something else answers: another gRPC service", func(t *testing.T, r *rig) func() {
			return r.replace(t, serveGRPC(t, r.authorizerAddress(), func(*grpc.Server) {}))
		}),
		away("something else answers: garbled messages", func(t *testing.T, r *rig) func() {
			garble := grpc.ForceServerCodecV2(garbled{encoding.GetCodecV2(protocodec.Name)})
			return r.replace(t, serveGRPC(t, r.authorizerAddress(), empty, garble))
		}),
		{name: "something else answers: an empty CheckResponse", closed: letIn, open: backstop, log: logOK, shared: true, run: impostor},
		{name: "answer after the deadline", closed: refused, open: backstop, log: logError, shared: true, run: tooLate},
	}
}

func (r *rig) authorizerAddress() string { return r.net.Addr(authorizerHost) + ":9000" }

// replace ends what stands in the authorizer's place and puts ours there.
func (r *rig) replace(t *testing.T, stop func()) func() {
	return func() {
		stop()
		r.startAuthorizer(t, authorizerHost)
	}
}

// startBehind starts an authorizer that is reached through a wire only.
func (r *rig) startBehind(t *testing.T, w wire) (a *authorizer, stop func()) {
	t.Helper()
	a = r.startAuthorizer(t, behindHost)
	w.to = a.address + ":9000"
	return a, serveTCP(t, r.authorizerAddress(), w.carry)
}

// fault breaks the authorizer and returns what mends it.
type fault func(*testing.T, *rig) (mend func())

// run shows what callers see, that Envoy says and counts why, and that all is
// well at once when the authorizer is back.
func (f fault) run(t *testing.T, r *rig, d drill) {
	mend := f(t, r)
	for to, want := range map[string]answers{closed: d.closed, open: d.open} {
		errors, opened := r.counter(t, to, "error"), r.counter(t, to, "failure_mode_allowed")
		r.see(t, to, want, d.log)
		if got := r.counter(t, to, "error") - errors; got != float64(kinds) {
			t.Errorf("%s: ext_authz.error rose by %v, want %d", to, got, kinds)
		}
		wantOpened := map[string]float64{open: float64(kinds)}[to]
		if got := r.counter(t, to, "failure_mode_allowed") - opened; got != wantOpened {
			t.Errorf("%s: ext_authz.failure_mode_allowed rose by %v, want %v", to, got, wantOpened)
		}
	}
	mend()
	r.recovers(t)
}

func hang(t *testing.T, r *rig) func() {
	a := r.startAuthorizer(t, authorizerHost)
	r.recovers(t)
	a.pause()
	return a.resume
}

// impostor: an empty answer has the status 0, which is OK. Envoy asks for no
// more, so whoever can answer at the authorizer's address decides.
func impostor(t *testing.T, r *rig, d drill) {
	stop := serveGRPC(t, r.authorizerAddress(), empty)
	for to, want := range map[string]answers{closed: d.closed, open: d.open} {
		before := r.counter(t, to, "ok")
		r.see(t, to, want, d.log)
		if got := r.counter(t, to, "ok") - before; got != float64(kinds) {
			t.Errorf("%s: ext_authz.ok rose by %v, want %d", to, got, kinds)
		}
	}
	r.replace(t, stop)()
	r.recovers(t)
}

// tooLate: the decision is made and recorded, and nobody waits for it any more.
// Our record and what happened differ then, in either direction.
func tooLate(t *testing.T, r *rig, d drill) {
	a, stop := r.startBehind(t, wire{back: late})
	fault(func(*testing.T, *rig) func() { return r.replace(t, stop) }).run(t, r, d)
	recorded := map[string]int{}
	for _, one := range a.records(t) {
		recorded[one.Callee+" "+one.Decision+" "+one.Reason]++
	}
	for _, to := range []string{closed, open} {
		for _, want := range []string{"allow rule_allowed", "deny no_rule", "deny signature_invalid", "deny token_missing"} {
			if n := recorded["ns/shop/sa/"+to+" "+want]; n != 1 {
				t.Errorf("%s: %d records say %q, want 1", to, n, want)
			}
		}
	}
}
