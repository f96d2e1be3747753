package token_test

import (
	"errors"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

func testKeys(t *testing.T) *keyset.SigningKeys {
	t.Helper()
	dir := t.TempDir()
	plan := keyset.Plan{PublishAt: noon, SignFrom: noon, SignUntil: noon.Add(time.Hour), RemoveAfter: noon.Add(time.Hour)}
	if _, err := keyset.CreateTestKey(dir, keyset.ES256, plan); err != nil {
		t.Fatal(err)
	}
	keys, err := keyset.LoadSigningKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestTestKeysAndProductionKeysStayApart(t *testing.T) {
	for _, row := range []struct {
		name string
		keys *keyset.SigningKeys
		test bool
		want error
	}{
		{"a gateway with test keys", testKeys(t), false, token.ErrTestKeys},
		{"a test minter with production keys", tokentest.SigningKeys(t), true, token.ErrProductionKeys},
		{"a gateway", tokentest.SigningKeys(t), false, nil},
		{"a test minter", testKeys(t), true, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			m, err := token.NewMinter(token.MinterConfig{
				Issuer: tokentest.Issuer, Audience: tokentest.Audience, Lifetime: time.Minute, MinRemaining: time.Second,
				Keys: row.keys, Test: row.test, Now: func() time.Time { return noon },
			})
			if !errors.Is(err, row.want) || (m == nil) != (row.want != nil) {
				t.Errorf("got %v, %v", m, err)
			}
		})
	}
}

// A verifier that has the key rejects the token, unless AllowTest is set.
func TestTestTokensAreRefusedUnlessAdmitted(t *testing.T) {
	keys := testKeys(t)
	m, err := token.NewMinter(token.MinterConfig{
		Issuer: tokentest.Issuer, Audience: tokentest.Audience, Lifetime: time.Minute, MinRemaining: time.Second,
		Keys: keys, Test: true, Now: func() time.Time { return noon },
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, minted, err := m.Mint(tokentest.Identity())
	if err != nil || minted.Tctx["test"] != true {
		t.Fatalf("got %+v, %v", minted, err)
	}
	trust := tokentest.TrustEntry(t)
	trust.Keys = keyset.PublicKeysOf(keys.Keys()[0])
	for allow, want := range map[bool]decision.Reason{false: decision.TestToken, true: ""} {
		v, err := token.NewVerifier([]token.Trust{trust}, tokentest.Domains, token.Options{AllowTest: allow, Now: func() time.Time { return noon }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(raw)
		if (err == nil) != allow || err != nil && token.ReasonOf(err) != want {
			t.Errorf("admitted %v: got %v", allow, err)
		}
	}
}
