package drills

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
)

// late is well above the provider's timeout of 0.25 s.
const answerDelay = 600 * time.Millisecond

// answerDrills are drills with no answer of the authorizer, or with an unusable one.
func answerDrills() []drill {
	away := func(name string, f fault) drill {
		return drill{name: name, closed: unavailable, open: backstop, log: logError, shared: true, run: f.runDrill}
	}
	return []drill{
		away("authorizer down", func(t *testing.T, r *rig) func() {
			return func() { r.startAuthorizer(t, authorizerHost) }
		}),
		away("authorizer hangs", pauseAuthorizer),
		away("network slower than the timeout", func(t *testing.T, r *rig) func() {
			_, stop := r.startBehind(t, slowWire{there: answerDelay})
			return r.replaceAuthorizer(t, stop)
		}),
		away("something else answers: HTTP/1.1", func(t *testing.T, r *rig) func() {
			return r.replaceAuthorizer(t, serveTCP(t, r.authorizerAddress(), answerHTTP1))
		}),
		away("something else answers: another gRPC service", func(t *testing.T, r *rig) func() {
			return r.replaceAuthorizer(t, serveGRPC(t, r.authorizerAddress(), func(*grpc.Server) {}))
		}),
		away("something else answers: garbled messages", func(t *testing.T, r *rig) func() {
			garble := grpc.ForceServerCodecV2(garbledCodec{encoding.GetCodecV2(protocodec.Name)})
			return r.replaceAuthorizer(t, serveGRPC(t, r.authorizerAddress(), registerEmpty, garble))
		}),
		{name: "something else answers: an empty CheckResponse", closed: allowed, open: backstop, log: logOK, shared: true, run: answerEmpty},
		{name: "answer after the deadline", closed: unavailable, open: backstop, log: logError, shared: true, run: answerTooLate},
	}
}

func (r *rig) authorizerAddress() string { return r.net.Addr(authorizerHost) + ":9000" }

// replaceAuthorizer returns a function that stops the program at the authorizer's address and starts our authorizer there.
func (r *rig) replaceAuthorizer(t *testing.T, stop func()) func() {
	return func() {
		stop()
		r.startAuthorizer(t, authorizerHost)
	}
}

// startBehind starts an authorizer that can be reached only through a wire.
func (r *rig) startBehind(t *testing.T, w slowWire) (a *authorizer, stop func()) {
	t.Helper()
	a = r.startAuthorizer(t, behindHost)
	w.to = a.address + ":9000"
	return a, serveTCP(t, r.authorizerAddress(), w.carryBytes)
}

// fault breaks the authorizer and returns a function that fixes it.
type fault func(*testing.T, *rig) (fix func())

// runDrill checks the answers that callers get, Envoy's log and counters, and that every request
// is decided again as soon as the authorizer is back.
func (f fault) runDrill(t *testing.T, r *rig, d drill) {
	fix := f(t, r)
	for to, want := range map[string]answers{closed: d.closed, open: d.open} {
		errors, opened := r.extAuthzCounter(t, to, "error"), r.extAuthzCounter(t, to, "failure_mode_allowed")
		r.checkAnswers(t, to, want, d.log)
		if got := r.extAuthzCounter(t, to, "error") - errors; got != float64(requestKinds) {
			t.Errorf("%s: ext_authz.error rose by %v, want %d", to, got, requestKinds)
		}
		wantOpened := map[string]float64{open: float64(requestKinds)}[to]
		if got := r.extAuthzCounter(t, to, "failure_mode_allowed") - opened; got != wantOpened {
			t.Errorf("%s: ext_authz.failure_mode_allowed rose by %v, want %v", to, got, wantOpened)
		}
	}
	fix()
	r.awaitRecovery(t)
}

func pauseAuthorizer(t *testing.T, r *rig) func() {
	a := r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)
	a.pause()
	return a.resume
}

// answerEmpty answers with an empty CheckResponse. Its status is 0, which is OK, and Envoy requires no
// more. So anyone who can answer at the authorizer's address decides.
func answerEmpty(t *testing.T, r *rig, d drill) {
	stop := serveGRPC(t, r.authorizerAddress(), registerEmpty)
	for to, want := range map[string]answers{closed: d.closed, open: d.open} {
		before := r.extAuthzCounter(t, to, "ok")
		r.checkAnswers(t, to, want, d.log)
		if got := r.extAuthzCounter(t, to, "ok") - before; got != float64(requestKinds) {
			t.Errorf("%s: ext_authz.ok rose by %v, want %d", to, got, requestKinds)
		}
	}
	r.replaceAuthorizer(t, stop)()
	r.awaitRecovery(t)
}

// answerTooLate answers after Envoy's timeout: the decision is made and recorded, and Envoy has given up.
// Our record and the real outcome then differ, in either direction.
func answerTooLate(t *testing.T, r *rig, d drill) {
	a, stop := r.startBehind(t, slowWire{back: answerDelay})
	fault(func(*testing.T, *rig) func() { return r.replaceAuthorizer(t, stop) }).runDrill(t, r, d)
	recorded := map[string]int{}
	for _, one := range a.readRecords(t) {
		recorded[one.Callee+" "+one.Decision+" "+one.Reason]++
	}
	for _, to := range []string{closed, open} {
		for _, want := range []string{"allow rule_allowed", "deny no_rule", "deny signature_invalid", "deny token_missing"} {
			if n := recorded["ns/shop/sa/"+to+" "+want]; n != 1 {
				t.Errorf("%s: %d records have %q, want 1", to, n, want)
			}
		}
	}
}
