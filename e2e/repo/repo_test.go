package repo_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/repo"
)

func TestRoot(t *testing.T) {
	root, err := repo.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "e2e", "repo", "repo_test.go")); err != nil {
		t.Error(err)
	}
	t.Chdir(t.TempDir())
	if root, err := repo.Root(); err == nil {
		t.Errorf("found %s outside the repository", root)
	}
}

func TestBin(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("MESHPASS_BIN", dir)
	want := filepath.Join(dir, "istiod")
	if _, err := repo.Bin("istiod", "istiod"); !errors.Is(err, repo.ErrNotBuilt) || !strings.Contains(err.Error(), "run make istiod") {
		t.Errorf("got %v, want ErrNotBuilt with the make target", err)
	}
	if err := os.WriteFile(want, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := repo.Bin("istiod", "istiod"); err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
}
