package tykbundle

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const (
	stamp    = "-X github.com/meshpass/meshpass/internal/buildinfo.tykRelease=v5.8.1"
	fileName = "identity_v5.8.1_linux_amd64.so"
)

// buildPlugin builds the plugin of testdata.
func buildPlugin(t *testing.T, flags ...string) []byte {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Fatal("the names of these tests are those of linux/amd64")
	}
	file := filepath.Join(t.TempDir(), "x.so")
	args := append([]string{"build", "-buildvcs=false", "-trimpath", "-buildmode=plugin", "-o", file}, flags...)
	cmd := exec.Command("go", append(args, "./testdata/plugin")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	content, err := os.ReadFile(file)
	must(t, err)
	return content
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestPlugins: a file is compared with its name before a gateway tries it.
func TestPlugins(t *testing.T) {
	whole := buildPlugin(t, "-tags=canary", "-ldflags="+stamp)
	if p, err := inspectPlugin(fileName, whole); err != nil || p != (Plugin{File: fileName, Release: "v5.8.1", Arch: "amd64", Go: runtime.Version()}) {
		t.Errorf("got %+v, %v", p, err)
	}
	for name, row := range map[string]struct {
		file    string
		content []byte
		want    string
	}{
		"another name":        {"identity.so", whole, "want a name such as identity_v5.8.1_linux_amd64.so"},
		"for another release": {"identity_v5.8.2_linux_amd64.so", whole, "it was built for Tyk v5.8.1, and its name says v5.8.2: a gateway of v5.8.2 cannot load it; build one with `make plugin TYK_SRC=DIR TYK_VERSION=v5.8.2`"},
		"for another machine": {"identity_v5.8.1_linux_arm64.so", whole, "it was built for linux/amd64, and its name says linux/arm64"},
		"cut off":             {fileName, whole[:100], "not a Go plugin, or cut off"},
		"empty":               {fileName, nil, "not a Go plugin, or cut off"},
		"without a hook":      {fileName, buildPlugin(t, "-ldflags="+stamp), "it has no hook Canary"},
		"without a stamp":     {fileName, buildPlugin(t, "-tags=canary"), "it does not say for which gateway it was built"},
		"without symbols":     {fileName, buildPlugin(t, "-tags=canary", "-ldflags=-s "+stamp), "its symbol table was removed"},
		"a program":           {fileName, readTestProgram(t), "not a Go plugin: build it with `make plugin`"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := inspectPlugin(row.file, row.content); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

func readTestProgram(t *testing.T) []byte {
	t.Helper()
	path, err := os.Executable()
	must(t, err)
	content, err := os.ReadFile(path)
	must(t, err)
	return content
}

// TestBundles: a bundle is reproducible, and each change of it is found.
func TestBundles(t *testing.T) {
	dir := t.TempDir()
	plugin := filepath.Join(dir, fileName)
	must(t, os.WriteFile(plugin, buildPlugin(t, "-tags=canary", "-ldflags="+stamp), 0o600))
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	bundle, plugins, err := Build([]string{plugin}, key)
	must(t, err)
	if again, _, err := Build([]string{plugin}, key); err != nil || !bytes.Equal(bundle, again) {
		t.Errorf("a second build differs (%v)", err)
	}
	if len(plugins) != 1 || plugins[0].Release != "v5.8.1" {
		t.Errorf("got %+v", plugins)
	}
	want := Expectation{PublicKey: &key.PublicKey, Releases: []string{"v5.8.1"}, Arch: "amd64"}

	hooks := func(change func(m *manifest)) func(files map[string]string) {
		return func(files map[string]string) {
			var m manifest
			must(t, json.Unmarshal([]byte(files[manifestName]), &m))
			change(&m)
			text, err := json.Marshal(m)
			must(t, err)
			files[manifestName] = string(text)
		}
	}
	text := func(old, replacement string) func(files map[string]string) {
		return func(files map[string]string) {
			if !strings.Contains(files[manifestName], old) {
				t.Fatalf("no %q in %s", old, files[manifestName])
			}
			files[manifestName] = strings.Replace(files[manifestName], old, replacement, 1)
		}
	}
	for name, row := range map[string]struct {
		change func(files map[string]string)
		want   string // "": fine
	}{
		"unchanged": {func(map[string]string) {}, ""},
		"another plugin of ours": {hooks(func(m *manifest) {
			m.Middleware.Post = append([]hook{{Name: "Other", Path: "other.so"}}, m.Middleware.Post...)
		}), ""},
		"no manifest":                {func(files map[string]string) { delete(files, manifestName) }, "it is no bundle"},
		"a manifest that is no JSON": {func(files map[string]string) { files[manifestName] = "{" }, "manifest.json: "},
		"a member twice":             {text(`"signature":`, `"signature":"","signature":`), "manifest.json: "},
		"an unknown member":          {text(`"signature":`, `"hooks":[],"signature":`), "hooks"},
		"a member in another case":   {text(`"post":`, `"Post":`), `the member "Post"`},
		"no StripIdentity":           {hooks(func(m *manifest) { m.Middleware.Pre = nil }), "custom_middleware.pre does not list StripIdentity: add"},
		"no SignIdentity":            {hooks(func(m *manifest) { m.Middleware.PostKeyAuth = nil }), "custom_middleware.post_key_auth does not list SignIdentity"},
		"no GuardUpstream":           {hooks(func(m *manifest) { m.Middleware.Post = nil }), "custom_middleware.post does not list GuardUpstream"},
		"a disabled hook":            {hooks(func(m *manifest) { m.Middleware.Pre[0].Disabled = true }), "StripIdentity, and it is disabled"},
		"a hook without a path":      {hooks(func(m *manifest) { m.Middleware.Pre[0].Path = "" }), "lists StripIdentity without a path"},
		"a hook of another file":     {hooks(func(m *manifest) { m.Middleware.Pre[0].Path = "evil.so" }), `lists StripIdentity in "evil.so"`},
		"a hook in another list":     {hooks(func(m *manifest) { m.Middleware.Response = m.Middleware.Pre }), "custom_middleware.response lists StripIdentity"},
		"a plugin after GuardUpstream": {hooks(func(m *manifest) {
			m.Middleware.Post = append(m.Middleware.Post, hook{Name: "Other", Path: "other.so"})
		}), "the last hook must be GuardUpstream"},
		"another driver":    {hooks(func(m *manifest) { m.Middleware.Driver = "otto" }), `driver is "otto"`},
		"no signature":      {hooks(func(m *manifest) { m.Signature = "" }), "it is not signed, and a gateway with public_key_path does not load its APIs: build it with --key"},
		"another signature": {hooks(func(m *manifest) { m.Signature = "AAAA" }), "the signature is not of this key"},
		"a changed file":    {func(files map[string]string) { files[fileName] += "\x00" }, "a file was changed after the bundle was built"},
		"a missing file":    {func(files map[string]string) { delete(files, fileName) }, "which is not in the bundle"},
		"an unlisted file":  {func(files map[string]string) { files["evil.so"] = "x" }, `"evil.so" is not in file_list`},
		"a file outside":    {func(files map[string]string) { files["../../evil.so"] = "x" }, `entry "../../evil.so": want a plain file name`},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := Check(writeChanged(t, bundle, row.change), want)
			must(t, err)
			said := strings.Join(report.Problems, "\n")
			if report.IsFine() != (row.want == "") || !strings.Contains(said, row.want) {
				t.Errorf("got %q, want %q", said, row.want)
			}
		})
	}
	t.Run("another release", func(t *testing.T) {
		report, err := Check(writeChanged(t, bundle, func(map[string]string) {}), Expectation{Releases: []string{"v5.13.1"}, Arch: "amd64"})
		must(t, err)
		if said := strings.Join(report.Problems, "\n"); !strings.Contains(said, "no plugin for Tyk v5.13.1 on linux/amd64, so that its gateway answers 500: it has "+fileName) {
			t.Errorf("got %q", said)
		}
	})
	t.Run("a file twice", func(t *testing.T) {
		if _, _, err := Build([]string{plugin, plugin}, key); err == nil || !strings.Contains(err.Error(), "another file is for the same gateway") {
			t.Errorf("got %v", err)
		}
	})
}

// writeChanged writes a bundle after a change.
func writeChanged(t *testing.T, bundle []byte, change func(map[string]string)) string {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	must(t, err)
	files := map[string]string{}
	for _, entry := range archive.File {
		reader, err := entry.Open()
		must(t, err)
		var text bytes.Buffer
		_, err = text.ReadFrom(reader)
		must(t, err)
		files[entry.Name] = text.String()
	}
	change(files)
	var out bytes.Buffer
	changed := zip.NewWriter(&out)
	for name, text := range files {
		entry, err := changed.CreateHeader(&zip.FileHeader{Name: name})
		must(t, err)
		_, err = entry.Write([]byte(text))
		must(t, err)
	}
	must(t, changed.Close())
	path := filepath.Join(t.TempDir(), "bundle.zip")
	must(t, os.WriteFile(path, out.Bytes(), 0o600))
	return path
}

// TestKeys: only RSA keys of a sufficient size are taken.
func TestKeys(t *testing.T) {
	write := func(kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), "key.pem")
		must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	eight, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	for kind, der := range map[string][]byte{"RSA PRIVATE KEY": x509.MarshalPKCS1PrivateKey(key), "PRIVATE KEY": eight} {
		if got, err := ReadPrivateKey(write(kind, der)); err != nil || !got.Equal(key) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if got, err := ReadPublicKey(write("PUBLIC KEY", public)); err != nil || !got.Equal(key.Public()) {
		t.Errorf("public: %v", err)
	}
	// The advice never names the user's file as one to write: it may be the only copy of a key.
	for kind, want := range map[string]string{
		"PUBLIC KEY": "not a public key: ", "CERTIFICATE": "not a certificate: ", "EC PRIVATE KEY": "not a private key of another use or algorithm: ",
		"OPENSSH PRIVATE KEY": "not a key of ssh: ", "ENCRYPTED PRIVATE KEY": "not an encrypted key: openssl rsa -in ENCRYPTED.pem -out PRIVATE.pem",
	} {
		path := write(kind, public)
		_, err := ReadPrivateKey(path)
		if err == nil || !strings.Contains(err.Error(), "want an RSA private key in PEM, ") || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: got %v, want %q", kind, err, want)
		}
	}
	path := write("PRIVATE KEY", eight)
	if _, err := ReadPublicKey(path); err == nil || !strings.Contains(err.Error(), "want an RSA public key in PEM, not a private key") || strings.Count(err.Error(), path) != 1 {
		t.Errorf("a private key: %v", err)
	}
	if err := checkKeySize("k", 1024); err == nil || !strings.Contains(err.Error(), "at least 2048 bits") {
		t.Errorf("a short key: %v", err)
	}
}
