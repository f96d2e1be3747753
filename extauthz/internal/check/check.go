// Package check answers Envoy's question "may this request go on?"
// (envoy.service.auth.v3). It is the only package that imports Envoy's protos:
// a CheckRequest becomes a [policy.Request], the decision becomes a
// CheckResponse, and between the two there is only plain Go.
//
// Every Check gets exactly one answer and one audit record, for which it does not
// wait: the log counts what it cannot write, and what it suppresses. Bad input is an
// answer too, a refusal, and never a gRPC error: an error is a failure of the
// authorizer in Envoy's eyes, and failOpen may let the request in.
//
// A Check ends with its context: when its time is over, it is denied.
//
// Statuses of refusals: 403 where the rules say no or the token fails (401 for
// token failures where the listener says so), 503 where no decision could be
// made, 500 after a panic.
package check

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/uuid"
	"google.golang.org/grpc/peer"

	"github.com/meshpass/meshpass/extauthz/internal/idheaders"
	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/extauthz/internal/peers"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/token"
)

// Config is what one listener's Checks are answered with.
type Config struct {
	Listener     string                      // its name in audit records
	TokenFailure int                         // status of token failures: 403 or 401
	Peers        peers.Peers                 // how it knows who calls and who is called
	Verifier     func() *token.Verifier      // in force now; each Check uses one throughout
	Policies     func() *policy.Set          // likewise
	Admit        func(context.Context) error // why the sender of a Check may not ask; nil: it may
	Audit        *audit.Log
	Limiter      *limits.Limiter // of all listeners of the process
	Meter        Meter
	Log          *slog.Logger
	Now          func() time.Time

	IdentityHeaders idheaders.Headers // that an allowed request gets; may be empty
}

// Meter counts what a listener does. It is called from many goroutines.
type Meter interface {
	Decided(d decision.Decision, took time.Duration)
	TokenMissing(caller, callee identity.Workload) // caller may be the service that did not pass it on
}

// Server is the ext_authz service of one listener.
type Server struct {
	auth.UnimplementedAuthorizationServer
	Config
}

// ErrIncomplete says that a part is missing without which nothing is decided.
var ErrIncomplete = errors.New("check: every part of the configuration is required, and 401 or 403 for token failures")

// New refuses a configuration with a part missing: there is no half authorizer.
func New(c Config) (*Server, error) {
	missing := c.Listener == "" || !c.Peers.Stated() || c.Verifier == nil || c.Policies == nil || c.Admit == nil ||
		c.Audit == nil || c.Limiter == nil || c.Meter == nil || c.Log == nil || c.Now == nil
	if missing || c.TokenFailure != http.StatusForbidden && c.TokenFailure != http.StatusUnauthorized {
		return nil, ErrIncomplete
	}
	return &Server{Config: c}, nil
}

// Check decides one request that has been received. Its error is always nil.
func (s *Server) Check(ctx context.Context, req *auth.CheckRequest) (*auth.CheckResponse, error) {
	return s.respond(ctx, s.Now(), func() (arrival, error) {
		if err := s.Admit(ctx); err != nil {
			return arrival{refusal: decision.ClientRefused, err: err}, nil
		}
		return arrival{request: req}, nil
	})
}

// respond decides what arrives. The error is the one of receive: then there is nobody
// to answer and nothing to record.
func (s *Server) respond(ctx context.Context, started time.Time, receive func() (arrival, error)) (response *auth.CheckResponse, err error) {
	defer func() { // a panic where not even a record can be made: still an answer, and a refusal
		if cause := recover(); cause != nil {
			s.Log.Error("panic beside a check", "listener", s.Listener, "kind", panicKind(cause), "stack", string(debug.Stack()))
			response, err = (&call{Server: s, decision: decision.Deny(decision.Panic)}).refuse(), nil
		}
	}()
	arrived, err := receive()
	if err != nil {
		return nil, err
	}
	c := call{
		Server: s, id: uuid.Must(uuid.NewV7()).String(), started: started,
		verifier: s.Verifier(), policies: s.Policies(),
	}
	response = c.answer(ctx, arrived)
	took := s.Now().Sub(c.started)
	s.Meter.Decided(c.decision, took)
	if c.decision.Reason == decision.TokenMissing {
		s.Meter.TokenMissing(c.question.Caller, c.question.Callee)
	}
	s.Audit.Record(c.record(took))
	return response, nil
}

