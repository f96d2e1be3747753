package token_test

import (
	"fmt"
	"os"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

const (
	exampleIssuer   = "https://tyk.example.com"
	exampleAudience = "prod.example.com"
)

// A gateway mints a token, and a hop verifies it.
func Example() {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	keys, err := newKeys(now)
	if err != nil {
		fmt.Println(err)
		return
	}
	raw, err := mintExample(keys, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	hop, err := newHopVerifier(keys, now.Add(10*time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	claims, err := hop.Verify(raw)
	if err != nil {
		fmt.Println(err)
		return
	}
	tenant, _ := claims.Lookup("tctx", "tenant")
	fmt.Println(claims.Subject, claims.Scopes(), tenant, claims.Expires.Format(time.RFC3339))
	// Output:
	// okta:alice [orders.read orders.write] acme 2026-06-01T12:01:00Z
}

// An invalid token has a reason for the client, and a cause for the log.
func ExampleVerifier_Verify_invalid() {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	keys, err := newKeys(now)
	if err != nil {
		fmt.Println(err)
		return
	}
	raw, err := mintExample(keys, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	hop, err := newHopVerifier(keys, now.Add(2*time.Minute))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = hop.Verify(raw)
	reason := token.ReasonOf(err)
	fmt.Println(reason, reason.Class().Status(), token.RuleNumber(reason))
	fmt.Println(err)
	// Output:
	// token_expired 401 14
	// token_expired: expired at 2026-06-01T12:01:00Z
}

func mintExample(keys *keyset.SigningKeys, now time.Time) (string, error) {
	minter, err := token.NewMinter(token.MinterConfig{
		Issuer: exampleIssuer, Audience: exampleAudience,
		Lifetime: time.Minute, MinRemaining: 5 * time.Second,
		Keys: keys, Now: func() time.Time { return now },
	})
	if err != nil {
		return "", err
	}
	raw, _, err := minter.Mint(identity.Identity{
		Subject:   identity.Subject{Namespace: "okta", ID: "alice"},
		Scopes:    []string{"orders.read", "orders.write"},
		Requester: "spiffe://cluster.local/ns/edge/sa/tyk-gateway",
		Claims:    map[string]any{"tenant": "acme"},
	})
	return raw, err
}

// newHopVerifier trusts the issuer for the users of one identity provider, as a hop reads
// them from its configuration.
func newHopVerifier(keys *keyset.SigningKeys, now time.Time) (*token.Verifier, error) {
	document, err := keys.JWKS(now) // the gateway publishes it
	if err != nil {
		return nil, err
	}
	public, err := keyset.ParseJWKS(document)
	if err != nil {
		return nil, err
	}
	return token.NewVerifier([]token.Trust{{
		Issuer: exampleIssuer, Audience: exampleAudience,
		Algorithms: []string{keyset.ES256}, Keys: public,
		MaxLifetime: token.MaxLifetime, Leeway: token.DefaultLeeway,
		Subjects:   token.Only("okta"),
		Requesters: token.Only[identity.Workload]("ns/edge/sa/tyk-gateway"),
	}}, identity.TrustDomains{Local: "cluster.local"}, token.Options{Now: func() time.Time { return now }})
}

// newKeys makes a key directory with one key. A gateway's keys are made by meshpass keys.
func newKeys(now time.Time) (*keyset.SigningKeys, error) {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	plan := keyset.Plan{PublishAt: now, SignFrom: now, SignUntil: now.Add(time.Hour), RemoveAfter: now.Add(2 * time.Hour)}
	if _, err := keyset.CreateKey(dir, keyset.ES256, plan); err != nil {
		return nil, err
	}
	return keyset.LoadSigningKeys(dir)
}
