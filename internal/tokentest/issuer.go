package tokentest

import (
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// NewIssuer returns a minter that signs as the test issuer with a new key, and the entry that
// trusts that key. The time of the minter is always now.
func NewIssuer(t testing.TB, algorithm string, now time.Time) (*token.Minter, token.Trust) {
	t.Helper()
	keys := NewSigningKeys(t, algorithm, now)
	minter, err := token.NewMinter(token.MinterConfig{
		Issuer: Issuer, Audience: Audience, Lifetime: time.Minute, MinRemaining: 5 * time.Second,
		Keys: keys, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	document, err := keys.JWKS(now)
	if err != nil {
		t.Fatal(err)
	}
	trust := TrustEntry(t)
	trust.Algorithms = []string{algorithm}
	if trust.Keys, err = keyset.ParseJWKS(document); err != nil {
		t.Fatal(err)
	}
	return minter, trust
}

// NewSigningKeys returns one new key, which signs from now on for an hour.
func NewSigningKeys(t testing.TB, algorithm string, now time.Time) *keyset.SigningKeys {
	t.Helper()
	dir := t.TempDir()
	plan := keyset.Plan{PublishAt: now, SignFrom: now, SignUntil: now.Add(time.Hour), RemoveAfter: now.Add(time.Hour)}
	if _, err := keyset.CreateKey(dir, algorithm, plan); err != nil {
		t.Fatal(err)
	}
	keys, err := keyset.LoadSigningKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
