package gateway_test

import (
	"archive/zip"
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/repo"
)

// bundleServer is where gateways download bundles, with the key that signs them.
type bundleServer struct {
	dir, url    string
	key, public string // files
}

func newBundleServer(t *testing.T) *bundleServer {
	t.Helper()
	s := &bundleServer{dir: t.TempDir()}
	server := httptest.NewServer(http.FileServer(http.Dir(s.dir)))
	t.Cleanup(server.Close)
	s.url = server.URL + "/"
	s.key, s.public = s.writeKey(t, "bundle-key")
	return s
}

// writeKey writes a new RSA key.
func (s *bundleServer) writeKey(t *testing.T, name string) (private, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	theirs, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	private, public = filepath.Join(s.dir, name+".pem"), filepath.Join(s.dir, name+".pub")
	must(t, os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600))
	must(t, os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: theirs}), 0o600))
	return private, public
}

// conf is what makes a gateway download bundles and verify them.
func (s *bundleServer) conf() string {
	return fmt.Sprintf(`{"enable_bundle_downloader": true, "bundle_base_url": %q, "public_key_path": %q, "middleware_path": "bundled"}`, s.url, s.public)
}

// build runs the command that users run.
func (s *bundleServer) build(t *testing.T, name string, args ...string) {
	t.Helper()
	code, _, stderr := runMeshpass(t, append([]string{"tyk", "bundle", "build", "--out", filepath.Join(s.dir, name)}, args...)...)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
}

// runMeshpass runs the command line.
func runMeshpass(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	program, err := repo.Bin("meshpass", "build")
	must(t, err)
	cmd := exec.CommandContext(t.Context(), program, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		code, err = exit.ExitCode(), nil
	}
	must(t, err)
	return code, out.String(), log.String()
}

// pluginOf is the plugin that was built for a release.
func pluginOf(t *testing.T, release string) string {
	t.Helper()
	name := filepath.Join("plugins", "identity_"+release+"_linux_amd64.so")
	if release != "v5.8.1" {
		name = filepath.Join("gateways", release, name)
	}
	path, err := repo.Bin(name, "test-programs")
	must(t, err)
	return path
}

// alter writes a copy of a bundle after a change.
func (s *bundleServer) alter(t *testing.T, from, to string, change func(files map[string][]byte)) {
	t.Helper()
	files := readBundle(t, filepath.Join(s.dir, from))
	change(files)
	file, err := os.Create(filepath.Join(s.dir, to))
	must(t, err)
	archive := zip.NewWriter(file)
	for name, content := range files {
		entry, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		must(t, err)
		_, err = entry.Write(content)
		must(t, err)
	}
	must(t, archive.Close())
	must(t, file.Close())
}

func readBundle(t *testing.T, path string) map[string][]byte {
	t.Helper()
	archive, err := zip.OpenReader(path)
	must(t, err)
	defer archive.Close()
	files := map[string][]byte{}
	for _, entry := range archive.File {
		reader, err := entry.Open()
		must(t, err)
		files[entry.Name], err = io.ReadAll(reader)
		must(t, err)
		must(t, reader.Close())
	}
	return files
}

// changeManifest changes the manifest and nothing else.
func changeManifest(t *testing.T, change func(hooks map[string]any)) func(map[string][]byte) {
	return func(files map[string][]byte) {
		manifest := parse(t, string(files["manifest.json"]))
		change(manifest["custom_middleware"].(map[string]any))
		text, err := json.Marshal(manifest)
		must(t, err)
		files["manifest.json"] = text
	}
}

// bundled are an API and its canary, whose hooks a bundle lists.
func bundled(id, bundle string) []definition {
	lists := fmt.Sprintf(`"custom_middleware_bundle": %q, "custom_middleware": null`, bundle)
	return []definition{
		{id: id, json: `{` + lists + `}`},
		{id: id + "-canary", json: `{` + lists + `, "use_keyless": true, "use_standard_auth": false, "config_data": {"meshpass": {"canary": true}},
			"proxy": {"target_url": "http://no-upstream.invalid/"}}`},
	}
}

var notLoaded = answer{404, "404 page not found", unreached}

