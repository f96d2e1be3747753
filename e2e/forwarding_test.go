package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

// What docs/forwarding.md tells services in other languages to do is done by one: orders, whose call
// of inventory is let in by the user's token alone.
func TestTheDocumentsOtherLanguages(t *testing.T) {
	for _, row := range []struct{ language, module, program, interpreter, debian string }{
		{"js", "forwarding.mjs", "orders.mjs", "node", "nodejs"},
		{"python", "forwarding.py", "orders.py", "python3", "python3"},
	} {
		t.Run(row.language, func(t *testing.T) {
			interpreter, err := exec.LookPath(row.interpreter)
			if err != nil {
				t.Skipf("NOT RUN: the document's %s: needs %s", row.language, row.debian)
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "forwarding"))); err != nil {
				t.Fatal(err)
			}
			writeBlocks(t, dir, row.language, row.module)
			mesh := start(t, localmesh.Options{Programs: map[string][]string{"orders": {interpreter, filepath.Join(dir, row.program)}}})
			playOnly(t, mesh, "tour", "01-own-order", "06-no-token-in-the-mesh", "09-api-key")
		})
	}
}

// writeBlocks writes the document's pieces of code in a language into files of these names, in order.
func writeBlocks(t *testing.T, dir, language string, names ...string) {
	t.Helper()
	root, err := repo.Root()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join(root, "docs", "forwarding.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)\n```"+language+"\n(.*?)\n```").FindAllSubmatch(doc, -1)
	if len(found) < len(names) {
		t.Fatalf("docs/forwarding.md has %d pieces of %s, want %d", len(found), language, len(names))
	}
	for i, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), found[i][1], 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func playOnly(t *testing.T, mesh *localmesh.Mesh, folder string, names ...string) {
	t.Helper()
	cases, err := scenarios.LoadShipped(folder)
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, name := range names {
		left[name] = true
	}
	for _, s := range cases {
		if left[s.Name] {
			delete(left, s.Name)
			t.Run(s.Name, func(t *testing.T) { play(t, mesh, s) })
		}
	}
	if len(left) > 0 {
		t.Errorf("no such cases: %v", left)
	}
}
