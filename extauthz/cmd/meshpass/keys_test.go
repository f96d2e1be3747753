package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
	"github.com/meshpass/meshpass/shared/keyset"
)

// ran is what a command printed and its exit code.
func ran(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return ranWith(t, "", args...)
}

// ranWith is [ran] with a text on standard input.
func ranWith(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(input), &out, &err)
	return code, out.String(), err.String()
}

func TestKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	file := filepath.Join(t.TempDir(), "jwks.json")
	for _, row := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string // prefixes
	}{
		{"the first key", []string{"keys", "new", "--dir", dir, "--first", "--lead", "2s", "--lifetime-of-key", "1h"}, 0, "made key ", ""},
		{"again", []string{"keys", "new", "--dir", dir, "--first"}, 0, "nothing to do: ", ""},
		{"another kind", []string{"keys", "new", "--dir", dir, "--first", "--algorithm", "RS256"}, 1, "", "meshpass: not done: --first is for"},
		{"an algorithm that is none", []string{"keys", "new", "--dir", dir, "--algorithm", "none"}, 2, "", "meshpass: invalid value \"none\" for --algorithm: want ES256, EdDSA or RS256"},
		{"publish", []string{"keys", "publish", "--dir", dir, "--out", file}, 0, "wrote " + file, ""},
		{"publish again", []string{"keys", "publish", "--dir", dir, "--out", file}, 0, "nothing to do: " + file, ""},
		{"publish to nowhere", []string{"keys", "publish", "--dir", dir, "--out", filepath.Join(dir, "a", "b")}, 2, "", "meshpass: write " + filepath.Join(dir, "a", "b") + ": no such file or directory"},
		{"a key that ends too early", []string{"keys", "new", "--dir", dir, "--lifetime-of-key", "1s"}, 2, "", "meshpass: lifetime of a key 1s: want the lead, 1h0m0s, or more"},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := ran(t, row.args...)
			if code != row.code || !strings.HasPrefix(stdout, row.stdout) || !strings.HasPrefix(stderr, row.stderr) ||
				(stdout == "") != (row.stdout == "") || (stderr == "") != (row.stderr == "") {
				t.Errorf("got %d\nstdout: %s\nstderr: %s", code, stdout, stderr)
			}
		})
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	code, printed, _ := ran(t, "keys", "publish", "--dir", dir)
	if code != 0 || printed != string(written) {
		t.Errorf("printed %d, %s\nwritten %s", code, printed, written)
	}
	if set, err := keyset.ParseJWKS(written); err != nil || len(set.KeyIDs()) != 1 {
		t.Errorf("got %v, %v", set, err)
	}
	var report keys.Report
	code, printed, _ = ran(t, "keys", "publish", "--dir", dir, "--out", file, "-o", "json")
	if err := json.Unmarshal([]byte(printed), &report); code != 0 || err != nil || report.Changed || report.Out != file || len(report.Keys) != 1 {
		t.Errorf("got %d, %+v, %v", code, report, err)
	}
}

func TestRotation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	file := filepath.Join(t.TempDir(), "jwks.json")
	in := func(command string, more ...string) []string {
		return append([]string{"keys", command, "--dir", dir, "--out", file, "--lead", "2s"}, more...)
	}
	var kid string
	for _, row := range []struct {
		name           string
		args           func() []string
		code           int
		stdout, stderr string // parts
	}{
		{"the first key", func() []string { return in("rotate", "--every", "24h", "--first") }, 0, "made key ", ""},
		{"again", func() []string { return in("rotate", "--every", "1d", "--first") }, 0, "the next key is due at ", ""},
		{"no problem", func() []string { return in("status") }, 0, "denials: until ", ""},
		{"without a reason", func() []string { return in("rotate", "--now") }, 1, "", "name the key that leaked with --kid"},
		{"a leak", func() []string { return in("rotate", "--now", "--kid", kid) }, 0, "denials: until ", ""},
		{"a leak, again", func() []string { return in("rotate", "--now", "--kid", kid) }, 1, "", "removed already?"},
		{"too often", func() []string { return in("rotate", "--every", "1s") }, 2, "", "want the lead"},
		{"now", func() []string { return in("rotate") }, 0, "made key ", ""},
		{"now, again", func() []string { return in("rotate") }, 0, "waits to sign already", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := ran(t, row.args()...)
			if code != row.code || !strings.Contains(stdout, row.stdout) || !strings.Contains(stderr, row.stderr) {
				t.Errorf("got %d\nstdout: %s\nstderr: %s", code, stdout, stderr)
			}
		})
		if kid == "" {
			kid = signing(t, dir, file)
		}
	}
}

// signing is the key that signs, as the report in JSON has it.
func signing(t *testing.T, dir, file string) string {
	t.Helper()
	_, stdout, stderr := ran(t, "keys", "status", "--dir", dir, "--out", file, "-o", "json")
	var report keys.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	for _, key := range report.Keys {
		if key.State == keyset.StateSigning {
			return key.ID
		}
	}
	t.Fatalf("got %+v", report)
	return ""
}
