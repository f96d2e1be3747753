package main

import (
	"log/slog"
	"time"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/plugins/identity/credential"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/plugins/identity/metrics"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// signer is what the hooks need, made from one version of the files. It is read-only once loaded, but
// for what it keeps of APIs, and the last self-test.
type signer struct {
	config      *settings.Config
	minter      *token.Minter
	keys        *keyset.SigningKeys
	revoked     *revocation.List
	policies    *policy.Set // of the edge; nil: the configuration has no folder
	credentials credential.Reader
	apis        *tykapi.ProtectedAPIs
	hooks       *tykapi.HookChecks
	audit       *audit.Log
	now         func() time.Time
	test        selfTest

	// These live as long as the gateway.
	log         *slog.Logger
	meter       *metrics.Meter
	definitions *tykapi.Folder

	// broken denies every request: the gateway continues to run when the plugin cannot start, and must not
	// run without it.
	broken error
}

// identifyCaller finds the caller of a request. Without a transaction it has answered the request, or the
// request goes on without identity.
func (s *signer) identifyCaller(e exchange) *transaction {
	began := s.now()
	t, err := s.newTransaction(e)
	var v edgeDecision
	if err == nil {
		v, err = s.decideEdge(e, t)
	}
	if err == nil && t != nil { // the guard records it
		t.edge = v
		return t
	}
	record := s.newRecord(e, began)
	v.addTo(&record)
	if err != nil {
		s.denyRequest(e, record, err)
		return nil
	}
	s.allowRequest(e, record, audit.KindEdge, decision.Anonymous)
	return nil
}

// newTransaction is nil, without an error, for a caller who may stay unknown.
func (s *signer) newTransaction(e exchange) (*transaction, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	if e.err != nil {
		return nil, e.err
	}
	a, err := s.apis.Find(e.definition)
	if err != nil {
		return nil, err
	}
	session, err := a.SessionOf(e.r)
	if err != nil {
		return nil, err
	}
	if err := a.CheckCopies(session, e.r); err != nil {
		return nil, err
	}
	if session == nil && a.OptionalIdentity {
		return nil, nil
	}
	id, err := s.credentials.Identify(a, session, e.r)
	if err != nil {
		return nil, err
	}
	if err := s.checkRevoked(id); err != nil {
		return nil, err
	}
	return continueTransaction(e.r, &transaction{identity: a.NarrowIdentity(id), lifetime: a.Lifetime, signer: s, api: a})
}

// checkRevoked asks of a token that would be issued now what every hop would ask: a token that no hop
// accepts is not signed.
func (s *signer) checkRevoked(id identity.Identity) error {
	now := s.now()
	issued := revocation.Token{Issuer: s.config.Issuer, Subject: id.Subject.String(), SID: id.SessionID, Issued: now}
	if s.revoked.Revokes(issued, now) {
		return denial.New(decision.TokenRevoked, "%s, or the session with sid %s, is revoked", id.Subject, id.SessionID)
	}
	return nil
}

// reportMappedClaim counts a mapped claim, and logs once a claim that was never found.
func (s *signer) reportMappedClaim(mapping, claim string, found bool) {
	if missed := s.meter.Mapped.Count(mapping, claim, found); missed != nil {
		s.log.Warn("a mapped claim was not in the first credential that could have it; if it is not optional, compare its name with a token of the provider",
			"mapping", mapping, "claim", missed.Claim, "from", missed.From, "metric", "meshpass_edge_mapped_claims_total")
	}
}
