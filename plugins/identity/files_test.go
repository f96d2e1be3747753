package main

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
)

// issued is the token of a request.
type issued struct {
	kid, issuer, audience string
	lifetime              float64 // seconds
}

// issueToken sends a request with an API key and reads its token, without verifying it.
func (p *rig) issueToken(t *testing.T) (got issued) {
	t.Helper()
	r := keyCall().request()
	p.callSignAndGuard(r)
	parts := strings.Split(r.Header.Get(identity.Header), ".")
	if len(parts) != 3 {
		t.Errorf("the request carries no token\nlog: %s", &p.log)
		return got
	}
	var claims map[string]any
	for _, part := range parts[:2] {
		data, err := base64.RawURLEncoding.DecodeString(part)
		if err == nil {
			err = json.Unmarshal(data, &claims)
		}
		if err != nil {
			t.Error(err)
			return got
		}
	}
	return issued{claims["kid"].(string), claims["iss"].(string), claims["aud"].(string), claims["exp"].(float64) - claims["iat"].(float64)}
}

// replaceIn changes the configuration and returns its new text.
func replaceIn(t *testing.T, p *rig, oldnew ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, "meshpass.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(oldnew...).Replace(string(data))
	p.writeFile(t, "meshpass.yaml", text)
	return text
}

func newKey(t *testing.T, dir string, from, until time.Time) string {
	t.Helper()
	requireNoError(t, os.MkdirAll(dir, 0o700))
	kid, err := keyset.CreateKey(dir, keyset.ES256, keyset.Plan{PublishAt: from, SignFrom: from, SignUntil: until, RemoveAfter: until})
	requireNoError(t, err)
	return kid
}

// swapLink changes a folder as Kubernetes does a mounted Secret: one link is swapped,
// and then the names follow.
func swapLink(t *testing.T, dir, version string) {
	t.Helper()
	next := filepath.Join(dir, "..next")
	requireNoError(t, os.Symlink(version, next))
	requireNoError(t, os.Rename(next, filepath.Join(dir, "..data")))
	names, err := filepath.Glob(filepath.Join(dir, "[^.]*"))
	requireNoError(t, err)
	for _, name := range names {
		requireNoError(t, os.Remove(name))
	}
	names, err = filepath.Glob(filepath.Join(dir, version, "*"))
	requireNoError(t, err)
	for _, name := range names {
		requireNoError(t, os.Symlink(filepath.Join("..data", filepath.Base(name)), filepath.Join(dir, filepath.Base(name))))
	}
}

func requireNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
