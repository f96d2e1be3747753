package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A definition comes from other people than those who read the output: no text of it begins a line of its own.
func TestNoTextOfADefinitionBeginsALine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "api.json")
	if err := os.WriteFile(file, []byte(`{"api_id": "a\nFORGED", "name": "a\nFORGED", "org_id": "o", "active": true, "use_standard_auth": true,
		"version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default", "extended_paths": {"black_list": [{"path": "/[\nFORGED", "method": "GET"}]}, "use_extended_paths": true}}},
		"proxy": {"listen_path": "/a/", "target_url": "http://orders.shop.svc.cluster.local:8080/"},
		"custom_middleware": {"driver": "goplugin", "pre": [{"name": "StripIdentity", "path": "plugins/\nFORGED.so"}]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"lint", "-f", file}, {"routes", "check", "-f", file}, {"routes", "render", "-f", file, "--gateway", "edge/public"}, {"routes", "explain", "-f", file, "GET", "http://gateway/a/"},
		{"rbac", "-f", file}, {"tyk", "hooks", "--check", file},
	} {
		_, stdout, stderr := ranWith(t, "", args...)
		if !strings.Contains(stdout+stderr, `a\u000aFORGED`) {
			t.Errorf("%q: the API is not named:\n%s%s", args, stdout, stderr)
		}
		for line := range strings.Lines(stdout + stderr) {
			if strings.HasPrefix(line, "FORGED") {
				t.Errorf("%q: a line is forged:\n%s%s", args, stdout, stderr)
			}
		}
	}
}
