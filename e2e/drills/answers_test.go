package drills

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// requestKind is a kind of request. Rules allow only the first one. The backstop, which has no
// rules, denies the last two.
type requestKind int

const (
	ownTenant   requestKind = iota // a valid token, a path of the user's tenant
	otherTenant                    // a valid token, another tenant's path
	forgedToken                    // a token with an invalid signature
	noToken                        // no token
	requestKinds
)

func (k requestKind) String() string {
	return [...]string{"own tenant", "other tenant", "forged token", "no token"}[k]
}

// answers are the answers that callers may get, by kind of request. A bar separates two answers
// that one drill may both cause. docs/failure-modes.md explains the names.
type answers struct {
	name   string
	byKind [requestKinds]string
}

var (
	decided     = answers{"decided", [requestKinds]string{"200", "403 no_rule", "403 signature_invalid", "403 token_missing"}}
	unavailable = answers{"unavailable", sameAnswer("503")}
	backstop    = answers{"backstop", [requestKinds]string{"200", "200", "401 Jwt verification fails", byRBAC}}
	allowed     = answers{"allowed", sameAnswer("200")}
	notAsked    = answers{"not asked", sameAnswer(byRBAC)}
	unreachable = answers{"unreachable", sameAnswer("503 upstream connect error or disconnect/reset before headers")}
	// At a gateway the listener answers 401 if no token is valid.
	decidedAtGateway = answers{"decided at the gateway", [requestKinds]string{"200", "403 no_rule", "401 signature_invalid", "401 token_missing"}}
	// The gateway is open, and the workload behind it is closed.
	closedBehind = answers{"closed behind", [requestKinds]string{"503", "503", backstop.byKind[forgedToken], byRBAC}}
	keyMissing   = answers{"keyless", [requestKinds]string{noKey, decided.byKind[otherTenant], decided.byKind[forgedToken], decided.byKind[noToken]}}
)

const (
	byRBAC = "403 RBAC: access denied"
	noKey  = "401 Jwks doesn't have key to match kid or alg from Jwt"
)

func sameAnswer(text string) [requestKinds]string {
	return [requestKinds]string{text, text, text, text}
}

// orAnswers returns answers that admit both.
func (a answers) orAnswers(other answers) answers {
	a.name += " or " + other.name
	for k := range a.byKind {
		a.byKind[k] += "|" + other.byKind[k]
	}
	return a
}

func (a answers) admits(k requestKind, got answer) bool {
	return slices.Contains(strings.Split(a.byKind[k], "|"), got.String())
}

// These are the log texts of the called workload's Envoy: its response flags and details.
const (
	logError = "UAEX ext_authz_error"
	logOK    = "- via_upstream"
	logNoKey = "- jwt_authn_access_denied"
	// The policy's name precedes it.
	logBadProvider = "deny-due-to-bad-CUSTOM-action]"
)

// checkAnswers sends one request of each kind and compares the answers. If the drill makes Envoy
// deny a request, Envoy logs it with the text log.
func (r *rig) checkAnswers(t *testing.T, to string, want answers, log string) {
	t.Helper()
	for k := range requestKinds {
		got := r.mustSend(t, r.newRequest(to, k))
		if !want.admits(k, got) {
			t.Errorf("%s, %v: got %v, want %s", to, k, got, want.byKind[k])
		}
		arrived := r.apps[to].requestsWithID(got.id)
		reached := len(arrived)
		if reached > 0 && arrived[0].Get("X-Envoy-Auth-Failure-Mode-Allowed") != "" {
			t.Errorf("%s, %v: the program can see that there was no Check: Istio has begun to say so in a header", to, k)
		}
		if allowed := got.status == http.StatusOK; allowed != (reached == 1) {
			t.Errorf("%s, %v: answered %v and reached the program %d times", to, k, got, reached)
		}
		logged := r.denialLog(t, to, got)
		if byDrill := log != "" && strings.Contains(logged, log); logged != logWithoutFault(got) && (reached > 0 || !byDrill) {
			t.Errorf("%s, %v: answered %v, and Envoy logs %q, want %q or %q", to, k, got, logged, logWithoutFault(got), log)
		}
	}
}

// logWithoutFault is the log text of the callee's Envoy for an answer without a fault,
// and for an answer of the backstop.
func logWithoutFault(got answer) string {
	switch got.String() {
	case "200":
		return logOK
	case backstop.byKind[forgedToken]:
		return "- jwt_authn_access_denied{Jwt_verification_fails}"
	case byRBAC:
		return "- rbac_access_denied_matched_policy[none]"
	}
	return "UAEX ext_authz_denied"
}

// denialLog returns the log text of the Envoy that denied a request, or else of the one that is asked first.
func (r *rig) denialLog(t *testing.T, to string, got answer) string {
	t.Helper()
	for _, envoy := range r.askingEnvoys(to) {
		if logged := r.logOf(t, envoy, got); logged != logOK {
			return logged
		}
	}
	return logOK
}

// awaitRecovery waits until requests to all workloads are decided again.
func (r *rig) awaitRecovery(t *testing.T) {
	t.Helper()
	for _, to := range r.place.called {
		for k := range requestKinds {
			eventually(t, to+" decides again", func() bool { return r.place.decided.admits(k, r.mustSend(t, r.newRequest(to, k))) })
		}
	}
}
