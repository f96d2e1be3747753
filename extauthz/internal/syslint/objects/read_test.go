package objects_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// readAll reads texts as one file, and gives the titles of objects and what could not be read.
func readAll(text string) (titles, unchecked []string) {
	reader := objects.NewReader()
	reader.ReadText("f", []byte(text))
	for _, o := range reader.Set.Objects {
		titles = append(titles, o.Title()+" "+o.Root.Place().String())
	}
	for _, u := range reader.Set.Unchecked {
		unchecked = append(unchecked, u.Place.String()+": "+u.Reason)
	}
	return titles, unchecked
}

// JSON, YAML in flow style and streams of both are read as kubectl does, and an error names its place in the file.
func TestForms(t *testing.T) {
	const (
		a = `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}`
		b = `{apiVersion: v1, kind: Namespace, metadata: {name: "b"}}`
	)
	for text, want := range map[string][2][]string{
		a + "\n---\n" + a + "\n":         {{"Namespace a f:3:1: Namespace a"}, nil},
		b:                                {{"Namespace b f:1:1: Namespace b"}, nil},
		"\uFEFF" + a + "\r\n---\r\n" + b: {{"Namespace a f:1:1: Namespace a", "Namespace b f:3:1: Namespace b"}, nil},
		a + "\n---\n{\"kind\":\n":        {{"Namespace a f:1:1: Namespace a"}, {"f:3:9: the JSON value is incomplete"}},
		a + " x":                         {nil, {"f:1:70: want one JSON value, and nothing after it"}},
		`{"a": {"b": 1, "b": 2}}`:        {nil, {`f:1:16: "b" is there twice: remove one of them`}},
		"[3]":                            {nil, {"f:1:1: no Kubernetes object (apiVersion and kind), and no file that Tyk, Istio or Meshpass reads"}},
		"[":                              {nil, {"f:1:2: the JSON value is incomplete"}},
	} {
		if titles, unchecked := readAll(text); !slices.Equal(titles, want[0]) || !slices.Equal(unchecked, want[1]) {
			t.Errorf("%q: got %q and %q, want %q", text, titles, unchecked, want)
		}
	}
}

// A folder without a file to read is named, and a file that two arguments name is read once.
func TestFolders(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"full/api.json": `{"api_id": "a", "proxy": {"listen_path": "/a/"}}`, "empty/README": "x"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reader := objects.NewReader()
	for _, path := range []string{"full", "full/api.json", "empty"} {
		if err := reader.ReadPath(filepath.Join(dir, path)); err != nil {
			t.Fatal(err)
		}
	}
	if len(reader.Set.Contents) != 1 || !slices.Contains(reader.Set.Notes, filepath.Join(dir, "full/api.json")+" is given twice, and was read once") {
		t.Errorf("%d files, notes %q", len(reader.Set.Contents), reader.Set.Notes)
	}
	if u := reader.Set.Unchecked; len(u) != 1 || u[0].Source != filepath.Join(dir, "empty") || u[0].Reason != "no file *.yaml, *.yml, *.json or *.conf is below this folder" {
		t.Errorf("unchecked: %v", u)
	}
}

// A shell gives the output of a command, <(COMMAND), as a named pipe.
func TestPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "63")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := os.WriteFile(pipe, []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"), 0o600); err != nil {
			t.Error(err)
		}
	}()
	reader := objects.NewReader()
	if err := reader.ReadPath(pipe); err != nil {
		t.Fatal(err)
	}
	if o := reader.Set.Objects; len(o) != 1 || o[0].Title() != "Namespace a" || len(reader.Set.Unchecked) != 0 {
		t.Errorf("objects %v, unchecked %v", o, reader.Set.Unchecked)
	}
}

// Tyk's file of policies may have none.
func TestEmptyPolicies(t *testing.T) {
	for text, want := range map[string]int{"{}": 1, "": 0, `{"a": 1}`: 0} {
		reader := objects.NewReader()
		reader.ReadText("policies.json", []byte(text))
		if got := len(reader.Set.ContentsOf(objects.TykPolicies)); got != want || want == 1 && len(reader.Set.Unchecked) > 0 {
			t.Errorf("%q: %d contents, not checked %+v", text, got, reader.Set.Unchecked)
		}
	}
}
