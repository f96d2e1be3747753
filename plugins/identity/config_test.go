package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/keyset"
)

// The gateway runs on; each request is answered with 503, and the cause is logged once. When the cause is
// fixed, the plugin starts.
func TestCannotStart(t *testing.T) {
	rows := []struct {
		name   string
		change func(t *testing.T, p *rig)
		reason decision.Reason
		log    string
	}{
		{"no file", func(t *testing.T, p *rig) { removeFile(t, p, "meshpass.yaml") }, decision.NotConfigured, "no such file"},
		{"empty file", func(t *testing.T, p *rig) { p.writeFile(t, "meshpass.yaml", "") }, decision.NotConfigured, "the file is empty"},
		{"half a file", func(t *testing.T, p *rig) { p.writeFile(t, "meshpass.yaml", settingsText[:135]) }, decision.NotConfigured, "secretFile: missing"},
		{"no secret", func(t *testing.T, p *rig) { removeFile(t, p, "secret") }, decision.NotConfigured, "secretFile:"},
		{"a secret that everybody may read", func(t *testing.T, p *rig) { chmod(t, p, "secret", 0o644) }, decision.NotConfigured, "too many may read or write it"},
		{"a folder that everybody may write", func(t *testing.T, p *rig) { chmod(t, p, "", 0o777) }, decision.NotConfigured, "too many may read or write it"},
		{"keys that everybody may replace", func(t *testing.T, p *rig) { chmod(t, p, "keys", 0o777) }, decision.NoSigningKey, "too many may read or write it"},
		{"short secret", func(t *testing.T, p *rig) { p.writeFile(t, "secret", "short") }, decision.NotConfigured, "want at least 32"},
		{"no key directory", func(t *testing.T, p *rig) { removeFile(t, p, "keys") }, decision.NoSigningKey, "keys.dir:"},
		{"empty plan of keys", func(t *testing.T, p *rig) { p.writeFile(t, "keys/keys.yaml", "") }, decision.NoSigningKey, "keys.dir:"},
		{"test keys", func(t *testing.T, p *rig) { markForTests(t, p) }, decision.NoSigningKey, "marked test: true"},
		{"half a key", func(t *testing.T, p *rig) { truncateKeys(t, filepath.Join(p.dir, "keys")) }, decision.NoSigningKey, "keys.dir:"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := startRig(t)
			good := t.TempDir()
			copyDir(t, good, p.dir)
			p.log.Reset()
			row.change(t, p)
			p.restart(t)
			p.checkOnce()
			if got := p.log.String(); !strings.Contains(got, row.log) || strings.Count(got, "denied until the cause is fixed") != 1 {
				t.Errorf("log: %s", got)
			}
			r := keyCall().request()
			requireDenied(t, p, r, p.callSignAndGuard(r), 503, row.reason)

			requireNoError(t, os.RemoveAll(p.dir))
			copyDir(t, p.dir, good)
			p.checkOnce()
			r = keyCall().request()
			requireSigned(t, p, r, p.callSignAndGuard(r))
		})
	}
}

// copyDir copies files that only their owner may read, as the plugin requires of keys.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	requireNoError(t, os.CopyFS(to, os.DirFS(from)))
	requireNoError(t, filepath.WalkDir(to, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			err = os.Chmod(path, 0o600)
		}
		return err
	}))
}

// markForTests marks the keys as meshpass keys new --test does.
func markForTests(t *testing.T, p *rig) {
	t.Helper()
	plan, err := os.ReadFile(filepath.Join(p.dir, "keys", "keys.yaml"))
	requireNoError(t, err)
	p.writeFile(t, "keys/keys.yaml", "test: true\n"+string(plan))
}

// A key that verifiers cannot know yet does not sign.
func TestNoKeyWhoseTimeHasCome(t *testing.T) {
	p := startRig(t)
	keys := t.TempDir()
	later := time.Now().Add(time.Hour)
	plan := keyset.Plan{PublishAt: later, SignFrom: later.Add(time.Hour), SignUntil: later.Add(2 * time.Hour), RemoveAfter: later.Add(3 * time.Hour)}
	if _, err := keyset.CreateKey(keys, keyset.ES256, plan); err != nil {
		t.Fatal(err)
	}
	replaceIn(t, p, p.dir+"/keys", keys)
	p.checkOnce()
	r := keyCall().request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 503, decision.NoSigningKey)
}

func TestVariableNotSet(t *testing.T) {
	p := startRig(t)
	p.watch = newWatch("", p.watch.log)
	p.checkOnce()
	if want := "MESHPASS_CONFIG is not set: name the plugin's configuration file"; !strings.Contains(p.log.String(), want) {
		t.Errorf("the log has no %s: %s", want, &p.log)
	}
	r := keyCall().request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 503, decision.NotConfigured)
}

func removeFile(t *testing.T, p *rig, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(p.dir, name)); err != nil {
		t.Fatal(err)
	}
}

func truncateKeys(t *testing.T, dir string) {
	t.Helper()
	keys, err := filepath.Glob(filepath.Join(dir, "*.pem"))
	if err != nil || len(keys) == 0 {
		t.Fatalf("%v: %d keys", err, len(keys))
	}
	for _, key := range keys {
		if err := os.Truncate(key, 40); err != nil {
			t.Fatal(err)
		}
	}
}

func chmod(t *testing.T, p *rig, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(filepath.Join(p.dir, name), mode); err != nil {
		t.Fatal(err)
	}
}