// What a gateway with public_key_path makes of a bundle, what its canary answers, and what `meshpass tyk bundle check` says.
var bundles = []struct {
	name        string // of the API; the bundle is NAME.zip
	api, canary answer
	problem     string // "": the bundle is fine
}{
	{"meshpass", answer{200, "", signed}, answer{200, "ready", unreached}, ""},
	{"unsigned", notLoaded, notLoaded, "it is not signed, and a gateway with public_key_path does not load its APIs: build it with --key"},
	{"other-key", notLoaded, notLoaded, "the signature is not of this key"},
	{"changed-plugin", notLoaded, notLoaded, "a file was changed after the bundle was built; use the original"},
	{"other-release", answer{500, "Internal Server Error", unreached}, answer{500, "Internal Server Error", unreached}, "no plugin for Tyk v5.8.1 on linux/amd64"},
	// Tyk does not verify the manifest.
	{"no-hooks", answer{200, "", theirs}, answer{500, "Upstream host lookup failed", unreached}, "custom_middleware.pre does not list StripIdentity"},
	{"other-driver", answer{200, "", theirs}, answer{500, "Upstream host lookup failed", unreached}, `custom_middleware.driver is "goplugins"`},
	// A folder that an interrupted download left: 5.8.1 neither downloads nor verifies.
	{"leftover", answer{200, "", theirs}, answer{500, "Upstream host lookup failed", unreached}, ""},
}

