package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/atomicfile"
)

func TestPermissionsStay(t *testing.T) {
	for _, row := range []struct{ before, asked, after fs.FileMode }{
		{0, 0o600, 0o600},
		{0, 0o644, 0o644},
		{0o600, 0o644, 0o600},
		{0o640, 0o600, 0o640},
	} {
		file := filepath.Join(t.TempDir(), "file")
		if row.before != 0 {
			write(t, file, row.before)
		}
		if err := atomicfile.Write(file, []byte("new"), row.asked); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != row.after {
			t.Errorf("%v, asked %v: got %v, %v", row.before, row.asked, info.Mode(), err)
		}
		if data, err := os.ReadFile(file); string(data) != "new" {
			t.Errorf("got %q, %v", data, err)
		}
		if entries, err := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
	}
}

func write(t *testing.T, file string, perm fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte("old"), perm); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, perm); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

func TestAFailureLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "file"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(filepath.Join(dir, "file"), []byte("new"), 0o600); err == nil {
		t.Error("a folder was replaced")
	}
	if entries, err := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := atomicfile.Write(filepath.Join(dir, "absent", "file"), nil, 0o600); err == nil {
		t.Error("wrote into a folder that is not there")
	}
}

// People know the name that they gave, and not that of a temporary file.
func TestErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "absent", "file"), dir} {
		err := atomicfile.Write(path, []byte("x"), 0o600)
		if err == nil || !strings.HasPrefix(err.Error(), "write "+path+": ") || strings.Contains(err.Error(), atomicfile.Prefix) {
			t.Errorf("got %v", err)
		}
	}
	if err := atomicfile.Write(filepath.Join(dir, "absent", "file"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
