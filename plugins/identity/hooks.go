// Package main is Meshpass in the Tyk gateway: the Go plugin that turns a session
// which the gateway has verified into a signed token on the upstream request.
//
// Three hooks belong to every API that it protects. [StripIdentity] (pre) takes
// away what a client sent under our names. [SignIdentity] (post_key_auth) decides
// for whom a token is signed, or refuses. [GuardUpstream] (post) looks where the
// request goes, and only then signs and puts the token on it: what Tyk writes or
// sends before that, such as the event of a request over its rate limit, cannot
// hold a token. [Canary] is for readiness probes.
//
// The traps that shape the code, all seen in Tyk 5.8: a hook that panics or
// writes nothing does not stop the request, so every failure writes a refusal;
// an ignored endpoint reaches the hook without a session; an internal loop comes
// back with the headers, session and definition of the API before it.
package main

import (
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// configVariable names the file with the plugin's settings.
const configVariable = "MESHPASS_CONFIG"

// files is made once: Go never unloads a plugin, so neither a reload of the APIs
// nor a second API that names the file starts it again.
var files = sync.OnceValue(func() *watch {
	return startWatch(os.Getenv(configVariable), slog.New(slog.NewJSONHandler(logLines().Writer(), nil)))
})

// current is the signer in force.
var current = func() *signer { return files().inForce.Load() }

// A mistake in the configuration should stand in the log when the gateway has
// started, not when the first customer is refused.
func init() { files() }

func main() {}

// StripIdentity is the pre hook: no header that only we may write survives it,
// on open and ignored endpoints too. An API whose definition has no hook that signs, or
// refuses, later on is refused here.
func StripIdentity(rw http.ResponseWriter, r *http.Request) {
	defer refusePanic(rw, r)
	removeOurs(r)
	rememberAsked(r)
	if d, err := definitionOf(r); err == nil {
		s := current()
		if known := s.hooks.of(s, d); known.err != nil && !known.later {
			s.refuse(rw, r, s.recordOf(r), known.err)
		}
	}
	forgetDefinitions(r)
}

// SignIdentity is the post_key_auth hook: the request leaves it with the caller's
// identity in its context, or without any where the configuration admits that, or
// refused.
func SignIdentity(rw http.ResponseWriter, r *http.Request) {
	defer refusePanic(rw, r)
	s := current()
	defer s.meter.took(signHookName, time.Now())
	s.sign(rw, r)
}

// GuardUpstream is the last post hook: the request leaves it with exactly one
// token, if it has an identity and goes to a host that tokens may go to. It is
// judged by the configuration that SignIdentity has asked. Without an identity it goes on
// only if the definition shows that it may.
func GuardUpstream(rw http.ResponseWriter, r *http.Request) {
	defer refusePanic(rw, r)
	defer current().meter.took(guardHookName, time.Now())
	removeOurs(r) // header transforms have run since the pre hook
	t, ok := take(r)
	if !ok {
		t, ok = current().signLate(rw, r)
	}
	if ok {
		t.signer.guard(rw, r, t)
	}
}

// refusePanic writes the refusal that Tyk does not: after a panic in a plugin it
// answers 200 with an empty body (5.8), or drops the connection (5.12 and later).
func refusePanic(rw http.ResponseWriter, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	writeRefusal(rw, decision.Panic) // first: what follows might panic again
	r.Header.Del(identity.Header)
	s := current()
	s.log.Error("a hook panicked; the request is refused", "panic", kindOf(cause), "stack", string(debug.Stack()))
	s.finish(s.recordOf(r), audit.KindEdge, decision.Deny(decision.Panic))
}
