package jwks

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSeed(t *testing.T) {
	document, kid := set(t)
	server := newServer(t, text(document))
	file := filepath.Join(t.TempDir(), "seed.json")
	c := Config{URL: server.URL, Seed: file, MaxStale: time.Minute}
	before := follow(t, c)
	before.Fetch(t.Context())
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	server.answers(status(http.StatusBadGateway))

	after := follow(t, c)
	after.Fetch(t.Context())
	if after.kid() != kid || !after.State().Fetched.Equal(before.State().Fetched) {
		t.Errorf("got %q of %s, want %s of %s: a restart does not make a set younger", after.kid(), after.State().Fetched, kid, before.State().Fetched)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	stamp := before.State().Fetched.UTC().Format(time.RFC3339Nano)
	at := func(when time.Duration) string {
		return strings.Replace(string(good), stamp, time.Now().Add(when).UTC().Format(time.RFC3339Nano), 1)
	}
	for _, row := range []struct {
		name, content, problem string
		change                 func(*Config)
	}{
		{"half written", string(good[:len(good)/2]), "it is not a seed file", nil},
		{"a key set", document, "it is of issuer", nil},
		{"too old", at(-time.Hour), "more than 1m0s ago", nil},
		{"from the future", at(time.Hour), "it was fetched in the future", nil},
		{"no keys", strings.Replace(string(good), kid, "x", 1), "its kid is not the key's thumbprint", nil},
		{"another issuer", string(good), "it is of issuer", func(c *Config) { c.Issuer = "https://other" }},
		{"another server", string(good), "it is of issuer", func(c *Config) { c.URL += "/other" }},
		{"absent", "", "", func(c *Config) { c.Seed += ".absent" }},
		{"a folder", string(good), "is a folder, not a regular file", func(c *Config) { c.Seed = filepath.Dir(file) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(row.content), 0o600); err != nil {
				t.Fatal(err)
			}
			c := c
			if row.change != nil {
				row.change(&c)
			}
			f := follow(t, c)
			if f.kid() != "" || (f.State().Err == nil) != (row.problem == "") || !strings.Contains(fmt.Sprint(f.State().Err), row.problem) {
				t.Errorf("got %q, %v", f.kid(), f.State().Err)
			}
			server.answers(text(document))
			f.Fetch(t.Context())
			if f.kid() != kid || f.State().Err != nil {
				t.Errorf("after a fetch: %q, %v", f.kid(), f.State().Err)
			}
		})
	}
}
