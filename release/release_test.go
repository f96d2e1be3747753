package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var testOptions = options{version: "v1.2.3", revision: "abc", date: time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC)}

// TestArchive: the order of the entries does not matter, and nothing of this machine is in an archive.
func TestArchive(t *testing.T) {
	entries := []entry{{"b/c", 0o755, []byte("program")}, {"a", 0o644, []byte("text")}}
	dir := t.TempDir()
	must(t, writeArchive(filepath.Join(dir, "1"), testOptions.date, entries[0], entries[1]))
	must(t, writeArchive(filepath.Join(dir, "2"), testOptions.date, entries[1], entries[0]))
	first, err := os.ReadFile(filepath.Join(dir, "1"))
	must(t, err)
	second, err := os.ReadFile(filepath.Join(dir, "2"))
	must(t, err)
	if !bytes.Equal(first, second) {
		t.Error("two archives of the same files differ")
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(first))
	must(t, err)
	var got []string
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		text, err := io.ReadAll(r)
		must(t, err)
		got = append(got, fmt.Sprintf("%s %o %d:%d %q %s %q", h.Name, h.Mode, h.Uid, h.Gid, h.Uname, h.ModTime.UTC().Format(time.RFC3339), text))
	}
	want := `a 644 0:0 "" 2026-11-30T01:02:03Z "text"
b/ 755 0:0 "" 2026-11-30T01:02:03Z ""
b/c 755 0:0 "" 2026-11-30T01:02:03Z "program"`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

// TestImage: an archive holds a valid image of each architecture, with labels, user and command.
func TestImage(t *testing.T) {
	i := image{
		name: "meshpass/authz", title: "meshpass authorizer", entrypoint: []string{"/usr/local/bin/meshpass"}, command: []string{"serve"}, ports: []string{"9000/tcp"},
		labels: map[string]string{"dev.meshpass.tyk.version": "v5.8.1"},
		files:  map[string][]entry{"amd64": {{"usr/local/bin/meshpass", 0o755, []byte("amd")}}, "arm64": {{"usr/local/bin/meshpass", 0o755, []byte("arm")}}},
	}
	dir := t.TempDir()
	var archives [2][]byte
	for n := range archives {
		file := filepath.Join(dir, fmt.Sprint(n))
		must(t, testOptions.writeImage(i, file))
		var err error
		archives[n], err = os.ReadFile(file)
		must(t, err)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of the same image differ")
	}
	unpack(t, archives[0], filepath.Join(dir, "layout"))
	root, err := layout.ImageIndexFromPath(filepath.Join(dir, "layout"))
	must(t, err)
	outer, err := root.IndexManifest()
	must(t, err)
	if len(outer.Manifests) != 1 || outer.Manifests[0].Annotations["io.containerd.image.name"] != "meshpass/authz:1.2.3" {
		t.Fatalf("got %+v", outer.Manifests)
	}
	index, err := root.ImageIndex(outer.Manifests[0].Digest)
	must(t, err)
	must(t, validate.Index(index))
	manifest, err := index.IndexManifest()
	must(t, err)
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, m.Platform.String())
		image, err := index.Image(m.Digest)
		must(t, err)
		config, err := image.ConfigFile()
		must(t, err)
		c := config.Config
		if c.User != "65532:65532" || fmt.Sprint(c.Entrypoint, c.Cmd) != "[/usr/local/bin/meshpass] [serve]" || config.Architecture != m.Platform.Architecture || len(c.ExposedPorts) != 1 ||
			!config.Created.Time.Equal(testOptions.date) {
			t.Errorf("got %+v", config)
		}
		for label, want := range map[string]string{"version": "1.2.3", "revision": "abc", "created": "2026-11-30T01:02:03Z", "title": "meshpass authorizer"} {
			if got := c.Labels["org.opencontainers.image."+label]; got != want {
				t.Errorf("label %s: got %q, want %q", label, got, want)
			}
		}
		if c.Labels["dev.meshpass.tyk.version"] != "v5.8.1" {
			t.Errorf("got %v", c.Labels)
		}
	}
	if got := strings.Join(platforms, " "); got != "linux/amd64 linux/arm64" {
		t.Errorf("got %s", got)
	}
}

