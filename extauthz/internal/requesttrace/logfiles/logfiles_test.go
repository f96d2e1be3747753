package logfiles_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/logfiles"
)

// The logs of a folder are found by the names that rotation gives them, and through links.
func TestFind(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{
		"real/a.log", "real/a.log.1", "real/a.log-20261130", "real/a.log.2.gz", "real/b.jsonl", "real/b.jsonl.1", "real/c.ndjson-1", "real/sub.log/d.log", "real/old.gz",
		"real/a.logs", "real/notes.txt", "real/login", "real/x.yaml",
	} {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "links"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"folder": "real", "links/pod.log": "../real/a.log", "links/gone.log": "../real/gone.log", "links/all.log": "../real"} {
		if err := os.Symlink(target, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	all := []string{"a.log", "a.log-20261130", "a.log.1", "a.log.2.gz", "b.jsonl", "b.jsonl.1", "c.ndjson-1", "old.gz", "sub.log/d.log"}
	for name, want := range map[string][]string{"real": all, "real/": all, "folder": all, "links": {"pod.log"}} {
		sources, err := logfiles.Find([]string{filepath.Join(folder, name)}, nil)
		var got []string
		for _, source := range sources {
			got = append(got, strings.TrimPrefix(source.Name, filepath.Join(folder, name)+"/"))
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, %s", name, err, diff)
		}
	}
}
