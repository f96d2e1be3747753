// Package tokentest has what tests of all modules share about tokens: fixed TEST keys, a
// valid token ([ValidToken]), and a catalogue of forged tokens ([ForgedTokens]). The private
// keys are public: no verifier outside of tests may trust them.
package tokentest

import (
	"embed"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// The claims iss, aud and req_wl of the test issuer.
const (
	Issuer    = "https://tyk.test.meshpass.dev"
	Audience  = "test.meshpass.dev"
	Requester = "spiffe://cluster.local/ns/edge/sa/tyk-gateway"
)

// Domains are the trust domains of the test mesh.
var Domains = identity.TrustDomains{Local: "cluster.local"}

//go:embed testdata/keys
var files embed.FS

// NewKeyDir returns a new directory with the TEST keys, which the test may change.
func NewKeyDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	WriteKeyDir(t, dir)
	return dir
}

// WriteKeyDir writes the TEST keys to dir. Only the owner may read them, as is required of
// private keys.
func WriteKeyDir(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	entries, err := files.ReadDir("testdata/keys")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		data, err := files.ReadFile("testdata/keys/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, entry.Name()), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// SigningKeys returns the TEST keys: one ES256 key that signs until 2100.
func SigningKeys(t testing.TB) *keyset.SigningKeys {
	t.Helper()
	keys, err := keyset.LoadSigningKeys(NewKeyDir(t))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// JWKS returns the public half of [SigningKeys] as a document.
func JWKS(t testing.TB) []byte {
	t.Helper()
	data, err := SigningKeys(t).JWKS(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TrustEntry returns an entry that accepts tokens of the test issuer.
func TrustEntry(t testing.TB) token.Trust {
	t.Helper()
	keys, err := keyset.ParseJWKS(JWKS(t))
	if err != nil {
		t.Fatal(err)
	}
	return token.Trust{
		Issuer: Issuer, Audience: Audience, Algorithms: []string{keyset.ES256}, Keys: keys,
		MaxLifetime: token.MaxLifetime, Leeway: token.DefaultLeeway,
		Subjects:   token.Only("idp", "key"),
		Requesters: token.Only[identity.Workload]("ns/edge/sa/tyk-gateway"),
	}
}

// Identity returns a user with a tenant and one scope.
func Identity() identity.Identity {
	return identity.Identity{
		Txn:       "0197a1b2-0000-7000-8000-000000000001",
		Subject:   identity.Subject{Namespace: "idp", ID: "alice"},
		Scopes:    []string{"orders.read"},
		Requester: Requester,
		API:       identity.API{ID: "orders-api", Name: "Orders"},
		Org:       "acme-org", Method: "jwt", SessionID: "test-sid",
		Claims: map[string]any{"tenant": "acme", "plan": "gold", "groups": []string{"orders-read", "staff"}},
		IP:     "192.0.2.7",
	}
}

// NewMinter returns a minter of the test issuer. Its time is always now.
func NewMinter(t testing.TB, now time.Time) *token.Minter {
	t.Helper()
	m, err := token.NewMinter(token.MinterConfig{
		Issuer: Issuer, Audience: Audience, Lifetime: time.Minute, MinRemaining: 5 * time.Second,
		Keys: SigningKeys(t), Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ValidToken returns a token for [Identity], issued at now, that [TrustEntry] accepts.
func ValidToken(t testing.TB, now time.Time) string {
	t.Helper()
	raw, _, err := NewMinter(t, now).Mint(Identity())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