func unpack(t *testing.T, packed []byte, dir string) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(packed)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		must(t, err)
		file := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			must(t, os.MkdirAll(file, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		text, err := io.ReadAll(r)
		must(t, err)
		must(t, os.WriteFile(file, text, 0o644))
	}
}

// TestRoots: the roots of an image are readable and there are some.
func TestRoots(t *testing.T) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(baseFiles()[0].text) || bytes.Count(baseFiles()[0].text, []byte("BEGIN")) < 100 {
		t.Error("the image has too few roots")
	}
}

// writePEM writes a key.
func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return file
}

// TestSignature: the commands of docs/release.md verify a release, and notice a changed file and a changed list.
func TestSignature(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	key, err := readSigningKey(writePEM(t, "PRIVATE KEY", der))
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "b.tar.gz"), []byte("b"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "a.tar.gz"), []byte("a"), 0o644))
	must(t, writeSums(dir, key))
	sums, err := os.ReadFile(filepath.Join(dir, sumsFile))
	must(t, err)
	if want := fmt.Sprintf("%x  a.tar.gz\n%x  b.tar.gz\n", sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b"))); string(sums) != want {
		t.Errorf("got\n%swant\n%s", sums, want)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "meshpass-release.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644))

	page, err := os.ReadFile("../docs/release.md")
	must(t, err)
	_, after, found := strings.Cut(string(page), "```sh title=\"verify\"\n")
	commands, _, closed := strings.Cut(after, "```")
	if !found || !closed {
		t.Fatal("docs/release.md has no commands that verify")
	}
	verify := func() error {
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", commands)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	must(t, verify())
	must(t, os.WriteFile(filepath.Join(dir, "a.tar.gz"), []byte("x"), 0o644))
	if err := verify(); err == nil || !strings.Contains(err.Error(), "a.tar.gz: FAILED") {
		t.Errorf("a changed file: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, sumsFile), fmt.Appendf(nil, "%x  a.tar.gz\n", sha256.Sum256([]byte("x"))), 0o644))
	if err := verify(); err == nil || !strings.Contains(err.Error(), "Verification failure") {
		t.Errorf("a changed list: %v", err)
	}
	signature, err := os.ReadFile(filepath.Join(dir, sumsFile+".sig"))
	must(t, err)
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(signature))); err != nil || len(raw) < 64 {
		t.Errorf("the signature is not in the form of cosign: %v", err)
	}
}

// TestRefusals: a wrong command line or key writes nothing.
func TestRefusals(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	wrongKey := writePEM(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(other))
	full := t.TempDir()
	must(t, os.WriteFile(filepath.Join(full, "old"), nil, 0o644))
	repository := t.TempDir()
	for _, args := range [][]string{{"init", "-q"}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "a"}} {
		if out, err := exec.Command("git", append([]string{"-C", repository}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	changed := filepath.Join(t.TempDir(), "changed")
	if out, err := exec.Command("git", "clone", "-q", repository, changed).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	must(t, os.WriteFile(filepath.Join(changed, "new.go"), nil, 0o644))
	for name, row := range map[string]struct {
		args []string
		want string
	}{
		"no version":      {[]string{"-unsigned"}, `version "": want one such as v1.2.3`},
		"a wrong version": {[]string{"-version", "1.2", "-unsigned"}, `version "1.2": want one such as v1.2.3`},
		"no key":          {[]string{"-version", "v1.2.3"}, "want a key or no signature"},
		"key and no key":  {[]string{"-version", "v1.2.3", "-key", wrongKey, "-unsigned"}, "want a key or no signature"},
		"another key":     {[]string{"-version", "v1.2.3", "-root", repository, "-key", wrongKey}, "want an ECDSA P-256 private key in PEM: openssl ecparam"},
		"a full folder":   {[]string{"-version", "v1.2.3", "-root", repository, "-unsigned", "-out", full}, "is not empty: remove it first"},
		"changes":         {[]string{"-version", "v1.2.3", "-root", changed, "-unsigned"}, "these files are not committed:\n?? new.go"},
		"no repository":   {[]string{"-version", "v1.2.3", "-root", t.TempDir(), "-unsigned"}, "a release is made from a clone"},
		"a gateway":       {[]string{"-version", "v1.2.3", "-unsigned", "-tyk", "5.8.1"}, "want vX.Y.Z=FOLDER"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(row.args); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}
