package main

import (
	"fmt"
	"net/http"

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

func writeProblem(rw http.ResponseWriter, status int, reason decision.Reason) {
	rw.Header().Set("Content-Type", decision.ProblemType)
	rw.Header().Set("Cache-Control", "no-store")
	rw.WriteHeader(status)
	_, _ = rw.Write(append(decision.Problem(status, reason, ""), '\n')) // the client may have gone: nothing is left to be done
}
