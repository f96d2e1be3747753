package keys_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
)

func TestNothingToPublish(t *testing.T) {
	dir := t.TempDir()
	make1(t, signsFirst(dir))
	out := filepath.Join(t.TempDir(), "jwks.json")
	if _, err := keys.Publish(dir, out, noon.Add(48*time.Hour)); !errors.Is(err, keys.ErrNotDone) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was written: %v", err)
	}
	if _, err := keys.PublicSet(dir, noon.Add(48*time.Hour)); !errors.Is(err, keys.ErrNotDone) {
		t.Errorf("got %v", err)
	}
}

// A wrong --out must not overwrite a key.
func TestPublishOverwritesKeySetsOnly(t *testing.T) {
	dir := t.TempDir()
	kid := make1(t, signsFirst(dir))
	before := content(t, dir)
	for _, name := range []string{"keys.yaml", kid + ".pem"} {
		if _, err := keys.Publish(dir, filepath.Join(dir, name), noon); err == nil || errors.Is(err, keys.ErrNotDone) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if after := content(t, dir); after != before {
		t.Errorf("written:\n%s", after)
	}
	empty := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := keys.Publish(dir, empty, noon); err != nil || !r.Changed {
		t.Errorf("an empty file: got %+v, %v", r, err)
	}
}
