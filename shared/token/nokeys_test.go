package token_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// Without keys, a token gets the reason of the first rule that needs no key, and
// keys_unavailable only if it passes all of them: an outage forgives nothing else.
func TestNoKeys(t *testing.T) {
	trust := tokentest.TrustEntry(t)
	trust.Keys, trust.NoKeys = nil, true
	missed := 0
	v, err := token.NewVerifier([]token.Trust{trust}, tokentest.Domains, token.Options{
		Now: func() time.Time { return noon }, KeyMissing: func(string, string) { missed++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	unix := noon.Unix()
	for name, row := range map[string]struct {
		claims map[string]any
		want   decision.Reason
	}{
		"a valid token":       {nil, decision.KeysUnavailable},
		"expired":             {map[string]any{"iat": unix - 120, "exp": unix - 60}, decision.TokenExpired},
		"another audience":    {map[string]any{"aud": "x"}, decision.AudienceMismatch},
		"another issuer":      {map[string]any{"iss": "https://other.example"}, decision.IssuerUnknown},
		"a foreign namespace": {map[string]any{"sub": "west:alice"}, decision.NotEntitled},
		"no subject":          {map[string]any{"sub": ""}, decision.ClaimsInvalid},
		"minted by hand":      {map[string]any{"tctx": map[string]any{"test": true}}, decision.TestToken},
	} {
		parts := tokentest.ValidParts(t, noon)
		maps.Copy(parts.Claims, row.claims)
		if claims, err := v.Verify(parts.Sign(t)); claims != nil || token.ReasonOf(err) != row.want {
			t.Errorf("%s: got %v, %v", name, claims, err)
		}
	}
	if missed != 1 {
		t.Errorf("%d keys are reported missing, want that of the valid token", missed)
	}
	if decision.KeysUnavailable.Class() != decision.Unavailable {
		t.Error("not 503")
	}
}

func TestKeysOrTheWordThatThereAreNone(t *testing.T) {
	forgotten, both := tokentest.TrustEntry(t), tokentest.TrustEntry(t)
	forgotten.Keys, both.NoKeys = nil, true
	for want, trust := range map[string]token.Trust{"no keys": forgotten, "keys, although NoKeys is set": both} {
		_, err := token.NewVerifier([]token.Trust{trust}, tokentest.Domains, token.Options{})
		if err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// KeyMissing is called for a key that is missing, and for nothing else.
func TestMissingKeysAreReported(t *testing.T) {
	var missed []string
	v, err := token.NewVerifier([]token.Trust{tokentest.TrustEntry(t)}, tokentest.Domains, token.Options{
		Now:        func() time.Time { return noon },
		KeyMissing: func(issuer, kid string) { missed = append(missed, issuer+" "+kid) },
	})
	if err != nil {
		t.Fatal(err)
	}
	minter, other := tokentest.NewIssuer(t, keyset.ES256, noon)
	unknown, _, err := minter.Mint(tokentest.Identity())
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{tokentest.ValidToken(t, noon), "", tokentest.ValidToken(t, noon.Add(-time.Hour)), unknown} {
		_, err = v.Verify(raw)
	}
	if token.ReasonOf(err) != decision.KeyUnknown {
		t.Errorf("got %v", err)
	}
	if want := tokentest.Issuer + " " + other.Keys.KeyIDs()[0]; len(missed) != 1 || missed[0] != want {
		t.Errorf("got %v, want %s", missed, want)
	}
}

// Only home issuers without keys cause a key outage, and only their tokens meet it. Stale
// revocations are an outage for verified tokens alone. So a requester cannot cause an outage
// with the content of an unsigned token.
func TestKeyOutage(t *testing.T) {
	const home, home2, partner = tokentest.Issuer, "https://home2.example", "https://partner.example"
	trusted := func(issuer string, home, keys bool) token.Trust {
		trust := tokentest.TrustEntry(t)
		if issuer != tokentest.Issuer {
			_, trust = tokentest.NewIssuer(t, keyset.ES256, noon)
			trust.Issuer = issuer
		}
		trust.Home, trust.NoKeys = home, !keys
		if !keys {
			trust.Keys = nil
		}
		return trust
	}
	const withKeys, without = true, false
	for name, row := range map[string]struct {
		trust  []token.Trust
		issuer string
		stale  bool
		want   decision.Reason // empty: accepted
		outage bool
	}{
		"the only home issuer":                       {[]token.Trust{trusted(home, true, without)}, home, false, decision.KeysUnavailable, true},
		"an only issuer that is not home":            {[]token.Trust{trusted(home, false, without)}, home, false, decision.KeysUnavailable, false},
		"all home issuers":                           {[]token.Trust{trusted(home, true, without), trusted(home2, true, without)}, home2, false, decision.KeysUnavailable, true},
		"one of two home issuers":                    {[]token.Trust{trusted(home, true, without), trusted(home2, true, withKeys)}, home, false, decision.KeysUnavailable, false},
		"a partner beside home with keys":            {[]token.Trust{trusted(home, true, withKeys), trusted(partner, false, without)}, partner, false, decision.KeysUnavailable, false},
		"a partner while home has none":              {[]token.Trust{trusted(home, true, without), trusted(partner, false, without)}, partner, false, decision.KeysUnavailable, false},
		"home while a partner has keys":              {[]token.Trust{trusted(home, true, without), trusted(partner, false, withKeys)}, home, false, decision.KeysUnavailable, true},
		"two partners without home":                  {[]token.Trust{trusted(home, false, without), trusted(partner, false, without)}, partner, false, decision.KeysUnavailable, false},
		"stale, verified":                            {[]token.Trust{trusted(home, false, withKeys)}, home, true, decision.RevocationStale, true},
		"stale, of a partner without keys":           {[]token.Trust{trusted(home, true, withKeys), trusted(partner, false, without)}, partner, true, decision.KeysUnavailable, false},
		"stale, unsigned, of home with keys":         {[]token.Trust{trusted(home, true, withKeys)}, home, true, decision.SignatureInvalid, false},
		"an issuer that nobody knows":                {[]token.Trust{trusted(home, true, without)}, "https://evil.example", false, decision.IssuerUnknown, false},
		"a key of home that is not there, not stale": {[]token.Trust{trusted(home, true, withKeys)}, home, false, decision.SignatureInvalid, false},
	} {
		v, err := token.NewVerifier(row.trust, tokentest.Domains, token.Options{
			Now:         func() time.Time { return noon },
			Revocations: revocation.Checker{Stale: func(time.Time) bool { return row.stale }},
		})
		if err != nil {
			t.Fatal(err)
		}
		parts := tokentest.ValidParts(t, noon)
		parts.Claims["iss"] = row.issuer
		raw := parts.Sign(t)
		if row.want == decision.SignatureInvalid {
			raw = raw[:len(raw)-8] + "AAAAAAAA"
		}
		_, err = v.Verify(raw)
		if token.ReasonOf(err) != row.want || token.IsOutage(err) != row.outage {
			t.Errorf("%s: got %v, outage %v", name, err, token.IsOutage(err))
		}
	}
}
