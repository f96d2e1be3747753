// Package denial denies requests: it makes the error that carries the reason, and the answer that the
// client gets.
package denial

import (
	"fmt"
	"net/http"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/token"
)

// New makes the error of a denied request. The client sees the reason; the cause, which the format
// and its arguments give, is for the gateway's log and the audit record only.
func New(reason decision.Reason, format string, args ...any) error {
	return &token.Error{Reason: reason, Cause: fmt.Errorf(format, args...)}
}

// Write answers the client with the status of the reason. To write an answer is also what makes Tyk
// stop the request.
func Write(rw http.ResponseWriter, reason decision.Reason) {
	WriteStatus(rw, reason.Class().Status(), reason)
}

// WriteStatus answers with a status of its own, and the reason as a problem document (RFC 9457).
func WriteStatus(rw http.ResponseWriter, status int, reason decision.Reason) {
	rw.Header().Set("Content-Type", decision.ProblemMediaType)
	rw.Header().Set("Cache-Control", "no-store")
	rw.WriteHeader(status)
	_, _ = rw.Write(append(decision.ProblemBody(status, reason, ""), '\n')) // an error means that the client has gone
}
