package main

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// edgeDecision is the decision of the edge's documents, with what it was made of. The zero value is that of
// a request that no document decides.
type edgeDecision struct {
	decision   decision.Decision
	original   originalRequest
	generation string
	inputs     map[string]any
}

// decideEdge gives an error if the documents deny and are enforced. t is nil for a caller who stays
// unknown.
func (s *signer) decideEdge(e exchange, t *transaction) (v edgeDecision, err error) {
	if s.policies == nil {
		return v, nil
	}
	if e.err != nil {
		return v, e.err
	}
	callee, err := identity.EdgeCallee(e.definition.ID)
	if err != nil {
		return v, nil // no document can name it
	}
	var claims *identity.Claims
	if t != nil {
		if claims, err = s.minter.ClaimsFor(t.identity, t.lifetime); err != nil {
			return v, err
		}
	}
	original := originalOf(e)
	question := policy.Request{
		NoCaller: true, // only users call the gateway, no workloads
		Callee:   callee, Method: original.method, Path: original.path, Host: original.host,
		Port: localPort(e.r), Headers: joinHeaders(e.r.Header), Now: s.now(),
	}
	answer := s.policies.Decide(question, func() (*identity.Claims, decision.Reason) {
		if claims == nil {
			return nil, decision.TokenMissing
		}
		return claims, ""
	})
	if answer.Reason == decision.Unguarded && answer.Shadow == nil {
		return v, nil
	}
	v = edgeDecision{
		decision:   applyEnforcement(answer, s.config.Edge.Enforce),
		original:   original,
		generation: s.policies.Generation(),
		inputs:     s.policies.Inputs(question, claims),
	}
	s.meter.CountShadows(v.decision)
	if !v.decision.Allowed() {
		return v, denial.New(v.decision.Reason, "edge policy %q, rule %q", v.decision.Policy, v.decision.Rule)
	}
	return v, nil
}

// applyEnforcement gives the decision that the edge applies: it allows if the edge does not enforce, or
// if only documents in shadow target the API.
func applyEnforcement(answer decision.Decision, enforce bool) decision.Decision {
	if enforce && answer.Reason != decision.Unguarded {
		return answer
	}
	unenforced := decision.Allow(decision.Unenforced)
	unenforced.Shadow = &answer
	if answer.Reason == decision.Unguarded {
		unenforced.Shadow = answer.Shadow
	}
	return unenforced
}

// addTo adds the decision to the record of the request, with the request that was decided: before the
// post hook Tyk may have rewritten it.
func (v edgeDecision) addTo(record *audit.Record) {
	if v.generation == "" {
		return
	}
	record.Method, record.Path = audit.Clip(v.original.method, audit.MaxMethod), audit.Clip(v.original.path, audit.MaxPath)
	record.Host = audit.Clip(v.original.host, audit.MaxHost)
	d := v.decision
	record.Policy, record.Folder, record.Rule, record.Mode, record.Shadow = d.Policy, d.Folder, d.Rule, d.Mode(), d.Shadows()
	record.Generation = v.generation
	record.Inputs, record.Unrecorded = audit.BoundInputs(v.inputs)
}

// originalRequest is what the client itself sent, before Tyk rewrites it.
type originalRequest struct{ api, method, path, host string }

type originalKey struct{}

// rememberOriginal is for an API that asks for nothing but a certificate: there the request is decided
// in the post hook, see [signer.guardUnidentified].
func rememberOriginal(e exchange) {
	if e.err == nil && e.definition.ByCertificate {
		*e.r = *e.r.WithContext(context.WithValue(e.r.Context(), originalKey{}, presentRequest(e)))
	}
}

func originalOf(e exchange) originalRequest {
	if remembered, ok := e.r.Context().Value(originalKey{}).(originalRequest); ok && remembered.api == e.definition.ID {
		return remembered
	}
	return presentRequest(e)
}

func presentRequest(e exchange) originalRequest {
	return originalRequest{api: e.definition.ID, method: e.r.Method, path: e.r.URL.EscapedPath(), host: e.r.Host}
}

// joinHeaders gives each header as Envoy would: by its lower-case name, several values with commas.
func joinHeaders(h http.Header) map[string]string {
	all := make(map[string]string, len(h))
	for name, values := range h {
		name = strings.ToLower(name)
		if before, twice := all[name]; twice {
			values = append([]string{before}, values...)
		}
		all[name] = strings.Join(values, ",")
	}
	return all
}

// localPort is the port of the gateway that the client has connected to.
func localPort(r *http.Request) uint32 {
	address, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return 0
	}
	_, text, _ := net.SplitHostPort(address.String())
	number, _ := strconv.ParseUint(text, 10, 16)
	return uint32(number)
}
