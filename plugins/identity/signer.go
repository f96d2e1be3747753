package main

import (
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// signer holds what the hooks need. It is read-only once loaded, but for the
// cache of API settings and the last self-test.
type signer struct {
	config   *config
	minter   *token.Minter
	keys     *keyset.SigningKeys
	revoked  *revocation.List
	policies *policy.Set           // of the edge; nil: none are configured
	secret   identity.PseudonymKey // keys pseudonyms: the claim sid, subjects of API keys
	apis     apis
	hooks    hookFaults
	audit    *audit.Log
	log      *slog.Logger
	meter    *meter
	now      func() time.Time
	test     selfTest

	definitions *definitions

	// broken refuses every request: the gateway runs on when the plugin cannot
	// start, and must not run without it.
	broken error
}

// sign leaves on the request for whom a token will be signed, or answers it.
func (s *signer) sign(rw http.ResponseWriter, r *http.Request) {
	removeOurs(r) // an API without the pre hook must not pass a client's token on
	record := s.recordOf(r)
	t, err := s.transaction(r)
	var v verdict
	if err == nil {
		v, err = s.judge(r, t)
		v.note(&record)
	}
	switch {
	case err != nil:
		s.refuse(rw, r, record, err)
	case t == nil:
		s.finish(record, audit.KindEdge, decision.Allow(decision.Anonymous))
	default:
		t.verdict = v
		remember(r, *t)
	}
}

// transaction is nil, without an error, for a caller who may stay unknown.
func (s *signer) transaction(r *http.Request) (*transaction, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	a, err := s.apis.of(s, r)
	if err != nil {
		return nil, err
	}
	session, err := a.sessionOf(r)
	if err != nil {
		return nil, err
	}
	if err := a.refuseCopies(session, r); err != nil {
		return nil, err
	}
	if session == nil && a.optional {
		return nil, nil
	}
	id, err := s.identify(a, session, r)
	if err != nil {
		return nil, err
	}
	if err := s.admits(id); err != nil {
		return nil, err
	}
	return resume(r, transaction{Identity: a.narrow(id), lifetime: a.lifetime, signer: s, api: a})
}

// identify turns the session into the identity that this API may pass on.
func (s *signer) identify(a *api, session *user.SessionState, r *http.Request) (id identity.Identity, err error) {
	switch {
	case a.unsupported != nil:
		return id, refuse(decision.SessionUnsupported, "API %s: %w", a.ID, a.unsupported)
	case session == nil:
		return id, refuse(decision.NoSession, "API %s: nobody was authenticated", a.ID)
	case session.IsInactive:
		return id, refuse(decision.SessionInactive, "API %s: the key is inactive", a.ID)
	case session.KeyID == "":
		return id, refuse(decision.SessionUnsupported, "API %s: the session has no key", a.ID)
	}
	c := caller{s, a, session, r}
	method := a.openedBy(session, r)
	if method == methodJWT || method == methodOIDC {
		id, err = s.fromClaims(a, session, r)
	} else {
		id, err = s.fromSession(method, c)
	}
	if err != nil {
		return id, err
	}
	id.Requester, id.API, id.Org = s.config.Workload, a.API, session.OrgID
	id.Method, id.SessionID, id.IP = string(method), c.sid(), peer(r)
	return id, nil
}

// peer is the address that connected to the gateway. X-Forwarded-For and
// X-Real-IP, which Tyk trusts from anyone, must not end in a signed token.
func peer(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}
