package main

import (
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// guardUnidentified is for a request that [SignIdentity] of this API has not identified. Tyk does not
// call SignIdentity for an API that asks for nothing but a certificate, so the caller is identified
// here. Other requests are denied if the definition does not show that they may go on.
func (s *signer) guardUnidentified(e exchange) {
	err := e.err
	switch {
	case err == nil && e.definition.ByCertificate:
		if t := s.identifyCaller(e); t != nil {
			t.step = passedGuard
			storeTransaction(e.r, t)
			s.guardIdentified(e, t)
		}
		return
	case err == nil:
		err = s.hooks.Find(e.definition).Err
	}
	if err != nil {
		s.denyRequest(e, s.newRecord(e, s.now()), err)
	}
}

// guardIdentified signs for an identified caller, if the request goes to a host that tokens may be sent to.
func (s *signer) guardIdentified(e exchange, t *transaction) {
	began := s.now()
	hosts, internal := t.api.FindDestination(e.r)
	if internal {
		return // the next API identifies the caller, and signs; one that does not identify gets no token
	}
	record := s.newRecord(e, began)
	record.Txn, record.Sub, record.Iss = t.identity.Txn, t.identity.Subject.String(), s.config.Issuer
	t.edge.addTo(&record)
	if tykapi.ReentersChain(e.r) && t.api.UnsafeReentry != nil {
		s.denyRequest(e, record, denial.New(decision.ConfigInvalid, "API %s: %w", t.api.ID, t.api.UnsafeReentry))
		return
	}
	for _, host := range hosts {
		if !s.config.UpstreamHosts.Admit(host) {
			s.denyRequest(e, record, denial.New(decision.UpstreamRefused, "API %s: this request goes to %.256q, which is not in upstreams", t.api.ID, host.Host))
			return
		}
	}
	raw, err := s.minter.MintToken(t.identity, t.lifetime)
	if err != nil {
		s.denyRequest(e, record, err)
		return
	}
	if s.allowRequest(e, record, audit.KindIssue, decision.Issued) {
		e.r.Header.Set(identity.Header, raw)
		e.rw.Header().Set(identity.TxnHeader, t.identity.Txn)
	}
}
