package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/TykTechnologies/tyk/ctx"

	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/token"
)

// exchange is a request in one hook, with the definition of its API.
type exchange struct {
	rw         http.ResponseWriter
	r          *http.Request
	definition tykapi.Definition
	err        error // why there is no definition
}

func newExchange(rw http.ResponseWriter, r *http.Request) exchange {
	d, err := tykapi.DefinitionOf(r)
	return exchange{rw: rw, r: r, definition: d, err: err}
}

// newRecord starts the audit record of a hook that began at this time, with values of the request itself.
// Method and path are the client's own, because Tyk rewrites them later.
func (s *signer) newRecord(e exchange, began time.Time) audit.Record {
	record := audit.Record{
		Time: began.UTC(), ID: token.NewTxn(),
		TraceID:   findTraceID(e),
		RequestID: audit.Clip(e.r.Header.Get("X-Request-Id"), audit.MaxRequestID),
		Method:    audit.Clip(e.r.Method, audit.MaxMethod),
		Path:      audit.Clip(e.r.URL.EscapedPath(), audit.MaxPath),
		Host:      audit.Clip(e.r.Host, audit.MaxHost),

		Authenticated: e.r.Context().Value(ctx.SessionData) != nil && e.r.Context().Value(ctx.RequestStatus) == nil,
	}
	if e.err == nil {
		record.Callee = "edge/" + e.definition.ID
	}
	return record
}

// denyRequest answers the request, and logs and records why.
func (s *signer) denyRequest(e exchange, record audit.Record, err error) {
	reason := token.ReasonOf(err)
	if reason.Class().Status() == http.StatusUnauthorized {
		e.rw.Header().Set("WWW-Authenticate", s.challengeFor(e, reason))
	}
	denial.Write(e.rw, reason)
	record.Detail = audit.Clip(err.Error(), audit.MaxDetail)
	s.log.Warn("request denied", "api", record.Callee, "id", record.ID, "error", err.Error())
	s.recordDenial(e.r.Context(), record, reason)
}

// challengeFor is what a 401 must say: how to authenticate (RFC 9110 section 15.5.2). An API with several
// methods names the one that identifies the caller. API keys and certificates have no scheme of their
// own; Tyk accepts keys as bearers too.
func (s *signer) challengeFor(e exchange, reason decision.Reason) string {
	if s.broken == nil && e.err == nil {
		if a, err := s.apis.Find(e.definition); err == nil && a.Method == tykapi.MethodBasic {
			return `Basic realm="` + quotedStringEscapes.Replace(a.Name) + `"` // as Tyk itself writes it
		}
	}
	if reason == decision.NoSession {
		return "Bearer" // without credentials, no error: RFC 6750 section 3.1
	}
	return `Bearer error="invalid_token"`
}

// quotedStringEscapes replaces what a quoted-string may not contain (RFC 9110 section 5.6.4).
var quotedStringEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", " ", "\n", " ")

// maxAuditWait bounds how long a request waits for its record where the configuration requires records.
const maxAuditWait = 200 * time.Millisecond

// allowRequest counts and records that a request goes on. If it returns false, the request must not go on:
// the configuration requires records, this one could not be written in time, and the request is denied.
// That is the only case in which a hook waits for a record.
func (s *signer) allowRequest(e exchange, record audit.Record, kind audit.Kind, reason decision.Reason) bool {
	allowed := s.completeRecord(record, kind, decision.Allow(reason))
	if err := s.recordAllow(e.r.Context(), allowed); err != nil {
		s.denyRequest(e, record, denial.New(decision.AuditUnavailable, "audit.required: %w", err))
		return false
	}
	s.meter.CountDecision(reason)
	addSpanEvent(e.r.Context(), allowed)
	return true
}

// recordAllow makes a timer only if it may have to wait.
func (s *signer) recordAllow(ctx context.Context, record audit.Record) error {
	if !s.audit.RequiresRecords() {
		s.audit.Record(record)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxAuditWait)
	defer cancel()
	return s.audit.RecordAllow(ctx, record)
}

// recordDenial counts the denial and queues its record; no hook waits for it to be written.
func (s *signer) recordDenial(ctx context.Context, record audit.Record, reason decision.Reason) {
	s.meter.CountDecision(reason)
	denied := s.completeRecord(record, audit.KindEdge, decision.Deny(reason))
	s.audit.Record(denied)
	addSpanEvent(ctx, denied)
}

func (s *signer) completeRecord(record audit.Record, kind audit.Kind, d decision.Decision) audit.Record {
	record.Kind, record.Decision, record.Reason = kind, d.String(), string(d.Reason)
	record.DurationUS = s.now().Sub(record.Time).Microseconds()
	return record
}
