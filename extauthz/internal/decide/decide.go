// Package decide answers one question for one listener: may this request go on?
//
// A [Question] and its [Answer] are plain values. The package imports neither Envoy's
// protos nor gRPC, so that package check can ask it for the Checks of Envoy's ext_authz
// filter, and a module inside a proxy can ask it for the requests that it sees itself.
//
// Every Question gets exactly one Answer and one audit record. The answer does not wait
// for the record: the audit log counts the records that it cannot write and those that
// it suppresses. An audit log that requires its records is the exception: an allow waits,
// within the deadline, until its record is written, and becomes a denial if that fails. Bad input and a panic are answered with a denial and never with an
// error. An error is a failure of the authorizer in Envoy's eyes, and Envoy's setting
// failOpen may let the request in.
//
// A decision ends with its context: when the time is over, the request is denied.
//
// The HTTP status of a denial is 403 if the rules deny the request or its token is
// invalid (401 for token failures if the listener is configured so), 503 if no decision
// could be made, and 500 after a panic.
package decide

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/token"
)

// Config is what a [Decider] needs. All fields but IdentityHeaders are required.
type Config struct {
	Listener     string                 // name of the listener in audit records and logs
	TokenFailure int                    // HTTP status of token failures: 403 or 401
	Peers        Peers                  // where the names of caller and callee come from
	Verifier     func() *token.Verifier // the active verifier; called once for each Question
	Policies     func() *policy.Set     // the active set; called once for each Question
	Audit        *audit.Log
	Meter        Meter
	Log          *slog.Logger // must not block
	Now          func() time.Time

	IdentityHeaders IdentityHeaders // that an allowed request gets; may be empty
}

// Meter counts decisions. It is called from many goroutines.
type Meter interface {
	Decided(ctx context.Context, d decision.Decision, took time.Duration) // ctx: of the request, with its trace
	TokenMissing(caller, callee identity.Workload)                        // caller may be the service that did not pass the token on
}

// Decider decides the requests of one listener. It is safe for concurrent use. The
// zero value is not usable: see [New].
type Decider struct {
	config Config
}

// ErrIncomplete is the error for a configuration that lacks a required part.
var ErrIncomplete = errors.New("decide: every part of the configuration is required, and 401 or 403 for token failures")

// New rejects a configuration that lacks a part: there is no half authorizer.
func New(c Config) (*Decider, error) {
	missing := c.Listener == "" || !c.Peers.areComplete() || c.Verifier == nil || c.Policies == nil ||
		c.Audit == nil || c.Meter == nil || c.Log == nil || c.Now == nil
	if missing || c.TokenFailure != http.StatusForbidden && c.TokenFailure != http.StatusUnauthorized {
		return nil, ErrIncomplete
	}
	return &Decider{config: c}, nil
}

// Question is one request that waits for a decision. The zero value is denied.
type Question struct {
	// Received is when the question came in. Rules see it as the current time, and
	// the duration in the audit record begins with it.
	Received time.Time

	// Request is as much of the request as may be recorded. Nil: nothing, because it was
	// not read, or because its sender may not ask. Every field of such a request, the
	// caller's name too, is its sender's invention.
	Request *Request

	// Deny is why the request is denied without a decision. Empty: it is decided.
	Deny decision.Reason
}

// Decide answers a question, records the decision and counts it.
func (d *Decider) Decide(ctx context.Context, q Question) (answer Answer) {
	defer func() { // a panic outside of the evaluation: no record can be made, and the answer is a denial
		if cause := recover(); cause != nil {
			answer = d.DenyPanic(cause)
		}
	}()
	e := evaluation{
		config: &d.config, id: newRecordID(q.Received), received: q.Received,
		verifier: d.config.Verifier(), policies: d.config.Policies(),
	}
	answer = e.answerSafely(ctx, q)
	answer = e.record(ctx, answer)
	d.config.Meter.Decided(ctx, e.decision, e.took())
	if e.decision.Reason == decision.TokenMissing {
		d.config.Meter.TokenMissing(e.reading.Request.Caller, e.reading.Request.Callee)
	}
	return answer
}

// DenyPanic is the answer to a question whose sender recovered from a panic. It logs
// the panic. It makes no record, because making one may be what panics.
func (d *Decider) DenyPanic(cause any) Answer {
	d.LogPanic(cause)
	e := evaluation{config: &d.config, decision: decision.Deny(decision.Panic)}
	return e.newDenyAnswer()
}

// LogPanic logs a panic with its stack, without quoting its value: that may hold the
// input.
func (d *Decider) LogPanic(cause any) { d.config.logPanic(cause) }

func (c *Config) logPanic(cause any) {
	kind := "explicit"
	if err, ok := cause.(runtime.Error); ok {
		kind = err.Error()
	}
	c.Log.Error("panic while answering a request", "listener", c.Listener, "kind", kind, "stack", string(debug.Stack()))
}
