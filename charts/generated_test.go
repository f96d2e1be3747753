package charts_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/charts/internal/generate"
)

func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := generate.Files(".")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Error(err)
		}
		if string(got) != string(want) {
			t.Errorf("charts/%s is not current: run make charts\n%s", name, cmp.Diff(string(want), string(got)))
		}
	}
}
