package decide

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/token"
)

// evaluation is the work on one question.
type evaluation struct {
	config   *Config
	id       string // of the audit record, and of the decision in Envoy's access log
	received time.Time
	verifier *token.Verifier
	policies *policy.Set
	reading  Reading
	claims   *identity.Claims // of a token that was verified, shared with other requests; nil: no token was
	decision decision.Decision
	inputs   map[string]any // values that the rules read, by name
	metadata [7]Field
	withheld []string // identity headers whose claim cannot be a header's value
}

// answerSafely holds all work on the input that a caller controls, so that a panic anywhere
// in it still ends in a denial and a record.
func (e *evaluation) answerSafely(ctx context.Context, q Question) (answer Answer) {
	defer func() {
		if cause := recover(); cause != nil {
			e.config.logPanic(cause)
			e.decision = decision.Deny(decision.Panic)
			answer = e.newAnswer()
		}
	}()
	e.decide(ctx, q)
	return e.newAnswer()
}

// decide makes the decision. The request is read even if it is denied already: the record
// names both sides.
func (e *evaluation) decide(ctx context.Context, q Question) {
	if q.Request != nil {
		e.reading = readRequest(q.Request, e.config.Peers, q.Received)
		e.reading.Request.Headers = e.reading.headers.selectValues(e.policies.HeaderNames())
	}
	if q.Deny != "" {
		e.decision = decision.Deny(q.Deny)
		return
	}
	if q.Request == nil {
		e.decision = decision.Deny(decision.NoHTTP)
		return
	}
	if err := e.reading.nameError; err != nil {
		e.config.Log.Info("peer not named", "listener", e.config.Listener, "error", err)
	}
	if e.reading.Deny != "" {
		e.decision = decision.Deny(e.reading.Deny)
		return
	}
	if ctx.Err() != nil {
		e.decision = decision.Deny(decision.DeadlineExceeded)
		return
	}
	e.decision = e.policies.DecideToken(e.reading.Request, e.authenticate)
	if e.decision.Allowed() && ctx.Err() != nil { // Envoy has given up, or is about to
		e.decision = decision.Deny(decision.DeadlineExceeded)
	}
	e.inputs = e.policies.Inputs(e.reading.Request, e.claims)
}

// authenticate is called by the policy, and only if the decision needs the token.
func (e *evaluation) authenticate() policy.Authentication {
	raw, missing := e.reading.Token()
	if missing != "" {
		return policy.Authentication{NoToken: missing}
	}
	claims, err := e.verifier.VerifyShared(raw)
	if err != nil {
		e.config.Log.Info("token invalid", "listener", e.config.Listener, "error", err) // the client gets the reason code only
		return policy.Authentication{NoToken: token.ReasonOf(err), Outage: token.IsOutage(err)}
	}
	e.claims = claims
	return policy.Authentication{Claims: claims}
}

func (e *evaluation) newAnswer() Answer {
	var answer Answer
	if e.decision.Allowed() {
		answer = e.newAllowAnswer()
	} else {
		answer = e.newDenyAnswer()
	}
	answer.Metadata = e.newMetadata()
	return answer
}

// newAllowAnswer lets the request go on: with the identity headers whose values come from a
// verified token, and without all others that only Meshpass may write, whichever rule
// allowed it. Envoy removes after it sets, so no name may be in both lists.
func (e *evaluation) newAllowAnswer() Answer {
	set, withheld := e.config.IdentityHeaders.fieldsOf(e.claims)
	e.withheld = withheld
	return Answer{
		Decision: e.decision, SetHeaders: set,
		RemoveHeaders: e.config.IdentityHeaders.namesToRemove(e.reading.headers, e.claims != nil, set),
	}
}

// newDenyAnswer ends the request. The transaction is in the body only: the edge writes it in a
// header, and a header from each hop would double it.
func (e *evaluation) newDenyAnswer() Answer {
	reason := e.decision.Reason
	answer := Answer{
		Decision: e.decision, Status: e.config.statusOf(reason.Class()),
		Headers: []Field{{"content-type", decision.ProblemMediaType}},
	}
	if answer.Status == http.StatusUnauthorized {
		answer.Headers = append(answer.Headers, Field{"www-authenticate", challenge(reason)})
	}
	txn := ""
	if e.claims != nil {
		txn = e.claims.Txn
	}
	answer.Body = string(decision.ProblemBody(answer.Status, reason, txn))
	return answer
}

