package main

import (
	"log/slog"
	"slices"

	"github.com/meshpass/meshpass/plugins/identity/promtext"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/revocation"
)

// revocationConfig names the list of what was withdrawn; absent: nothing is.
//
// There is no Redis here as in the authorizer. What the gateway signs too many,
// the first hop refuses, so all that the edge gains is an earlier answer, and for
// that the gateway's process gets no connection that can fail.
type revocationConfig struct {
	File string `yaml:"file"`
}

// admits asks of a token that would be issued now what every hop would ask of it:
// one that none of them accepts is not signed.
func (s *signer) admits(id identity.Identity) error {
	now := s.now()
	issued := revocation.Token{Issuer: s.config.Issuer, Subject: id.Subject.String(), SID: id.SessionID, Issued: now}
	if s.revoked.Revokes(issued, now) {
		return refuse(decision.TokenRevoked, "%s, or the session with sid %s, is revoked", id.Subject, id.SessionID)
	}
	return nil
}

// followRevocations logs what no honest writer does unasked: a list that goes back, and
// entries that vanish before they expire. The list is active all the same.
func (m *meter) followRevocations(s *signer, log *slog.Logger) {
	m.revocations.Observe(s.revoked, s.now())
	alarms := m.revocations.Alarms(s.now())
	for _, alarm := range alarms {
		if !slices.Contains(m.alarmed, alarm) {
			log.Error("revocations: "+alarm, "file", s.config.Revocation.File)
		}
	}
	m.alarmed = alarms
}

func (m *meter) writeRevocations(t *promtext.Text) {
	t.Family("meshpass_revocations_older", promtext.Gauge, "1 while the active list has a lower serial than one before.")
	_, _, back := m.revocations.RolledBack()
	t.Flag(back, "source", "file")
	t.Family("meshpass_revocations_vanished_total", promtext.Counter, "Entries that left the list, or refuse less, before they expired.")
	t.Sample(float64(m.revocations.VanishedCount()), "source", "file")
}
