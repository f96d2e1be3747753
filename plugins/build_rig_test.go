package plugins

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fakeRoot makes a repository with the script, replacements of go and the gateway, and sources of Tyk.
func fakeRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for file, from := range map[string]string{
		"plugins/build.sh": "build.sh", "fakebin/go": "testdata/fakebin/go", "fakebin/tyk": "testdata/fakebin/tyk",
		"bin/tyk": "testdata/fakebin/tyk", "tyk": "testdata/fakebin/tyk", "go.mod": "../go.mod", "go.sum": "../go.sum",
	} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(root, file), string(data))
	}
	writeFile(t, filepath.Join(root, "plugins", "identity", "main.go"), "package main\n")
	writeFile(t, filepath.Join(root, "shared", "shared.go"), "package shared\n")
	writeFile(t, filepath.Join(root, "internal", "internal.go"), "package internal\n")
	for _, dir := range []string{"archive", "checkout", "checkout/archive", "later"} {
		writeFile(t, filepath.Join(root, dir, "go.mod"), tykGoMod)
	}
	for _, dir := range []string{"checkout", "later"} {
		git(t, filepath.Join(root, dir), "init", "--quiet")
		commit(t, filepath.Join(root, dir))
		git(t, filepath.Join(root, dir), "tag", "v5.14.0")
	}
	commit(t, filepath.Join(root, "later"))
	return root
}

func commit(t *testing.T, dir string) {
	t.Helper()
	git(t, dir, "-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false",
		"commit", "--quiet", "--allow-empty", "--message", "test")
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
}

// runScript runs root's script without the variables of the environment of the tests.
func runScript(t *testing.T, root string, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(root, "plugins", "build.sh"), args...)
	cmd.Env = append(os.Environ(), "TYK_SRC=", "TYK_VERSION=", "TYK_BIN=", "OUT=")
	for _, e := range env {
		cmd.Env = append(cmd.Env, strings.ReplaceAll(e, "ROOT", root))
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func filesIn(t *testing.T, root string, dirs ...string) []string {
	t.Helper()
	var found []string
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(root, dir)); err != nil {
			continue
		}
		for _, file := range contents(t, filepath.Join(root, dir)) {
			name, _, _ := strings.Cut(file, "\x00")
			found = append(found, filepath.Join(dir, name))
		}
	}
	return sorted(found)
}

// contents gives each file's path below dir, a NUL, and its content.
func contents(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files = append(files, name+"\x00"+string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}
