package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	quieten()
	os.Exit(m.Run())
}

func TestRunRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"":                                    "usage: istiod serve|dump|validate",
		"observe":                             `unknown command "observe"`,
		"serve --port 1":                      "flag provided but not defined: -port",
		"serve --mesh m --dir d":              "--listen is required",
		"dump --mesh m --dir d":               "--nodes is required\n--out is required",
		"serve --listen a --mesh m --dir d x": `unexpected argument "x"`,
		"serve --listen a --mesh none --dir ../../manifests/istio": "none: no such file",
		"dump --mesh m --dir d --nodes n --out":                    "flag needs an argument",
		"dump --mesh m --dir d --nodes n --out o":                  "n: no such file",
	} {
		var stderr strings.Builder
		if code := run(strings.Fields(args), &stderr); code != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("istiod %s: exit code %d, %q; want 2 and %q", args, code, stderr.String(), want)
		}
	}
}

func TestHelpIsFine(t *testing.T) {
	if code := run([]string{"serve", "-h"}, io.Discard); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
