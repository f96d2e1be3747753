package listedit

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// A value that no token can have is rejected, because it would look revoked and have no effect.
func TestForms(t *testing.T) {
	digest := identity.PseudonymKey(strings.Repeat("s", 32)).Pseudonym("key")
	for kind, values := range map[revocation.Kind]struct{ good, bad []string }{
		revocation.Sub: {[]string{"okta:alice", "key:a:b", "idp-2:ü x"}, []string{"", "alice", ":alice", "okta:", "Okta:alice", "ok ta:alice", " okta:alice",
			"okta:al\xffice", "okta:al\uFFFDice", "okta:" + strings.Repeat("a", 1<<16)}},
		revocation.KID: {[]string{digest}, []string{"", "notakid", digest[:42], digest + "A", digest[:42] + "=", digest[:42] + "+", digest[:20] + "\n" + digest[20:]}},
		revocation.SID: {[]string{digest}, []string{"", "s", "demo0123456789", digest + "="}},
		revocation.Txn: {[]string{token.NewTxn()}, []string{"", "zzz", strings.ToUpper(token.NewTxn()), "{" + token.NewTxn() + "}", "urn:uuid:" + token.NewTxn(), strings.ReplaceAll(token.NewTxn(), "-", "")}},
	} {
		for _, value := range values.good {
			if err := (Request{Kind: kind, Value: value}).checkValue(); err != nil {
				t.Errorf("%s %q: %v", kind, value, err)
			}
		}
		for _, value := range values.bad {
			if err := (Request{Kind: kind, Value: value}).checkValue(); !errors.Is(err, ErrImpossibleValue) {
				t.Errorf("%s %q: %v", kind, value, err)
			}
		}
	}
}

// A token that a gateway signs now, with a clock that is as far ahead as any verifier
// may tolerate, is rejected until the last moment when it could be accepted.
func TestTheLargestLeeway(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	e := Request{Issuer: "i", Kind: revocation.Sub, Value: "okta:alice", Now: now}.newEntry()
	issued := now.Add(token.MaxLeeway)
	list, _, err := new(revocation.List).WithEntries(now, e)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{now, issued.Add(token.MaxLifetime), issued.Add(token.MaxLifetime + token.MaxLeeway - time.Second)} {
		if !list.Revokes(revocation.Token{Issuer: "i", Subject: "okta:alice", Issued: issued}, at) {
			t.Errorf("at %s a token of %s is accepted", at, issued)
		}
	}
	if list.Revokes(revocation.Token{Issuer: "i", Subject: "okta:alice", Issued: issued.Add(time.Second)}, now) {
		t.Error("a token that is issued later is refused")
	}
}
