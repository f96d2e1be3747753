package e2e_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/pagetest"
)

// The reader of docs/tutorial.md gets what the page shows, from the running demo.
func TestTutorial(t *testing.T) {
	const page = "../docs/tutorial.md"
	steps, err := pagetest.ReadSteps(page)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	demo, _ := startDemo(t, dir, "Next: docs/tutorial.md", "-keep-dir", filepath.Join(dir, "shop"))
	defer endDemo(t, demo)
	reader := pagetest.Reader{Dir: dir, Patience: 20 * time.Second}
	if err := reader.TakeSteps(t.Context(), steps); err != nil {
		t.Fatalf("%s: %v", page, err)
	}
}
