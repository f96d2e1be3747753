package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/token"
)

// refuse makes the error of a refusal: the reason is for everybody, the cause
// for our log only.
func refuse(reason decision.Reason, format string, args ...any) error {
	return &token.Error{Reason: reason, Cause: fmt.Errorf(format, args...)}
}

// writeRefusal answers the client, which is also what makes Tyk stop.
func writeRefusal(rw http.ResponseWriter, reason decision.Reason) {
	writeProblem(rw, reason.Class().Status(), reason)
}

// challenge is what a 401 must say: how to authenticate (RFC 9110 section 15.5.2).
// An API with several methods names the one that says who the caller is. API keys
// and certificates have no scheme of their own; Tyk takes keys as bearers too.
func (s *signer) challenge(r *http.Request, reason decision.Reason) string {
	a, err := s.apis.of(s, r)
	switch {
	case err == nil && a.method == methodBasic:
		return `Basic realm="` + quoted.Replace(a.Name) + `"` // as Tyk itself writes it
	case reason == decision.NoSession:
		return "Bearer" // without credentials, no error: RFC 6750 section 3.1
	}
	return `Bearer error="invalid_token"`
}

// quoted escapes what a quoted-string may not hold (RFC 9110 section 5.6.4).
var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", " ", "\n", " ")

func writeProblem(rw http.ResponseWriter, status int, reason decision.Reason) {
	rw.Header().Set("Content-Type", decision.ProblemMediaType)
	rw.Header().Set("Cache-Control", "no-store")
	rw.WriteHeader(status)
	_, _ = rw.Write(append(decision.ProblemBody(status, reason, ""), '\n')) // the client may have gone: nothing is left to be done
}
