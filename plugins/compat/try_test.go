package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestBuildTellsHowFarItCame(t *testing.T) {
	tests := map[string]struct {
		output        string
		code          int
		built, loaded bool
		untried       bool
	}{
		"modules differ":    {"", 1, false, false, false},
		"does not load":     {"built identity.so with go1.26.8\n", 1, true, false, false},
		"loads":             {"built identity.so with go1.26.8\nloaded identity.so by tyk\n", 0, true, true, false},
		"could not try":     {"", 2, false, false, true},
		"gateway not built": {"", 127, false, false, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			script := fmt.Sprintf("#!/bin/sh\n[ \"$TYK_SRC $TYK_VERSION $TYK_BIN$OUT\" = 'source v5.8.0 ' ] || exit 3\nprintf '%%s' '%s'\nexit %d\n", test.output, test.code)
			write(t, filepath.Join(root, "plugins", "build.sh"), script)
			built, loaded, err := buildPlugin(root, "v5.8.0", "source")
			if built != test.built || loaded != test.loaded {
				t.Errorf("built %v, loaded %v; want %v, %v", built, loaded, test.built, test.loaded)
			}
			if (err == nil) != (test.code == 0) || errors.Is(err, errUntried) != test.untried {
				t.Errorf("error %v; want untried: %v", err, test.untried)
			}
		})
	}
}

func TestAssembleTakesTheReleasesOwn(t *testing.T) {
	root := t.TempDir()
	bin, gateway, source, programs := filepath.Join(root, "bin"), filepath.Join(root, "gateway"), filepath.Join(root, "source"), filepath.Join(root, "programs")
	for _, file := range []string{
		filepath.Join(bin, "tyk"), filepath.Join(bin, "meshpass"), filepath.Join(bin, "plugins", "identity.so"),
		filepath.Join(gateway, "tyk"), filepath.Join(gateway, "plugins", "identity.so"), filepath.Join(source, "templates", "error.json"),
	} {
		write(t, file, file)
	}
	if err := os.Mkdir(programs, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := linkPrograms(programs, bin, gateway, source); err != nil {
		t.Fatal(err)
	}
	for file, from := range map[string]string{
		"tyk": gateway, "meshpass": bin, filepath.Join("plugins", "identity.so"): gateway,
	} {
		got, err := os.ReadFile(filepath.Join(programs, file))
		if err != nil || string(got) != filepath.Join(from, file) {
			t.Errorf("%s: got %s (%v), want the one in %s", file, got, err, from)
		}
	}
	if _, err := os.Stat(filepath.Join(programs, "tyk-templates", "error.json")); err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}
