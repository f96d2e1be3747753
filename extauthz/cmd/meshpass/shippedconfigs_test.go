package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/testhelp/certtest"
)

// Each configuration that a user or a test applies is accepted by config check, without a warning of
// its own, and so is each complete example of the docs.
func TestShippedConfigurations(t *testing.T) {
	configs := map[string]string{}
	for _, folder := range []string{"manifests", "e2e"} {
		addConfigFiles(t, configs, filepath.Join("../../..", folder))
	}
	addExamples(t, configs, "../../../docs")
	requireAll(t, configs)
	dir := newMountedFiles(t)
	for name, text := range configs {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, "config.yaml")
			text = strings.NewReplacer("LISTEN:", "127.0.0.1:", "/etc/workload-certificate/", "", "/etc/meshpass/", "", "/var/lib/meshpass/", "").Replace(text)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if code, stdout, stderr := ran(t, "config", "check", "--strict", "--memory", "256MiB", file); code != 0 {
				t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
			}
		})
	}
}

// topLevel are keys that only a whole configuration has.
var topLevel = regexp.MustCompile(`(?m)^(listeners|upstreams):`)

func addConfigFiles(t *testing.T, configs map[string]string, folder string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		data, err := os.ReadFile(path)
		if topLevel.Match(data) && !strings.Contains(string(data), "TRIPWIRE") { // a template of the rehearsal's test has this for addresses
			configs[path] = string(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	fenced  = regexp.MustCompile("(?ms)^```yaml\\n(.*?)^```")
	mapFile = regexp.MustCompile(`(?m)^    files: \[((?:meshpass|plugin)\.yaml)\]$`)
)

// addExamples adds the examples of pages that are whole configurations. Each has a trust section or keys.
func addExamples(t *testing.T, configs map[string]string, folder string) {
	t.Helper()
	for _, page := range glob(t, filepath.Join(folder, "*.md")) {
		for i, example := range fenced.FindAllSubmatch(mustRead(t, page), -1) {
			if text := string(example[1]); topLevel.MatchString(text) && regexp.MustCompile(`(?m)^(trust|keys):`).MatchString(text) && strings.Contains(text, "\naudit:") {
				configs[fmt.Sprintf("%s, example %d", page, i+1)] = text
			}
		}
	}
}

// requireAll requires the files of every ConfigMap of the overlays, and both examples of the docs.
func requireAll(t *testing.T, configs map[string]string) {
	t.Helper()
	var all []string
	for _, overlay := range glob(t, "../../../manifests/overlays/*/kustomization.yaml") {
		for _, file := range mapFile.FindAllSubmatch(mustRead(t, overlay), -1) {
			all = append(all, filepath.Join(filepath.Dir(overlay), string(file[1])))
		}
	}
	if len(all) < 3 {
		t.Errorf("files of ConfigMaps: %v", all)
	}
	for _, file := range all {
		if configs[file] == "" {
			t.Errorf("%s is not checked", file)
		}
	}
	examples := 0
	for name := range configs {
		if strings.Contains(name, "configuration.md, example ") {
			examples++
		}
	}
	if examples != 2 {
		t.Errorf("%d whole examples in configuration.md", examples)
	}
}

// newMountedFiles makes a folder with the files that the configurations name.
func newMountedFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ran(t, "audit", "keys", "new", filepath.Join(dir, "audit.pem"))
	for _, keys := range []string{"keys", "keys-west"} {
		ran(t, "keys", "new", "--first", "--dir", filepath.Join(dir, keys))
		ran(t, "keys", "publish", "--dir", filepath.Join(dir, keys), "--out", filepath.Join(dir, strings.Replace(keys, "keys", "jwks", 1)+".json"))
	}
	ca := certtest.NewCA(t)
	leaf := ca.IssueLeaf(time.Now().Add(time.Hour), "spiffe://cluster.local/ns/meshpass/sa/meshpass")
	files := map[string]string{
		"west/jwks.json": string(mustRead(t, filepath.Join(dir, "jwks-west.json"))), "services.yaml": ordersFile,
		"overrides/overrides.yaml": string(mustRead(t, "../../../manifests/overlays/dev/overrides.yaml")),
		"overrides.yaml":           "overrides: []", "revoked.yaml": "revocations: []", "hmac": strings.Repeat("s", 32),
	}
	for _, name := range []string{"cert-chain.pem", "meshpass.crt"} {
		files[name] = leaf.Cert
	}
	for _, name := range []string{"key.pem", "meshpass.key"} {
		files[name] = leaf.Key
	}
	for _, name := range []string{"root-cert.pem", "roots.crt", "redis-ca.pem"} {
		files[name] = ca.PEM()
	}
	for _, document := range glob(t, "../../../manifests/policies/[a-z]*.yaml") {
		if !strings.HasSuffix(document, "_test.yaml") {
			for _, folder := range []string{"policies", "policies-west"} {
				files[filepath.Join(folder, filepath.Base(document))] = string(mustRead(t, document))
			}
		}
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, headers, stderr := ran(t, "istio", "headers", filepath.Join(dir, "policies"))
	if code != 0 {
		t.Fatal(stderr)
	}
	if err := os.WriteFile(filepath.Join(dir, "allowed-headers.yaml"), []byte(headers), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files, %v", pattern, err)
	}
	return files
}

func mustRead(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
