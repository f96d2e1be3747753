package netns

import (
	"os"
	"path/filepath"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

func (m *mesh) filePath(name string) string { return filepath.Join(m.dir, name) }

func (m *mesh) writeFile(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(m.filePath(name), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mesh) writeFiles() {
	m.t.Helper()
	for _, folder := range []string{"cluster", "keys"} {
		if err := os.Mkdir(m.filePath(folder), 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
	m.writeFile("cluster/cluster.yaml", m.net.localise(readFile(m.t, "testdata/cluster.yaml")))
	m.writeFile("cluster/callers.yaml", readFile(m.t, filepath.Join(m.root, "manifests", "overlays", "dev", "callers.yaml")))
	m.writeFile("meshpass.yaml", readFile(m.t, "testdata/meshpass.yaml"))
	if err := os.CopyFS(m.filePath("policies"), os.DirFS(filepath.Join(m.root, "manifests", "policies"))); err != nil {
		m.t.Fatal(err)
	}
	now := time.Now()
	_, err := keyset.CreateKey(m.filePath("keys"), "ES256", keyset.Plan{PublishAt: now.Add(-time.Hour), SignFrom: now.Add(-time.Minute), SignUntil: now.Add(time.Hour), RemoveAfter: now.Add(2 * time.Hour)})
	if err != nil {
		m.t.Fatal(err)
	}
	keys := must(keyset.LoadSigningKeys(m.filePath("keys")))
	m.writeFile("jwks.json", string(must(keys.JWKS(now))))
	minter := must(token.NewMinter(token.MinterConfig{
		Issuer: "https://tyk.demo.meshpass.dev", Audience: "demo.meshpass.dev", Lifetime: time.Minute, MinRemaining: time.Second, Keys: keys,
	}))
	m.mint = func() string {
		raw, _, err := minter.Mint(identity.Identity{
			Subject: identity.Subject{Namespace: "demo", ID: "alice"}, Scopes: []string{"orders.read"},
			Requester: "spiffe://cluster.local/ns/edge/sa/tyk-gateway", API: identity.API{ID: "orders-jwt", Name: "Orders, JWT"}, Org: "demo", Method: "jwt",
			Claims: map[string]any{"tenant": "acme"},
		})
		if err != nil {
			m.t.Fatal(err)
		}
		return raw
	}
}
