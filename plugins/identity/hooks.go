// Package main is Meshpass in the Tyk gateway: the Go plugin that turns a session which the gateway has
// verified into a signed token on the upstream request.
//
// Three hooks belong to every API that it protects. [StripIdentity] (pre) removes headers that a client
// sent under our names. [SignIdentity] (post_key_auth) identifies the caller, or denies the request.
// [GuardUpstream] (post) checks where the request goes, and only then signs and puts the token on it.
// Anything that Tyk writes or sends before that, such as the event of a request over its rate limit,
// cannot contain a token. [Canary] is for readiness probes.
//
// Three properties of Tyk, all seen in 5.8, shape the code. A hook that panics or writes nothing does
// not stop the request, so every failure writes a denial. An ignored endpoint reaches the hook without
// a session. An internal loop comes back with the headers, session and definition of the API before it.
//
// The packages below have one task each: tykapi reads Tyk's definitions and sessions, credential makes
// an identity of them, denial answers, metrics counts. The configuration is read by internal/gateway.
package main

import (
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/plugins/identity/panics"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// configVariable names the file with the plugin's settings.
const configVariable = "MESHPASS_CONFIG"

// runningWatch is started once: Go never unloads a plugin, so neither a reload of the APIs nor a second
// API that names the file starts it again.
var runningWatch = sync.OnceValue(func() *watch {
	return startWatch(os.Getenv(configVariable), slog.New(slog.NewJSONHandler(logLines().Writer(), nil)))
})

// activeSigner gives the signer that is active now.
var activeSigner = func() *signer { return runningWatch().signer.Load() }

// A mistake in the configuration is logged when the gateway starts, not when the first customer's
// request is denied.
func init() { runningWatch() }

func main() {}

// StripIdentity is the pre hook. It removes each header that only the gateway may write, on open and
// ignored endpoints too. It denies requests of an API whose definition has no later hook that signs or
// denies. For an API with the setting canary it does the work of [Canary], because a bundle has one list
// of hooks for all its APIs.
func StripIdentity(rw http.ResponseWriter, r *http.Request) {
	defer denyPanic(rw, r)
	removeReservedHeaders(r)
	e := newExchange(rw, r)
	rememberOriginal(e)
	if e.err == nil {
		s := activeSigner()
		switch check := s.hooks.Find(e.definition); {
		case check.Canary:
			s.answerCanary(rw, check.Err)
		case check.Err != nil && !check.CheckedLater:
			s.denyRequest(e, s.newRecord(e, s.now()), check.Err)
		}
	}
	tykapi.ForgetDefinitions(r)
}

// SignIdentity is the post_key_auth hook. It leaves the caller's identity for [GuardUpstream], or it
// denies the request. A request goes on without identity only where the configuration permits that.
func SignIdentity(rw http.ResponseWriter, r *http.Request) {
	defer denyPanic(rw, r)
	s := activeSigner()
	defer s.meter.ObserveHook(tykapi.SignHook, time.Now())
	removeReservedHeaders(r) // an API without the pre hook must not pass a client's token on
	if t := s.identifyCaller(newExchange(rw, r)); t != nil {
		t.step = awaitsGuard
		storeTransaction(r, t)
	}
}

// GuardUpstream is the last post hook. The request leaves it with exactly one token, if it has an
// identity and goes to a host that tokens may be sent to. A request that SignIdentity has identified is
// decided by the same configuration. A request without identity goes on only if the definition shows
// that it may.
func GuardUpstream(rw http.ResponseWriter, r *http.Request) {
	defer denyPanic(rw, r)
	defer activeSigner().meter.ObserveHook(tykapi.GuardHook, time.Now())
	removeReservedHeaders(r) // header transforms have run since the pre hook
	t := transactionOf(r)
	waiting := t != nil && t.step == awaitsGuard
	if waiting { // also if it waits for another API: the next API of a loop must not find it
		t.step = passedGuard
	}
	e := newExchange(rw, r)
	if waiting && e.err == nil && t.api.Source == e.definition.Source {
		t.signer.guardIdentified(e, t)
		return
	}
	activeSigner().guardUnidentified(e)
}

// denyPanic writes the denial that Tyk does not write: after a panic in a plugin it answers 200 with an
// empty body (5.8), or drops the connection (5.12 and later).
func denyPanic(rw http.ResponseWriter, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	denial.Write(rw, decision.Panic) // first, because the following lines might panic again
	r.Header.Del(identity.Header)
	s := activeSigner()
	s.log.Error("a hook panicked; the request is denied", "panic", panics.Describe(cause), "stack", string(debug.Stack()))
	s.recordDenial(r.Context(), s.newRecord(newExchange(rw, r), s.now()), decision.Panic)
}