// TestBundles: a gateway that verifies bundles loads the plugin of its own release from one, and refuses unsigned and changed
// files. It accepts a changed manifest, and a folder that is already there: then the canary fails.
func TestBundles(t *testing.T) {
	s := newBundleServer(t)
	otherKey, _ := s.writeKey(t, "other")
	s.build(t, "meshpass.zip", "--key", s.key, pluginOf(t, "v5.8.0"), pluginOf(t, "v5.8.1"))
	s.build(t, "unsigned.zip", "--unsigned", pluginOf(t, "v5.8.1"))
	s.build(t, "other-key.zip", "--key", otherKey, pluginOf(t, "v5.8.1"))
	s.build(t, "other-release.zip", "--key", s.key, pluginOf(t, "v5.8.0"))
	s.build(t, "leftover.zip", "--key", s.key, pluginOf(t, "v5.8.1"))
	s.alter(t, "leftover.zip", "changed-plugin.zip", func(files map[string][]byte) {
		files["identity_v5.8.1_linux_amd64.so"] = append(files["identity_v5.8.1_linux_amd64.so"], 0)
	})
	s.alter(t, "leftover.zip", "no-hooks.zip", changeManifest(t, func(hooks map[string]any) {
		hooks["pre"], hooks["post_key_auth"], hooks["post"] = nil, nil, nil
	}))
	s.alter(t, "leftover.zip", "other-driver.zip", changeManifest(t, func(hooks map[string]any) { hooks["driver"] = "goplugins" }))

	var apis []definition
	for _, b := range bundles {
		apis = append(apis, bundled(b.name, b.name+".zip")...)
	}
	r := start(t, setup{apis: apis, conf: s.conf(), alone: true, first: func(r *rig) {
		must(t, os.MkdirAll(r.path(fmt.Sprintf("bundled/bundles/%x", md5.Sum([]byte("leftover.zip")))), 0o700))
	}})
	r.awaitWithin(t, 5*time.Minute, r.serves) // a dozen bundles of 50 MB are downloaded and verified before any API is served
	r.serving(t)
	for _, b := range bundles {
		t.Run(b.name, func(t *testing.T) {
			if got := r.send(t, call{path: "/" + b.name + "/", as: "key"}); got.answer != b.api {
				t.Errorf("got %+v, want %+v", got.answer, b.api)
			}
			if got := r.send(t, call{path: "/" + b.name + "-canary/"}); got.answer != b.canary {
				t.Errorf("the canary: got %+v, want %+v", got.answer, b.canary)
			}
			code, stdout, stderr := runMeshpass(t, "tyk", "bundle", "check", "--public-key", s.public, "--gateway", "v5.8.1", filepath.Join(s.dir, b.name+".zip"))
			if want := min(len(b.problem), 1); code != want || !strings.Contains(stdout, b.problem) || strings.Contains(stdout, "problem: ") != (want == 1) {
				t.Errorf("check: exit code %d, want %d and %q\n%s%s", code, want, b.problem, stdout, stderr)
			}
		})
	}
	t.Run("OpenAPI", func(t *testing.T) {
		got := r.sendOpenAPI(t, "oas", "meshpass.zip")
		if want := (answer{200, "", signed}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// sendOpenAPI adds an API in OpenAPI form whose hooks a bundle lists, and sends it a request.
func (r *rig) sendOpenAPI(t *testing.T, id, bundle string) answer {
	t.Helper()
	from, to := strings.Index(openAPI, `"pluginConfig"`), strings.LastIndex(openAPI, `}}}}`)
	document := openAPI[:from] + fmt.Sprintf(`"pluginConfig": {"driver": "goplugin", "bundle": {"enabled": true, "path": %q}}`, bundle) + openAPI[to:]
	r.control200(t, http.MethodPost, "/tyk/apis/oas", r.fill(strings.ReplaceAll(document, "SELF", id)))
	return r.callOpenAPI(t, id)
}

// TestBundleWithoutOneHook: the manifest has lost a hook. The hooks that run see this in a classic definition; in the OpenAPI
// form they do not, and no token is signed.
func TestBundleWithoutOneHook(t *testing.T) {
	s := newBundleServer(t)
	s.build(t, "whole.zip", "--key", s.key, pluginOf(t, "v5.8.1"))
	s.alter(t, "whole.zip", "partial.zip", changeManifest(t, func(hooks map[string]any) { hooks["post"] = nil }))
	r := start(t, setup{apis: bundled("partial", "partial.zip"), conf: s.conf(), alone: true}).serving(t)
	if got, want := r.send(t, call{path: "/partial/", as: "key"}).answer, (answer{500, "guard_missing", unreached}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := r.send(t, call{path: "/partial-canary/"}).answer, (answer{503, "config_invalid", unreached}); got != want {
		t.Errorf("the canary: got %+v, want %+v", got, want)
	}
	if got, want := r.sendOpenAPI(t, "oas", "partial.zip"), (answer{200, "", none}); got != want {
		t.Errorf("OpenAPI: got %+v, want %+v", got, want)
	}
}

// TestBundleFormat: Tyk's own bundler makes the same bundle of the same files and the same key.
func TestBundleFormat(t *testing.T) {
	s := newBundleServer(t)
	s.build(t, "ours.zip", "--key", s.key, pluginOf(t, "v5.8.1"))
	tyk, err := repo.Bin("tyk", "build")
	must(t, err)
	dir := t.TempDir()
	must(t, os.Symlink(pluginOf(t, "v5.8.1"), filepath.Join(dir, "identity_v5.8.1_linux_amd64.so")))
	ours := readBundle(t, filepath.Join(s.dir, "ours.zip"))
	must(t, os.WriteFile(filepath.Join(dir, "manifest.json"), ours["manifest.json"], 0o600))
	cmd := exec.CommandContext(t.Context(), tyk, "bundle", "build", "-k", s.key, "-o", filepath.Join(s.dir, "theirs.zip"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	theirs := readBundle(t, filepath.Join(s.dir, "theirs.zip"))
	manifest, reference := parse(t, string(ours["manifest.json"])), parse(t, string(theirs["manifest.json"]))
	delete(reference["custom_middleware"].(map[string]any), "id_extractor") // which is empty
	if !reflect.DeepEqual(manifest, reference) {
		t.Errorf("manifests differ:\n%s\n%s", ours["manifest.json"], theirs["manifest.json"])
	}
	delete(ours, "manifest.json")
	delete(theirs, "manifest.json")
	if len(ours) != 1 || !reflect.DeepEqual(ours, theirs) {
		t.Error("the files differ")
	}
}

// TestBundlePage loads the definitions of docs/bundle.md, as they are there, into a gateway.
func TestBundlePage(t *testing.T) {
	page := readPageFiles(t, "docs/bundle.md")
	s := newBundleServer(t)
	s.build(t, "meshpass-1.zip", "--key", s.key, pluginOf(t, "v5.8.1"))
	r := start(t, setup{apis: nil, conf: s.conf(), alone: true, first: func(r *rig) { r.addPageAPIs(t, page) }}).serving(t)
	r.checkPageAPIs(t, page)
}
