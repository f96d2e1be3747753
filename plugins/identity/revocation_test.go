package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/revocation"
)

// revocationText writes a list with one entry, which ends its subject or session until then.
func revocationText(t *testing.T, kind revocation.Kind, value string, until time.Time) string {
	t.Helper()
	list, _, err := new(revocation.List).WithEntries(time.Now(), revocation.Entry{
		Issuer: "https://tyk.test.meshpass.dev", Kind: kind, Value: value, NotBefore: until, Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(list.Document())
}

// No token is signed that the hops would deny. Each change is active from the next look on, and an invalid
// list leaves the one before active.
func TestRevoked(t *testing.T) {
	p := startRig(t)
	p.writeFile(t, "revoked.yaml", "revocations: []")
	p.writeFile(t, "meshpass.yaml", replaceIn(t, p, "audit:", "revocation: {file: revoked.yaml}\naudit:"))
	soon, past := time.Now().Add(time.Minute), time.Now().Add(-time.Minute)
	for _, step := range []struct {
		name, list string
		key, jwt   decision.Reason // "": signed
	}{
		{"nobody", "revocations: []", "", ""},
		{"a user", revocationText(t, revocation.Sub, "key:partner-7", soon), decision.TokenRevoked, ""},
		{"a broken list", "revocations: [", decision.TokenRevoked, ""},
		{"another user", revocationText(t, revocation.Sub, "idp:alice", soon), "", decision.TokenRevoked},
		{"tokens up to a minute ago", revocationText(t, revocation.Sub, "idp:alice", past), "", ""},
		{"a session", revocationText(t, revocation.SID, p.pseudonym("demo0123"), soon), decision.TokenRevoked, ""},
		{"somebody with the value of a session", revocationText(t, revocation.Sub, p.pseudonym("demo0123"), soon), "", ""},
	} {
		p.writeFile(t, "revoked.yaml", step.list)
		p.checkOnce()
		for call, want := range map[*call]decision.Reason{keyCall(): step.key, jwtCall(): step.jwt} {
			r := call.request()
			rw := p.callSignAndGuard(r)
			if want == "" {
				requireSigned(t, p, r, rw)
				continue
			}
			requireDenied(t, p, r, rw, http.StatusUnauthorized, want)
			if !strings.Contains(p.audit.String(), `"reason":"token_revoked"`) {
				t.Errorf("%s: audit: %s", step.name, p.audit)
			}
		}
	}
}

// While the list that is named cannot be read at the start, no token is signed.
func TestNoListAtTheStart(t *testing.T) {
	p := startRig(t, "audit:", "revocation: {file: absent.yaml}\naudit:")
	r := keyCall().request()
	requireDenied(t, p, r, p.callSignAndGuard(r), http.StatusServiceUnavailable, decision.NotConfigured)
	p.writeFile(t, "absent.yaml", "revocations: []")
	p.checkOnce()
	r = keyCall().request()
	requireSigned(t, p, r, p.callSignAndGuard(r))
}

// A list from the future is rejected, and the one before stays; one that goes back or
// loses entries is active, with an alarm in the log and the metrics.
func TestRevocationsThatGoBack(t *testing.T) {
	p := startRig(t)
	bob := revocationText(t, revocation.Sub, "key:partner-7", time.Now().Add(time.Minute))
	p.writeFile(t, "revoked.yaml", bob)
	p.writeFile(t, "meshpass.yaml", replaceIn(t, p, "audit:", "revocation: {file: revoked.yaml}\naudit:"))
	p.checkOnce()
	for _, step := range []struct {
		list            string
		want            decision.Reason // "": signed
		older, vanished string
		logged          string
	}{
		{bob, decision.TokenRevoked, "0", "0", ""},
		{"serial: 9007199254740992\nrevocations: []", decision.TokenRevoked, "0", "0", "the writer of the list has a wrong clock, or this machine has"},
		{"serial: 7\nrevocations: []", "", "1", "1", "1 entries vanished before they expire: sub key:partner-7 of https://tyk.test.meshpass.dev"},
		{bob, decision.TokenRevoked, "0", "1", ""},
	} {
		before := p.log.String()
		p.writeFile(t, "revoked.yaml", step.list)
		p.checkOnce()
		r := keyCall().request()
		rw := p.callSignAndGuard(r)
		if step.want == "" {
			requireSigned(t, p, r, rw)
		} else {
			requireDenied(t, p, r, rw, http.StatusUnauthorized, step.want)
		}
		if text := string(p.watch.metricsText()); !strings.Contains(text, "\nmeshpass_revocations_older{source=\"file\"} "+step.older+"\n") ||
			!strings.Contains(text, "\nmeshpass_revocations_vanished_total{source=\"file\"} "+step.vanished+"\n") {
			t.Errorf("%s: %s", step.list, text)
		}
		if added := strings.TrimPrefix(p.log.String(), before); !strings.Contains(added, step.logged) || (step.logged == "") == strings.Contains(added, "level=ERROR") {
			t.Errorf("%s: logged %s", step.list, added)
		}
	}
}
