package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/meshpass/meshpass/internal/pagetest"
)

// The commands of docs/recipes.md print what the page shows, and lint finds nothing in its documents.
func TestRecipes(t *testing.T) {
	const page = "../../../docs/recipes.md"
	steps, err := pagetest.ReadSteps(page)
	if err != nil {
		t.Fatal(err)
	}
	reader := pagetest.Reader{Dir: t.TempDir()}
	reader.PlayPage(t, page, steps)
	folders, err := os.ReadDir(reader.Dir)
	if err != nil || len(folders) != 8 {
		t.Fatalf("got %v, %v", folders, err)
	}
	for _, folder := range folders {
		if code, stdout, stderr := ran(t, "policy", "lint", "--strict", filepath.Join(reader.Dir, folder.Name())); code != 0 {
			t.Errorf("%s: got %d, %s%s", folder.Name(), code, stdout, stderr)
		}
	}
}
