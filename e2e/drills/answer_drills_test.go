package drills

import (
	"fmt"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
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
		away("network slower than the timeout", slowNetwork),
		away("something else answers: HTTP/1.1", answersHTTP1),
		away("something else answers: another gRPC service", answersGRPC(func(*grpc.Server) {})),
		away("something else answers: garbled messages", answersGRPC(registerEmpty, garble)),
		{name: "something else answers: an empty CheckResponse", closed: allowed, open: backstop, log: logOK, shared: true, run: answerEmpty},
		{name: "answer after the deadline", closed: unavailable, open: backstop, log: logError, shared: true, run: answerTooLate},
	}
}

// garble breaks every answer of a gRPC server.
var garble = grpc.ForceServerCodecV2(garbledCodec{encoding.GetCodecV2(protocodec.Name)})

func slowNetwork(t *testing.T, r *rig) func() {
	_, stop := r.startBehind(t, slowWire{there: answerDelay})
	return r.replaceAuthorizer(t, stop)
}

func answersHTTP1(t *testing.T, r *rig) func() {
	return r.replaceAuthorizer(t, r.serveEverywhere(func(address string) (stop func()) { return serveTCP(t, address, answerHTTP1) }))
}

func answersGRPC(register func(*grpc.Server), options ...grpc.ServerOption) fault {
	return func(t *testing.T, r *rig) func() {
		return r.replaceAuthorizer(t, r.serveGRPC(t, register, options...))
	}
}

// serveEverywhere starts a program at each address of the authorizer that the place's Envoys ask.
func (r *rig) serveEverywhere(serve func(address string) (stop func())) (stopAll func()) {
	var stops []func()
	for _, port := range r.place.ports {
		stops = append(stops, serve(fmt.Sprintf("%s:%d", r.net.Addr(authorizerHost), port)))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// serveGRPC serves the services that register adds at the authorizer's addresses, with its certificate if it has one.
func (r *rig) serveGRPC(t *testing.T, register func(*grpc.Server), options ...grpc.ServerOption) (stop func()) {
	if r.place.identity != "" {
		options = append(options, grpc.Creds(credentials.NewTLS(r.certificateOf(t, r.place.identity))))
	}
	return r.serveEverywhere(func(address string) func() { return serveGRPC(t, address, register, options...) })
}

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
	return a, r.serveEverywhere(func(address string) func() {
		_, port, _ := net.SplitHostPort(address)
		return serveTCP(t, address, slowWire{to: net.JoinHostPort(a.address, port), there: w.there, back: w.back}.carryBytes)
	})
}

// fault breaks the authorizer and returns a function that fixes it.
type fault func(*testing.T, *rig) (fix func())

// runDrill checks the answers that callers get, Envoy's log and counters, and that every request
// is decided again as soon as the authorizer is back.
func (f fault) runDrill(t *testing.T, r *rig, d drill) {
	fix := f(t, r)
	r.checkOutage(t, closed, d.closed, d.log, 0)
	r.checkOutage(t, open, d.open, d.log, requestKinds)
	fix()
	r.awaitRecovery(t)
}

// checkOutage sends one request of each kind. Envoy gets no answer about any of them, and lets opened of them pass.
func (r *rig) checkOutage(t *testing.T, to string, want answers, log string, opened requestKind) {
	t.Helper()
	errorsBefore, openedBefore := r.extAuthzCounter(t, to, "error"), r.extAuthzCounter(t, to, "failure_mode_allowed")
	r.checkAnswers(t, to, want, log)
	if got := r.extAuthzCounter(t, to, "error") - errorsBefore; got != float64(requestKinds) {
		t.Errorf("%s: ext_authz.error rose by %v, want %d", to, got, requestKinds)
	}
	if got := r.extAuthzCounter(t, to, "failure_mode_allowed") - openedBefore; got != float64(opened) {
		t.Errorf("%s: ext_authz.failure_mode_allowed rose by %v, want %d", to, got, opened)
	}
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
	stop := r.serveGRPC(t, registerEmpty)
	r.checkEmptyAnswers(t, closed, d.closed)
	r.checkEmptyAnswers(t, open, d.open)
	r.replaceAuthorizer(t, stop)()
	r.awaitRecovery(t)
}

// checkEmptyAnswers sends one request of each kind while every Check gets an empty answer.
func (r *rig) checkEmptyAnswers(t *testing.T, to string, want answers) {
	t.Helper()
	before := r.extAuthzCounter(t, to, "ok")
	r.checkAnswers(t, to, want, logOK)
	if got := r.extAuthzCounter(t, to, "ok") - before; got != float64(requestKinds) {
		t.Errorf("%s: ext_authz.ok rose by %v, want %d", to, got, requestKinds)
	}
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
