package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/tokentest"
)

// The plugin.yaml of each docs/providers-*.md is loaded as a gateway loads it, and the page's sample tokens become the
// identities that the page shows.
func TestProviderPages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/providers-*.md")
	requireNoError(t, err)
	if len(pages) != 4 {
		t.Fatalf("got %v", pages)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		requireNoError(t, err)
		config := regexp.MustCompile("(?s)```yaml\n# plugin.yaml\n(.*?)```").FindSubmatch(text)
		blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1)
		if config == nil || len(blocks) != 5 {
			t.Fatalf("%s: got %d blocks of JSON, and plugin.yaml: %v", page, len(blocks), config != nil)
		}
		var definition struct {
			JWTSource string `json:"jwt_source"`
		}
		requireNoError(t, json.Unmarshal(blocks[0][1], &definition))
		for i := 1; i < len(blocks); i += 2 {
			c := withClaims(t, string(blocks[i][1]))
			c.claims["exp"] = inSeconds(600)
			c.api.JWTSource = definition.JWTSource
			p := startPage(t, string(config[1]))
			r := c.request()
			got := requireSigned(t, p, r, p.callSignAndGuard(r))
			var want struct {
				Sub, Scope string
				Tctx       map[string]any
			}
			requireNoError(t, json.Unmarshal(blocks[i+1][1], &want))
			if got.Subject != want.Sub || got.Scope != want.Scope {
				t.Errorf("%s: got %s with %q, want %s with %q", page, got.Subject, got.Scope, want.Sub, want.Scope)
			}
			for _, ours := range []string{"api", "auth", "org", "sid"} {
				delete(got.Tctx, ours)
			}
			requireEqual(t, got.Tctx, want.Tctx)
		}
	}
}

// startPage loads the plugin with a page's file. Only its paths, and the names of our own issuer and audience, are others.
func startPage(t *testing.T, config string) *rig {
	t.Helper()
	return startRig(t, settingsText, strings.NewReplacer("https://tyk.example.com", tokentest.Issuer, "prod.example.com", tokentest.Audience, "/etc/meshpass/keys", "keys", "/etc/meshpass/hmac", "secret").Replace(config))
}
