package main

import (
	"encoding/json"
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

// problem is the body of a refusal (RFC 9457). The reason is the stable part;
// what exactly is wrong stands in our log, not with the caller.
type problem struct {
	Type   string          `json:"type"`
	Title  string          `json:"title"`
	Status int             `json:"status"`
	Reason decision.Reason `json:"reason"`
}

// writeRefusal answers the client, which is also what makes Tyk stop.
func writeRefusal(rw http.ResponseWriter, reason decision.Reason) {
	status := reason.Class().Status()
	// A struct of texts and a number: encoding cannot fail.
	body, _ := json.Marshal(problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Reason: reason})
	rw.Header().Set("Content-Type", "application/problem+json")
	rw.Header().Set("Cache-Control", "no-store")
	rw.WriteHeader(status)
	_, _ = rw.Write(append(body, '\n')) // the client may have gone: nothing is left to be done
}
