package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

var platform = runtime.GOOS + "_" + runtime.GOARCH

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestUnpack(t *testing.T) {
	image := folder(t, map[string]string{"identity_v5.8.1_linux_amd64.so": "a plugin", "install": "this program", "README": ""})
	dir := folder(t, map[string]string{"install": "left by an earlier start"})
	if _, err := unpackPlugins(dir, image, filepath.Join(image, "install")); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"identity_v5.8.1_linux_amd64.so": "a plugin", "install": "this program"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != content {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v: want the plugin and the program", entries, err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	full := folder(t, map[string]string{"identity_v5.8.1_linux_amd64.so": ""})
	for want, row := range map[string]struct{ dir, from string }{
		"no plugin in":  {t.TempDir(), t.TempDir()},
		"/none/plugins": {"/none/plugins", full},
	} {
		if _, err := unpackPlugins(row.dir, row.from, os.Args[0]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// gateway is a program built by this Go that answers like Tyk's; load is what it does with a plugin.
func gateway(t *testing.T, version, load string) string {
	t.Helper()
	dir := folder(t, map[string]string{"go.mod": "module tyk\n", "main.go": `package main
import "os"
func main() {
	if os.Args[1] == "--version" { println("` + version + `"); return }
	` + load + `
}`})
	build := exec.Command("go", "build", "-o", "tyk", ".")
	build.Dir = dir
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return filepath.Join(dir, "tyk")
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestCheck(t *testing.T) {
	const crash = `println("fatal error: no plugin module data\n\ngoroutine 1 [running]:"); os.Exit(2)`
	fine, crashes := gateway(t, "v5.8.1-rc7", ""), gateway(t, "v5.8.1", crash)
	name, older := "identity_v5.8.1_"+platform+".so", "identity_v5.8.0_"+platform+".so"
	program := read(t, fine) // as good as a plugin, for all that is read of one
	otherGo := strings.Repeat("9", len(runtime.Version()))
	const remedy = "\nuse an image that was built for it: docker build -f Dockerfile.plugin --build-arg TYK_VERSION=v5.8.1 ."
	for title, row := range map[string]struct {
		gateway string
		files   map[string]string
		want    string
		err     error
	}{
		"loads":           {fine, map[string]string{name: program, older: ""}, "gateway v5.8.1 loads " + name, nil},
		"another version": {fine, map[string]string{older: program}, "it looks for " + name + ", this folder has " + older + remedy, errRefused},
		"nothing":         {fine, nil, "it looks for " + name + ", this folder has none" + remedy, errRefused},
		"another Go": {fine, map[string]string{name: strings.ReplaceAll(program, runtime.Version(), otherGo)},
			"the gateway was built with " + runtime.Version() + ", " + name + " with " + otherGo + remedy, errRefused},
		"no plugin": {fine, map[string]string{name: "text"}, "unrecognized file format" + remedy, errRefused},
		"refused by the gateway": {crashes, map[string]string{name: program},
			"exit status 2\nfatal error: no plugin module data" + remedy, errRefused},
	} {
		t.Run(title, func(t *testing.T) {
			got, err := checkGateway(row.gateway, folder(t, row.files))
			if err != nil {
				got = strings.TrimPrefix(err.Error(), errRefused.Error()+": ")
			}
			if !strings.HasSuffix(got, row.want) || !errors.Is(err, row.err) {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	tyk := gateway(t, "v5.8.1", "")
	for args, row := range map[string]struct {
		code int
		want string
	}{
		"":                {2, "install: usage: "},
		"unpack":          {2, "install: usage: "},
		"check /none/tyk": {2, "install: /none/tyk --version: "},
		"unpack /none":    {2, "install: no plugin in /plugins"},
		"check " + tyk:    {1, "install: the gateway cannot load the plugin: it looks for "},
	} {
		var stdout, stderr strings.Builder
		if code := run(strings.Fields(args), &stdout, &stderr); code != row.code || !strings.HasPrefix(stderr.String(), row.want) {
			t.Errorf("install %s: exit code %d, %s", args, code, &stderr)
		}
	}
}
