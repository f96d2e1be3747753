package app

import (
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
	"github.com/meshpass/meshpass/shared/tokentest"
)

const revocationFile = oneListener + "revocation: {file: revoked.yaml}"

// withdrawing is a list with one entry.
func withdrawing(t *testing.T, kind revocation.Kind, value string) string {
	t.Helper()
	e := revocation.Entry{Issuer: tokentest.Issuer, Kind: kind, Value: value, Expires: time.Now().Add(time.Hour)}
	if kind == revocation.Sub || kind == revocation.SID {
		e.NotBefore = time.Now().Add(time.Minute)
	}
	list, _, err := new(revocation.List).With(time.Now(), e)
	if err != nil {
		t.Fatal(err)
	}
	return string(list.Document())
}

// Every kind takes effect on tokens that were accepted before, is lifted with its
// entry, and stays while the file cannot be used.
func TestRevocationsTakeEffect(t *testing.T) {
	f := newFiles(t, revocationFile)
	f.write("revoked.yaml", "revocations: []")
	a := startAsked(t, f)
	const allowed, revoked, reloaded = "rule_allowed read-own-tenant", "token_revoked", "revocations reloaded"
	kid := tokentest.ValidParts(t, time.Now()).Header["kid"].(string)
	for _, step := range []struct{ list, message, reason string }{
		{withdrawing(t, revocation.Sub, "idp:alice"), reloaded, revoked},
		{"revocations: [{", refusedMessage, revoked},
		{withdrawing(t, revocation.Sub, "idp:bob"), reloaded, allowed},
		{withdrawing(t, revocation.SID, "test-sid"), reloaded, revoked},
		{"serial: 9\nrevocations: []", reloaded, allowed},
		{withdrawing(t, revocation.KID, kid), reloaded, revoked},
		{"serial: 10\nrevocations: []", reloaded, allowed},
		{withdrawing(t, revocation.Txn, tokentest.Identity().Txn), reloaded, revoked},
	} {
		before := a.logged(step.message)
		f.write("revoked.yaml", step.list)
		eventually(t, "not looked at: "+step.list, func() bool { return a.logged(step.message) > before })
		if got := a.reason(t); got != step.reason {
			t.Errorf("%s: got %s, want %s", step.list, got, step.reason)
		}
	}
	metrics := body(t, a.ops()+"/metrics")
	for _, line := range []string{`meshpass_revocations{source="file"} 1`, `meshpass_reload_current{source="revocations"} 1`} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no %s in\n%s", line, metrics)
		}
	}
}

func TestNoListOfRevocationsNoStart(t *testing.T) {
	f := newFiles(t, revocationFile)
	if _, err := load(process(f.config)); err == nil || !strings.Contains(err.Error(), "revocation.file: ") {
		t.Errorf("got %v", err)
	}
	f.write("revoked.yaml", "revocations: [{kind: txn}]")
	if _, err := load(process(f.config)); err == nil || !strings.Contains(err.Error(), "revoked.yaml:1:15: entry 1: issuer: want") {
		t.Errorf("got %v", err)
	}
}

// `meshpass token verify` judges by the file as well.
func TestVerifierOfAFileWithRevocations(t *testing.T) {
	f := newFiles(t, revocationFile)
	f.write("revoked.yaml", withdrawing(t, revocation.Sub, "idp:alice"))
	v, err := Verifier(f.config, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(tokentest.Valid(t, time.Now())); token.ReasonOf(err) != decision.TokenRevoked {
		t.Errorf("got %v", err)
	}
}
