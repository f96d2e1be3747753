package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/internal/tokentest"
)

// files is a configuration whose keys and policies a test may change.
type files struct {
	t      *testing.T
	config string
}

func newFiles(t *testing.T, settings string, tls ...string) files {
	t.Helper()
	f := files{t: t, config: filepath.Join(t.TempDir(), "meshpass.yaml")}
	if err := os.Mkdir(filepath.Join(filepath.Dir(f.config), "policies"), 0o700); err != nil {
		t.Fatal(err)
	}
	tls = append(tls, "{mode: plaintext}")
	f.write("meshpass.yaml", settings+"\ntls: "+tls[0]+`
trust: [{issuer: "https://tyk.test.meshpass.dev", audience: test.meshpass.dev, jwks: {file: jwks.json}}]
policies: {dirs: [{path: policies}]}
`)
	f.write("jwks.json", string(tokentest.JWKS(t)))
	f.write("policies/orders.yaml", allowing("read-own-tenant"))
	return f
}

// write replaces a file at once, as operators should.
func (f files) write(name, content string) {
	f.t.Helper()
	if err := atomicfile.Write(filepath.Join(filepath.Dir(f.config), name), []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// allowing is a document whose one rule has that name.
func allowing(rule string) string {
	return fmt.Sprintf(`
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: orders}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  rules: [{name: %s, effect: allow, scopes: [orders.read], when: claims.tctx.tenant == "acme"}]
`, rule)
}

// otherKeys is a key set without the key that signs the tests' tokens.
func otherKeys(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("testdata/jwks-other.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// bothKeys is a key set with the tests' key and another one.
func bothKeys(t *testing.T) string {
	t.Helper()
	type keySet struct {
		Keys []json.RawMessage `json:"keys"`
	}
	var all keySet
	for _, set := range []string{string(tokentest.JWKS(t)), otherKeys(t)} {
		var one keySet
		if err := json.Unmarshal([]byte(set), &one); err != nil {
			t.Fatal(err)
		}
		all.Keys = append(all.Keys, one.Keys...)
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