// challenge is what a 401 must carry (RFC 9110 sections 11.6.1 and 15.5.2). The scheme
// is the token's header: a Bearer token in Authorization opens nothing at a hop.
func challenge(reason decision.Reason) string {
	return fmt.Sprintf("%s error=%q", identity.Header, string(reason))
}

// statusOf gives the HTTP status of a denial. Token failures are 403 unless the listener
// is configured for 401: a workload's client did not bring the token and cannot fix it.
func (c *Config) statusOf(class decision.Class) int {
	if class == decision.Unauthenticated {
		return c.TokenFailure
	}
	return class.Status()
}

// newMetadata lists what is known of the decision. decision_id is the id of the audit
// record. An unknown value is absent. Names are only ever added.
func (e *evaluation) newMetadata() []Field {
	fields := e.metadata[:0]
	add := func(name, value string) {
		if value != "" {
			// Text that is not UTF-8 cannot be encoded in a proto. The answer would become
			// a gRPC error, which failOpen may turn into an allow.
			fields = append(fields, Field{name, strings.ToValidUTF8(value, "\uFFFD")})
		}
	}
	add("decision_id", e.id)
	add("reason", string(e.decision.Reason))
	add("policy", e.decision.Policy)
	add("folder", e.decision.Folder)
	add("rule", e.decision.Rule)
	if e.claims != nil {
		add("txn", e.claims.Txn)
		add("sub", e.claims.Subject)
	}
	return fields
}

// took is the time since the question came in.
func (e *evaluation) took() time.Duration { return e.config.Now().Sub(e.received) }

// record records the decision, and returns the answer to give. An allow becomes a denial if
// the audit log requires its record and cannot write it in time. The record of that denial
// does not wait, and has the same id.
func (e *evaluation) record(ctx context.Context, answer Answer) Answer {
	record := e.newRecord()
	if !e.decision.Allowed() {
		e.config.Audit.Record(record)
		return answer
	}
	if e.config.Audit.RecordAllow(ctx, record) == nil { // the audit log reports its errors itself
		return answer
	}
	e.decision, e.withheld = decision.Deny(decision.AuditUnavailable), nil
	denied := e.newRecord()
	denied.Unrecorded = record.Unrecorded
	e.config.Audit.Record(denied)
	return e.newAnswer()
}

// newRecord makes the audit record of the decision. It names the user only if the token was
// verified: an unverified claim is text of an unknown writer.
func (e *evaluation) newRecord() audit.Record {
	inputs, unrecorded := audit.BoundInputs(e.inputs)
	request, headers := &e.reading.Request, &e.reading.headers
	r := audit.Record{
		Time: e.received.UTC(), Kind: audit.KindCheck, ID: e.id, Listener: e.config.Listener,
		TraceID:   audit.ParseTraceID(headers.firstOf(traceparentHeader)),
		RequestID: audit.Clip(headers.firstOf(requestIDHeader), audit.MaxRequestID),
		Caller:    audit.Clip(string(request.Caller), audit.MaxWorkload),
		Callee:    audit.Clip(string(request.Callee), audit.MaxWorkload),
		Method:    audit.Clip(request.Method, audit.MaxMethod),
		Path:      audit.Clip(request.Path, audit.MaxPath),
		Host:      audit.Clip(request.Host, audit.MaxHost),
		Decision:  e.decision.String(), Reason: string(e.decision.Reason),
		Policy: e.decision.Policy, Folder: e.decision.Folder, Rule: e.decision.Rule, Mode: e.decision.Mode(), Shadow: e.decision.Shadows(),
		Withheld: e.withheld, DurationUS: e.took().Microseconds(),
		Generation: e.policies.Generation(), Inputs: inputs, Unrecorded: unrecorded,
	}
	if e.claims != nil {
		r.Txn, r.Sub, r.Iss = e.claims.Txn, e.claims.Subject, e.claims.Issuer
		r.Authenticated = true
	}
	return r
}
