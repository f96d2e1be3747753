package keyset_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/shared/keyset"
)

// volume is a mounted Secret: kubelet writes each version into a folder of its
// own, and then swaps the link ..data, through which all files are reached.
type volume struct {
	dir      string
	versions int
}

func (v *volume) put(t *testing.T, files keyset.Files) {
	t.Helper()
	v.versions++
	version := "..version" + strconv.Itoa(v.versions)
	if err := os.Mkdir(filepath.Join(v.dir, version), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(v.dir, version, name), data, 0o440); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(v.dir, "..data_tmp")
	if err := os.Symlink(version, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(v.dir, "..data")); err != nil {
		t.Fatal(err)
	}
	for name := range files {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(v.dir, name)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	v.dropLinks(t, files)
}

// dropLinks removes the links of files that the new version does not have; kubelet does so last.
func (v *volume) dropLinks(t *testing.T, files keyset.Files) {
	t.Helper()
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if _, there := files[entry.Name()]; !there && keyset.IsKeyFile(entry.Name()) {
			remove(t, v.dir, entry.Name())
		}
	}
}

// At every moment a reader gets one version or the next, never parts of both.
func TestAMountedSecretIsSwapped(t *testing.T) {
	versions := make([]keyset.Files, 4)
	known := map[string]bool{}
	for i := range versions {
		files, key, err := keyset.Files{}.WithNewKey(keyset.ES256, plan(noon), false)
		if err != nil {
			t.Fatal(err)
		}
		versions[i], known[key.ID()] = files, true
	}
	v := &volume{dir: t.TempDir()}
	v.put(t, versions[0])
	keys, err := reload.New(keyFiles(v.dir), func() (*keyset.SigningKeys, error) { return keyset.LoadSigningKeys(v.dir) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	swapped := make(chan struct{})
	go func() {
		defer close(swapped)
		for i := range 40 {
			v.put(t, versions[(i+1)%len(versions)])
		}
	}()
	for done := false; !done; {
		select {
		case <-swapped:
			done = true
		default:
		}
		keys.Poll()
		key, err := keys.Get().Current(noon)
		if err != nil || len(keys.Get().Keys()) != 1 || !known[key.ID()] {
			t.Fatalf("got %v, %v", key, err)
		}
	}
	last, err := keyset.LoadSigningKeys(v.dir)
	if err != nil || keys.Get().Keys()[0].ID() != last.Keys()[0].ID() || keys.Err() != nil {
		t.Errorf("the last version is not active: %v, %v", err, keys.Err())
	}
}

// Invalid keys are rejected as a whole. A chmod alone fixes them.
func TestTheLastGoodKeysStay(t *testing.T) {
	dir := t.TempDir()
	old := add(t, dir, keyset.ES256, plan(noon))
	keys, err := reload.New(keyFiles(dir), func() (*keyset.SigningKeys, error) { return keyset.LoadSigningKeys(dir) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	next := add(t, dir, keyset.ES256, plan(noon.Add(1)))
	chmod(t, dir, next+".pem", 0o644)
	keys.Poll()
	if key, err := keys.Get().Current(noon.Add(1)); err != nil || key.ID() != old || keys.Err() == nil {
		t.Errorf("got %v, %v, %v", key, err, keys.Err())
	}
	chmod(t, dir, next+".pem", 0o600)
	keys.Poll()
	if key, err := keys.Get().Current(noon.Add(1)); err != nil || key.ID() != next || keys.Err() != nil {
		t.Errorf("after the chmod: got %v, %v, %v", key, err, keys.Err())
	}
}

// keyFiles is a key directory as it is watched.
func keyFiles(dir string) []reload.Input {
	return []reload.Input{{Path: dir, Wanted: keyset.IsKeyFile}}
}
