package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/revocation"
)

// listed is the list as a file, with one entry that keeps its subject or session
// out until then.
func listed(t *testing.T, kind revocation.Kind, value string, until time.Time) string {
	t.Helper()
	list, _, err := new(revocation.List).WithEntries(time.Now(), revocation.Entry{
		Issuer: "https://tyk.test.meshpass.dev", Kind: kind, Value: value, NotBefore: until, Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(list.Document())
}

// Nothing is signed for whom the hops would refuse; each change counts from the
// next look on, and a broken list leaves the one before in force.
func TestRevoked(t *testing.T) {
	p := start(t)
	p.write(t, "revoked.yaml", "revocations: []")
	p.write(t, "meshpass.yaml", replaceIn(t, p, "audit:", "revocation: {file: revoked.yaml}\naudit:"))
	soon, past := time.Now().Add(time.Minute), time.Now().Add(-time.Minute)
	for _, step := range []struct {
		name, list string
		key, jwt   decision.Reason // "": signed
	}{
		{"nobody", "revocations: []", "", ""},
		{"a user", listed(t, revocation.Sub, "key:partner-7", soon), decision.TokenRevoked, ""},
		{"a broken list", "revocations: [", decision.TokenRevoked, ""},
		{"another user", listed(t, revocation.Sub, "idp:alice", soon), "", decision.TokenRevoked},
		{"tokens up to a minute ago", listed(t, revocation.Sub, "idp:alice", past), "", ""},
		{"a session", listed(t, revocation.SID, p.signer.credentials.Secret.Pseudonym("demo0123"), soon), decision.TokenRevoked, ""},
		{"somebody with the value of a session", listed(t, revocation.Sub, p.signer.credentials.Secret.Pseudonym("demo0123"), soon), "", ""},
	} {
		p.write(t, "revoked.yaml", step.list)
		p.look()
		for call, want := range map[*call]decision.Reason{keyCall(): step.key, jwtCall(): step.jwt} {
			r := call.request()
			rw := p.sign(r)
			if want == "" {
				signed(t, p, r, rw)
				continue
			}
			refused(t, p, r, rw, http.StatusUnauthorized, want)
			if !strings.Contains(p.audit.String(), `"reason":"token_revoked"`) {
				t.Errorf("%s: audit: %s", step.name, p.audit)
			}
		}
	}
}

// A list that is named and cannot be read signs for nobody at the start.
func TestNoListAtTheStart(t *testing.T) {
	p := start(t, "audit:", "revocation: {file: absent.yaml}\naudit:")
	r := keyCall().request()
	refused(t, p, r, p.sign(r), http.StatusServiceUnavailable, decision.NotConfigured)
	p.write(t, "absent.yaml", "revocations: []")
	p.look()
	r = keyCall().request()
	signed(t, p, r, p.sign(r))
}

// A list from the future is rejected, and the one before stays; one that goes back or
// loses entries is active, with an alarm in the log and the metrics.
func TestRevocationsThatGoBack(t *testing.T) {
	p := start(t)
	bob := listed(t, revocation.Sub, "key:partner-7", time.Now().Add(time.Minute))
	p.write(t, "revoked.yaml", bob)
	p.write(t, "meshpass.yaml", replaceIn(t, p, "audit:", "revocation: {file: revoked.yaml}\naudit:"))
	p.look()
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
		p.write(t, "revoked.yaml", step.list)
		p.look()
		r := keyCall().request()
		rw := p.sign(r)
		if step.want == "" {
			signed(t, p, r, rw)
		} else {
			refused(t, p, r, rw, http.StatusUnauthorized, step.want)
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
