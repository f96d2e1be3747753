package main

import (
	"errors"
	"net/http"

	"github.com/TykTechnologies/tyk/apidef"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/token"
)

// guardHook is the name under which API definitions list [GuardUpstream].
const guardHook = "GuardUpstream"

// guarded refuses an API without the hook that puts the token on the request, and
// one with a plugin behind it, which could send the token elsewhere. What a
// bundle lists cannot be seen here; without the hook there is no token.
func guarded(d *apidef.APIDefinition) error {
	if hasBundle(d) {
		return nil
	}
	last := ""
	for _, hook := range d.CustomMiddleware.Post {
		if !hook.Disabled {
			last = hook.Name
		}
	}
	if last != guardHook {
		return errors.New("custom_middleware.post: the last hook must be " + guardHook + ", without which no request gets a token")
	}
	return nil
}

// signLate is for a request without an identity. It looks for one where Tyk does not call
// [SignIdentity], and refuses the request if the definition does not show that it may go on.
func (s *signer) signLate(rw http.ResponseWriter, r *http.Request) (transaction, bool) {
	d, err := definitionOf(r)
	if err == nil && d.byCertificate {
		s.sign(rw, r)
		return take(r)
	}
	if err == nil {
		err = s.hooks.of(s, d).err
	}
	if err != nil {
		s.refuse(rw, r, s.recordOf(r), err)
	}
	return transaction{}, false
}

// guard signs for the caller whom [SignIdentity] has found, if the request goes
// where a token may.
func (s *signer) guard(rw http.ResponseWriter, r *http.Request, t transaction) {
	hosts, internal := t.api.leads(r)
	if internal {
		return // the next API asks who calls, and signs; one that does not ask gets no token
	}
	record := s.recordOf(r)
	record.Txn, record.Sub, record.Iss = t.Txn, t.Subject.String(), s.config.Issuer
	t.verdict.note(&record)
	if callsMCP(r) && t.api.afterGuard != nil {
		s.refuse(rw, r, record, refuse(decision.ConfigInvalid, "API %s: %w", t.api.ID, t.api.afterGuard))
		return
	}
	for _, host := range hosts {
		if !s.config.upstreams.Admit(host) {
			s.refuse(rw, r, record, refuse(decision.UpstreamRefused, "API %s: this request goes to %.256q, which is not in upstreams", t.api.ID, host.Host))
			return
		}
	}
	raw, claims, err := s.minter.MintFor(t.Identity, t.lifetime)
	if err != nil {
		s.refuse(rw, r, record, err)
		return
	}
	r.Header.Set(identity.Header, raw)
	rw.Header().Set(identity.TxnHeader, claims.Txn)
	s.finish(record, audit.KindIssue, decision.Allow(decision.Issued))
}

// refuse answers the request and writes down why.
func (s *signer) refuse(rw http.ResponseWriter, r *http.Request, record audit.Record, err error) {
	reason := token.ReasonOf(err)
	if reason.Class().Status() == http.StatusUnauthorized {
		rw.Header().Set("WWW-Authenticate", s.challenge(r, reason))
	}
	writeRefusal(rw, reason)
	record.Detail = audit.Clip(err.Error(), audit.MaxDetail)
	s.log.Warn("refused", "api", record.Callee, "id", record.ID, "error", err.Error())
	s.finish(record, audit.KindEdge, decision.Deny(reason))
}
