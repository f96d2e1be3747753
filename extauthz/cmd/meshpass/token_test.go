package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
)

// fed runs a token command that reads its token from standard input.
func fed(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return ranWith(t, input, append([]string{"token"}, args...)...)
}

// A token for a test is minted, verified and inspected, as the help describes.
func TestToken(t *testing.T) {
	dir := t.TempDir()
	keys, set, config := filepath.Join(dir, "keys"), filepath.Join(dir, "jwks.json"), filepath.Join(dir, "config.yaml")
	ask := []string{"mint", "--dir", keys, "--issuer", "https://i.example", "--audience", "a.example", "--subject", "okta:alice", "--workload", tokentest.Requester}
	for _, args := range [][]string{
		{"keys", "new", "--dir", keys, "--first", "--test"},
		{"keys", "publish", "--dir", keys, "--out", set},
	} {
		if code, _, stderr := ran(t, args...); code != 0 {
			t.Fatalf("%v: %s", args, stderr)
		}
	}
	code, raw, stderr := fed(t, "", ask...)
	if code != 0 || strings.Count(raw, ".") != 2 {
		t.Fatalf("mint: got %d, %s%s", code, raw, stderr)
	}
	write := func(more string) {
		text := "trust: [{issuer: https://i.example, audience: a.example, jwks: {file: jwks.json}}]\n" + more
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	code, stdout, _ := fed(t, raw, "verify", "--config", config)
	if code != 1 || stdout != "rejected by rule 24 of docs/token.md, test_token: tctx.test is present, and test tokens are not accepted\n" {
		t.Errorf("verify: got %d, %s", code, stdout)
	}
	write("insecure: {allowTestTokens: true}\n")
	code, stdout, _ = fed(t, "", "verify", "--config", config, "-o", "json", strings.TrimSpace(raw))
	var verdict map[string]any
	if err := json.Unmarshal([]byte(stdout), &verdict); code != 0 || err != nil || verdict["accepted"] != true || verdict["subject"] != "okta:alice" {
		t.Errorf("verify: got %d, %s", code, stdout)
	}
	code, stdout, _ = fed(t, raw, "inspect")
	if code != 0 || !strings.HasPrefix(stdout, "NOT VERIFIED: ") || !strings.Contains(stdout, `"test": true`) {
		t.Errorf("inspect: got %d, %s", code, stdout)
	}
}

// No mistake makes a command repeat a token, because its output ends up in logs.
func TestTokenIsNeverRepeated(t *testing.T) {
	raw := tokentest.ValidToken(t, time.Now())
	signature := raw[strings.LastIndexByte(raw, '.')+1:]
	for _, row := range []struct {
		args []string
		code int
	}{
		{[]string{raw}, 2},
		{[]string{"inspect", raw, raw}, 2},
		{[]string{"inspect", raw + "." + raw}, 1},
		{[]string{"inspect", raw, "-o", "json"}, 0},
		{[]string{"inspect", raw, "-o", raw}, 2},
		{[]string{"inspect", "--" + raw}, 2},
		{[]string{"inspect", "-" + raw}, 2},
		{[]string{"verify", "--config", raw}, 2},
		{[]string{"mint", "--lifetime", raw}, 2},
		{[]string{"mint", raw}, 2},
		{[]string{"verify", "-o", "json", "--config", raw}, 2},
		{[]string{"inspect", "-o", "json", raw}, 0},
		{[]string{"verify", raw}, 2},
		{[]string{"verify", "--config", "../../internal/app/testdata/minimal.yaml", raw[1:]}, 1},
		{[]string{"verify", "--config", "absent.yaml", raw}, 2},
	} {
		code, stdout, stderr := fed(t, "", row.args...)
		if code != row.code || strings.Contains(stdout+stderr, signature) {
			t.Errorf("%.20q: got %d, %s%s", row.args, code, stdout, stderr)
		}
	}
}
