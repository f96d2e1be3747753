package drills

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// kind of request. Rules let in the first alone; the backstop, which knows no
// rules, refuses the last two.
type kind int

const (
	own     kind = iota // a valid token, a path of the user's tenant
	foreign             // a valid token, another tenant's path
	forged              // a token whose signature is broken
	bare                // no token
	kinds
)

func (k kind) String() string {
	return [...]string{"own tenant", "other tenant", "forged token", "no token"}[k]
}

// answers are what callers may see, by kind of request; a bar separates what
// one drill shows both of. The names are explained in docs/failure-modes.md.
type answers struct {
	name string
	of   [kinds]string
}

var (
	decided     = answers{"decided", [kinds]string{"200", "403 no_rule", "403 signature_invalid", "403 token_missing"}}
	refused     = answers{"refused", each("503")}
	backstop    = answers{"backstop", [kinds]string{"200", "200", "401 Jwt verification fails", byRBAC}}
	letIn       = answers{"let in", each("200")}
	unasked     = answers{"not asked", each(byRBAC)}
	unreachable = answers{"unreachable", each("503 upstream connect error or disconnect/reset before headers")}
	keyless     = answers{"keyless", [kinds]string{noKey, decided.of[foreign], decided.of[forged], decided.of[bare]}}
)

const (
	byRBAC = "403 RBAC: access denied"
	noKey  = "401 Jwks doesn't have key to match kid or alg from Jwt"
)

func each(text string) [kinds]string { return [kinds]string{text, text, text, text} }

// or admits both.
func (a answers) or(other answers) answers {
	a.name += " or " + other.name
	for k := range a.of {
		a.of[k] += "|" + other.of[k]
	}
	return a
}

func (a answers) admits(k kind, got answer) bool {
	return slices.Contains(strings.Split(a.of[k], "|"), got.String())
}

// What the called workload's Envoy logs: its response flags and details.
const (
	logError = "UAEX ext_authz_error"
	logOK    = "- via_upstream"
	logNoKey = "- jwt_authn_access_denied"
	// The policy's name stands before it.
	logBadProvider = "deny-due-to-bad-CUSTOM-action]"
)

// see sends one request of each kind and compares. What the drill has Envoy
// refuse, it logs with the text log.
func (r *rig) see(t *testing.T, to string, want answers, log string) {
	t.Helper()
	for k := range kinds {
		got := r.send(t, r.ask(to, k))
		if !want.admits(k, got) {
			t.Errorf("%s, %v: got %v, want %s", to, k, got, want.of[k])
		}
		arrived := r.apps[to].requests(got.id)
		reached := len(arrived)
		if reached > 0 && arrived[0].Get("X-Envoy-Auth-Failure-Mode-Allowed") != "" {
			t.Errorf("%s, %v: the program is told that nobody was asked: Istio has begun to say so", to, k)
		}
		if allowed := got.status == http.StatusOK; allowed != (reached == 1) {
			t.Errorf("%s, %v: answered %v and reached the program %d times", to, k, got, reached)
		}
		logged := r.logOf(t, to, got)
		if byDrill := log != "" && strings.Contains(logged, log); logged != usual(got) && (reached > 0 || !byDrill) {
			t.Errorf("%s, %v: answered %v, and Envoy logs %q, want %q or %q", to, k, got, logged, usual(got), log)
		}
	}
}

// usual is what the callee's Envoy logs of an answer where nothing is broken,
// and at the backstop.
func usual(got answer) string {
	switch got.String() {
	case "200":
		return logOK
	case backstop.of[forged]:
		return "- jwt_authn_access_denied{Jwt_verification_fails}"
	case byRBAC:
		return "- rbac_access_denied_matched_policy[none]"
	}
	return "UAEX ext_authz_denied"
}

// recovers waits until both workloads decide everything again.
func (r *rig) recovers(t *testing.T) {
	t.Helper()
	for _, to := range []string{closed, open} {
		for k := range kinds {
			eventually(t, to+" decides again", func() bool { return decided.admits(k, r.send(t, r.ask(to, k))) })
		}
	}
}
