package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
)

// The same request is refused by the gateway and, once its file says that the edge enforces nothing, by
// the first hop. The gateway is not restarted between the two.
func TestTheEdge(t *testing.T) {
	mesh := start(t, localmesh.Options{Prepare: func(dir string) error {
		if err := os.CopyFS(filepath.Join(dir, "edge"), os.DirFS(filepath.Join("testdata", "edge"))); err != nil {
			return err
		}
		return appendTo(filepath.Join(dir, "identity.yaml"), "edge: {policies: [{path: edge}], enforce: true}\n")
	}})
	t.Run("on", func(t *testing.T) { playAll(t, mesh, "edge") })
	log := filepath.Join(mesh.Dir(), "tyk.log")
	loaded := loads(t, log)
	replace(t, filepath.Join(mesh.Dir(), "identity.yaml"), "enforce: true", "enforce: false")
	for deadline := time.Now().Add(30 * time.Second); loads(t, log) == loaded; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the plugin does not follow its file")
		}
	}
	t.Run("off", func(t *testing.T) { playAll(t, mesh, "edge-off") })
}

// loads counts how often the plugin has loaded its files.
func loads(t *testing.T, log string) int {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "ready to sign")
}

func appendTo(file, text string) error {
	before, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(before, text...), 0o644)
}

func replace(t *testing.T, file, old, with string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, with, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}