// call is one Check on its way through.
type call struct {
	*Server
	id       string // of the audit record, and of the decision in Envoy's access log
	started  time.Time
	verifier *token.Verifier
	policies *policy.Set
	question question
	claims   *identity.Claims // of a token that was verified; nil otherwise
	decision decision.Decision
	inputs   map[string]any
	withheld []string // identity headers whose claim cannot be a header's value
}

// answer holds all that works on the caller's input, so that a panic anywhere
// in it still ends in a refusal and a record.
func (c *call) answer(ctx context.Context, arrived arrival) (response *auth.CheckResponse) {
	defer func() {
		if cause := recover(); cause != nil {
			c.Log.Error("panic in a check", "listener", c.Listener, "kind", panicKind(cause), "stack", string(debug.Stack()))
			c.decision = decision.Deny(decision.Panic)
			response = c.response()
		}
	}()
	c.decide(ctx, arrived)
	return c.response()
}

// decide reads nothing of a Check whose sender may not ask: every field of it,
// the caller's name too, would be that sender's invention.
func (c *call) decide(ctx context.Context, arrived arrival) {
	if arrived.request != nil {
		c.question = read(arrived.request, c.Peers, c.started)
	}
	if arrived.refusal != "" {
		c.refuseUnread(ctx, arrived)
		return
	}
	if arrived.err != nil {
		c.Log.Info("not a CheckRequest", "listener", c.Listener, "error", arrived.err)
	}
	if err := c.question.unnamed; err != nil {
		c.Log.Info("peer not named", "listener", c.Listener, "error", err)
	}
	if c.question.refusal != "" {
		c.decision = decision.Deny(c.question.refusal)
		return
	}
	if ctx.Err() != nil {
		c.decision = decision.Deny(decision.DeadlineExceeded)
		return
	}
	c.decision = c.policies.DecideToken(c.question.Request, c.authenticate)
	if c.decision.Allowed() && ctx.Err() != nil { // Envoy has given up, or is about to
		c.decision = decision.Deny(decision.DeadlineExceeded)
	}
	c.inputs = c.policies.Inputs(c.question.Request, c.claims)
}

// refuseUnread denies a Check that is not judged. The log says which Envoy asked,
// because the record may not: nothing of such a Check may have been read.
func (c *call) refuseUnread(ctx context.Context, arrived arrival) {
	c.decision = decision.Deny(arrived.refusal)
	message := "check not judged"
	if arrived.refusal == decision.ClientRefused {
		message = "client refused"
	}
	var client string
	if from, ok := peer.FromContext(ctx); ok {
		client = from.Addr.String()
	}
	c.Limiter.Warn(string(arrived.refusal), message, "listener", c.Listener, "reason", arrived.refusal, "client", client, "error", arrived.err)
}

// authenticate is called by the policy, and only when the answer needs it.
func (c *call) authenticate() policy.Authentication {
	raw, refusal := c.question.headers.token()
	if refusal != "" {
		return policy.Authentication{Refusal: refusal}
	}
	claims, err := c.verifier.Verify(raw)
	if err != nil {
		c.Log.Info("token refused", "listener", c.Listener, "error", err) // the client gets the code only
		return policy.Authentication{Refusal: token.ReasonOf(err), Outage: token.IsOutage(err)}
	}
	c.claims = claims
	return policy.Authentication{Claims: claims}
}

// txn is the transaction of a verified token, empty where there is none.
func (c *call) txn() string {
	if c.claims == nil {
		return ""
	}
	return c.claims.Txn
}

// panicKind names a panic without quoting it: the value may hold the input.
func panicKind(cause any) string {
	if err, ok := cause.(runtime.Error); ok {
		return err.Error()
	}
	return "explicit"
}
