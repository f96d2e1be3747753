// Package check answers Envoy's question "may this request go on?"
// (envoy.service.auth.v3). It is the only package that imports Envoy's protos:
// a CheckRequest becomes a [policy.Request], the decision becomes a
// CheckResponse, and between the two there is only plain Go.
//
// Every Check gets exactly one answer and one audit record. Bad input is an
// answer too, a refusal, and never a gRPC error: an error is a failure of the
// authorizer in Envoy's eyes, and failOpen may let the request in.
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

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/token"
)

// Config is what one listener's Checks are answered with.
type Config struct {
	Listener     string // its name in audit records
	TokenFailure int    // status of token failures: 403 or 401
	Domains      identity.TrustDomains
	Verifier     *token.Verifier
	Policies     *policy.Set
	Audit        *audit.Log
	Log          *slog.Logger
	Now          func() time.Time
}

// Server is the ext_authz service of one listener.
type Server struct {
	auth.UnimplementedAuthorizationServer
	Config
}

// ErrIncomplete says that a part is missing without which nothing is decided.
var ErrIncomplete = errors.New("check: listener, verifier, policies, audit, log and clock are required, and 401 or 403 for token failures")

// New refuses a configuration with a part missing: there is no half authorizer.
func New(c Config) (*Server, error) {
	missing := c.Listener == "" || c.Verifier == nil || c.Policies == nil || c.Audit == nil || c.Log == nil || c.Now == nil
	if missing || c.TokenFailure != http.StatusForbidden && c.TokenFailure != http.StatusUnauthorized {
		return nil, ErrIncomplete
	}
	return &Server{Config: c}, nil
}

// Check decides one request. Its error is always nil.
func (s *Server) Check(_ context.Context, req *auth.CheckRequest) (*auth.CheckResponse, error) {
	c := call{Server: s, started: s.Now()}
	response := c.answer(req)
	if err := s.Audit.Write(c.record()); err != nil {
		s.Log.Error("audit record not written", "listener", s.Listener, "error", err)
	}
	return response, nil
}

// call is one Check on its way through.
type call struct {
	*Server
	started  time.Time
	question question
	claims   *identity.Claims // of a token that was verified; nil otherwise
	decision decision.Decision
	inputs   map[string]any
}

// answer holds all that works on the caller's input, so that a panic anywhere
// in it still ends in a refusal and a record.
func (c *call) answer(req *auth.CheckRequest) (response *auth.CheckResponse) {
	defer func() {
		if cause := recover(); cause != nil {
			c.Log.Error("panic in a check", "listener", c.Listener, "kind", panicKind(cause), "stack", string(debug.Stack()))
			c.decision = decision.Deny(decision.Panic, "", "")
			response = refuse(c.status(decision.Broken), decision.Panic, c.txn())
		}
	}()
	c.question = read(req, c.Domains, c.started)
	c.decide()
	if !c.decision.Allowed() {
		return refuse(c.status(c.decision.Reason.Class()), c.decision.Reason, c.txn())
	}
	return allow(c.question.headers.unverified(c.claims != nil), c.txn())
}

func (c *call) decide() {
	if c.question.refusal != "" {
		c.decision = decision.Deny(c.question.refusal, "", "")
		return
	}
	c.decision = c.Policies.Decide(c.question.Request, c.authenticate)
	c.inputs = c.Policies.Inputs(c.question.Request, c.claims)
}

// authenticate is called by the policy, and only when the answer needs it.
func (c *call) authenticate() (*identity.Claims, decision.Reason) {
	raw, refusal := c.question.headers.token()
	if refusal != "" {
		return nil, refusal
	}
	claims, err := c.Verifier.Verify(raw)
	if err != nil {
		c.Log.Info("token refused", "listener", c.Listener, "error", err) // the client gets the code only
		return nil, token.ReasonOf(err)
	}
	c.claims = claims
	return claims, ""
}

// txn is the transaction of a verified token. It can stand in a header, which
// Istio has Envoy take without validating: the verifier sees to that.
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
