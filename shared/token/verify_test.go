package token_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/token"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func verifier(t testing.TB, now time.Time) *token.Verifier {
	t.Helper()
	v, err := token.NewVerifier([]token.Trust{tokentest.TrustEntry(t)}, tokentest.Domains,
		token.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func verifierOf(t testing.TB, trust token.Trust) *token.Verifier {
	t.Helper()
	v, err := token.NewVerifier([]token.Trust{trust}, tokentest.Domains, token.Options{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestForgedTokensAreRefused(t *testing.T) {
	v := verifier(t, noon)
	for _, forgery := range tokentest.ForgedTokens(t, noon) {
		t.Run(forgery.Name, func(t *testing.T) {
			claims, err := v.Verify(forgery.Raw)
			if claims != nil || token.ReasonOf(err) != forgery.Reason {
				t.Fatalf("got %v, %v; want %s", claims, err, forgery.Reason)
			}
			for _, part := range strings.Split(forgery.Raw, ".") {
				if len(part) > 20 && strings.Contains(err.Error(), part) {
					t.Errorf("the error repeats the token: %v", err)
				}
			}
		})
	}
}

func TestEmptyToken(t *testing.T) {
	if _, err := verifier(t, noon).Verify(""); token.ReasonOf(err) != decision.TokenMissing {
		t.Fatalf("got %v", err)
	}
}

func TestKeyHasOneAlgorithm(t *testing.T) {
	trust := tokentest.TrustEntry(t)
	trust.Algorithms = []string{"ES256", "RS256"}
	v := verifierOf(t, trust)
	parts := tokentest.ValidParts(t, noon)
	parts.Header["alg"] = "RS256"
	if _, err := v.Verify(parts.Sign(t)); token.ReasonOf(err) != decision.AlgorithmKey {
		t.Fatalf("got %v", err)
	}
}

func TestLeewayIsForgiven(t *testing.T) {
	raw := tokentest.ValidToken(t, noon)
	for _, row := range []struct {
		name string
		now  time.Time
		want decision.Reason
	}{
		{"at issue", noon, ""},
		{"our clock is 5 s behind", noon.Add(-5 * time.Second), ""},
		{"our clock is 6 s behind", noon.Add(-6 * time.Second), decision.TokenNotYetValid},
		{"last moment", noon.Add(65*time.Second - 1), ""},
		{"leeway over", noon.Add(65 * time.Second), decision.TokenExpired},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := verifier(t, row.now).Verify(raw)
			if (row.want == "") != (err == nil) || err != nil && token.ReasonOf(err) != row.want {
				t.Fatalf("got %v, want %q", err, row.want)
			}
		})
	}
}

func TestHarmlessSpellings(t *testing.T) {
	v, accepts := verifier(t, noon), library(t)
	for name, change := range map[string]func(tokentest.Parts){
		"full media type":          func(p tokentest.Parts) { p.Header["typ"] = "application/txntoken+jwt" },
		"media type in capital":    func(p tokentest.Parts) { p.Header["typ"] = "TxnToken+JWT" },
		"audience as a list":       func(p tokentest.Parts) { p.Claims["aud"] = []string{tokentest.Audience} },
		"unknown claim":            func(p tokentest.Parts) { p.Claims["foo"] = "bar" },
		"a large number":           func(p tokentest.Parts) { p.Claims["tctx"] = map[string]any{"n": json.RawMessage("1e300")} },
		"nested as deep as can be": func(p tokentest.Parts) { p.Claims["tctx"] = map[string]any{"x": nested(6)} },
		"a subject of any script":  func(p tokentest.Parts) { p.Claims["sub"] = "idp:Zoë:✓ 😀" },
		"nbf in the past":          func(p tokentest.Parts) { p.Claims["nbf"] = noon.Unix() },
		"no tctx, no rctx":         func(p tokentest.Parts) { delete(p.Claims, "tctx"); delete(p.Claims, "rctx") },
		"empty scope":              func(p tokentest.Parts) { p.Claims["scope"] = "" },
	} {
		t.Run(name, func(t *testing.T) {
			parts := tokentest.ValidParts(t, noon)
			change(parts)
			raw := parts.Sign(t)
			if _, err := v.Verify(raw); err != nil {
				t.Error(err)
			}
			if err := accepts(raw); err != nil { // the library accepts every token that we accept
				t.Errorf("the library: %v", err)
			}
		})
	}
}

func TestTrustThatBlursWhoseKeyItIs(t *testing.T) {
	good := tokentest.TrustEntry(t)
	with := func(change func(*token.Trust)) []token.Trust {
		other := good
		change(&other)
		return []token.Trust{other}
	}
	for _, row := range []struct {
		name  string
		trust []token.Trust
		want  string
	}{
		{"none", nil, "no issuer is trusted"},
		{"issuer twice", []token.Trust{good, good}, "the same issuer twice"},
		{"a key under two issuers", append(with(func(t *token.Trust) { t.Issuer = "https://b" }), good), "belongs to"},
		{"no issuer", with(func(t *token.Trust) { t.Issuer = "" }), "issuer is empty"},
		{"no audience", with(func(t *token.Trust) { t.Audience = "" }), "audience is empty"},
		{"everybody's audience", with(func(t *token.Trust) { t.Audience = "cluster.local" }), "globally unique"},
		{"no keys", with(func(t *token.Trust) { t.Keys = nil }), "no keys"},
		{"no algorithms", with(func(t *token.Trust) { t.Algorithms = nil }), "no algorithms"},
		{"a symmetric algorithm", with(func(t *token.Trust) { t.Algorithms = []string{"HS256"} }), `algorithm "HS256"`},
		{"no lifetime", with(func(t *token.Trust) { t.MaxLifetime = 0 }), "maxLifetime"},
		{"a long lifetime", with(func(t *token.Trust) { t.MaxLifetime = time.Hour }), "maxLifetime"},
		{"a long leeway", with(func(t *token.Trust) { t.Leeway = time.Hour }), "leeway"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := token.NewVerifier(row.trust, identity.TrustDomains{}, token.Options{})
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("got %v, want %q", err, row.want)
			}
		})
	}
}

