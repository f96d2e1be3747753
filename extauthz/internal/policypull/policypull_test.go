package policypull_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/extauthz/internal/policypull"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/registry"
)

// pull pulls once from a registry without TLS.
func pull(t *testing.T, reference, dir string) (policypull.Pulled, error) {
	t.Helper()
	artifact, err := policypull.Open(reference, true)
	if err != nil {
		t.Fatal(err)
	}
	return artifact.Pull(t.Context(), dir)
}

// listDir gives the names in a folder, and the content of files below its link.
func listDir(t *testing.T, dir string) (names []string, documents map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	documents = map[string]string{}
	files, _ := os.ReadDir(filepath.Join(dir, policypull.Link)) // without a link there are none
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, policypull.Link, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		documents[f.Name()] = string(text)
	}
	return names, documents
}

func versionOf(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// TestPull moves a tag, and names a digest. Only the present version stays.
func TestPull(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	server, dir := registry.Start(t), t.TempDir()
	first := map[string]string{"a.yaml": "a1", "b.yml": "b1"}
	second := map[string]string{"a.yaml": "a2"}
	one := server.Push(t, "policies", "1", registry.Files(first)...)
	byTag, byDigest := server.Host+"/policies:1", server.Host+"/policies@"+one
	check := func(step, reference, digest string, changed bool, want map[string]string) {
		t.Helper()
		got, err := pull(t, reference, dir)
		expected := policypull.Pulled{Reference: reference, Digest: digest, Folder: filepath.Join(dir, policypull.Link), Files: len(want), Changed: changed}
		if err != nil || got != expected {
			t.Errorf("%s: got %+v, %v\nwant %+v", step, got, err, expected)
		}
		names, documents := listDir(t, dir)
		if !slices.Equal(names, []string{policypull.Link, versionOf(digest)}) || !cmp.Equal(documents, want) {
			t.Errorf("%s: got %q with %q", step, names, documents)
		}
	}
	check("first", byTag, one, true, first)
	check("again", byTag, one, false, first)
	two := server.Push(t, "policies", "1", registry.Files(second)...)
	check("the tag moves", byTag, two, true, second)
	check("the first digest", byDigest, one, true, first)
	for _, lost := range []string{policypull.Link, versionOf(one)} {
		if err := os.RemoveAll(filepath.Join(dir, lost)); err != nil {
			t.Fatal(err)
		}
		check("without "+lost, byDigest, one, lost == policypull.Link, first)
	}
	// What an interrupted pull leaves.
	if err := os.Mkdir(filepath.Join(dir, ".pull-123"), 0o700); err != nil {
		t.Fatal(err)
	}
	check("after an interruption", byTag, two, true, second)
}

// TestFailedPulls names what cannot be used. The link stays as it was, and nothing else is left.
func TestFailedPulls(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	server, dir := registry.Start(t), t.TempDir()
	good := server.Push(t, "policies", "good", registry.File{Name: "a.yaml", Content: "a1"})
	if _, err := pull(t, server.Host+"/policies:good", dir); err != nil {
		t.Fatal(err)
	}
	other := server.Push(t, "policies", "other", registry.File{Name: "a.yaml", Content: "a2"})
	for name, files := range map[string][]registry.File{
		"untitled": {{Name: "", Content: "an image"}},
		"folder":   {{Name: "x/a.yaml", Content: "a"}},
		"above":    {{Name: "../a.yaml", Content: "a"}},
		"hidden":   {{Name: ".a.yaml", Content: "a"}},
		"text":     {{Name: "README.md", Content: "a"}},
		"twice":    {{Name: "a.yaml", Content: "1"}, {Name: "a.yaml", Content: "2"}},
		"large":    {{Name: "a.yaml", Content: strings.Repeat("x", 1<<20+1)}},
	} {
		server.Push(t, "policies", name, files...)
	}
	altered := func(w http.ResponseWriter, r *http.Request, answer http.Handler) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			_, _ = w.Write([]byte("aX"))
			return
		}
		answer.ServeHTTP(w, r)
	}
	for _, row := range []struct {
		reference, want string
		change          func(http.ResponseWriter, *http.Request, http.Handler)
	}{
		{":absent", "/policies:absent: ", nil},
		{":untitled", "layer 1 is no file: push the documents with oras push REFERENCE *.yaml", nil},
		{":folder", `"x/a.yaml": want files *.yaml without a folder`, nil},
		{":above", `"../a.yaml": want files *.yaml without a folder`, nil},
		{":hidden", `".a.yaml": want files *.yaml without a folder`, nil},
		{":text", `"README.md": want files *.yaml without a folder`, nil},
		{":twice", `"a.yaml" is in the artifact twice`, nil},
		{":large", `"a.yaml" has 1048577 bytes, at most 1048576 are read`, nil},
		{":other", "a.yaml: mismatch", altered},
		{"@" + other, "a.yaml: mismatch", altered},
		{":other", "403", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusForbidden) }},
	} {
		server.Change = row.change
		_, err := pull(t, server.Host+"/policies"+row.reference, dir)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v\nwant %s", row.reference, err, row.want)
		}
		names, documents := listDir(t, dir)
		if !slices.Equal(names, []string{policypull.Link, versionOf(good)}) || !cmp.Equal(documents, map[string]string{"a.yaml": "a1"}) {
			t.Errorf("%s: got %q with %q", row.reference, names, documents)
		}
	}
}

// TestReferences: a reference names the version.
func TestReferences(t *testing.T) {
	for _, reference := range []string{"", "policies", "registry.example.com/policies", "registry.example.com/policies:", "https://registry.example.com/policies:1", "registry.example.com/policies@sha256:1"} {
		if _, err := policypull.Open(reference, false); err == nil || !strings.Contains(err.Error(), "want REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST") {
			t.Errorf("%q: got %v", reference, err)
		}
	}
}