func TestCheckIssuer(t *testing.T) {
	for _, issuer := range []string{"https://tyk.example.com", "http://tyk.edge.svc:8080/fleet/", "https://[2001:db8::1]"} {
		if err := token.CheckIssuer(issuer); err != nil {
			t.Error(err)
		}
	}
	for _, issuer := range []string{"", "tyk", "tyk.example.com", "//tyk.example.com", "https://", "https:tyk", "ftp://tyk.example.com", "https://a@tyk", "https://tyk?x", "https://tyk?", "https://tyk#x", "https://tyk :80"} {
		want := fmt.Sprintf("%q is not an http or https URL: write one such as https://tyk.example.com", issuer)
		if err := token.CheckIssuer(issuer); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// An entry with a forgotten list allows nothing.
func TestTrustWithoutListsDeniesEveryToken(t *testing.T) {
	for name, row := range map[string]struct {
		forget func(*token.Trust)
		want   decision.Reason
	}{
		"subjects":         {func(t *token.Trust) { t.Subjects = token.Allowlist[string]{} }, decision.NotEntitled},
		"no subject":       {func(t *token.Trust) { t.Subjects = token.Only[string]() }, decision.NotEntitled},
		"requesters":       {func(t *token.Trust) { t.Requesters = token.Allowlist[identity.Workload]{} }, decision.NotEntitled},
		"another subject":  {func(t *token.Trust) { t.Subjects = token.Only("key", "IDP") }, decision.NotEntitled},
		"any subject":      {func(t *token.Trust) { t.Subjects = token.Any[string]() }, ""},
		"any requester":    {func(t *token.Trust) { t.Requesters = token.Any[identity.Workload]() }, ""},
		"this one subject": {func(t *token.Trust) { t.Subjects = token.Only("idp") }, ""},
	} {
		trust := tokentest.TrustEntry(t)
		row.forget(&trust)
		_, err := verifierOf(t, trust).Verify(tokentest.ValidToken(t, noon))
		if (err == nil) != (row.want == "") || err != nil && token.ReasonOf(err) != row.want {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
}
