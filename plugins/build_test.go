package plugins

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const tykGoMod = "module github.com/TykTechnologies/tyk\n\ngo 1.25.0\n"

// TestBuildScript runs the script with a go and a gateway that do nothing. It checks the names of the files
// that are built, and the errors. In an environment, ROOT is the temporary repository.
func TestBuildScript(t *testing.T) {
	const gateways = "bin/gateways/v5.14.0/"
	tests := map[string]struct {
		env   []string
		args  []string
		code  int
		say   string   // on standard error
		files []string // in bin and out, afterwards
	}{
		"the module's gateway": {
			files: []string{"bin/plugins/identity_v5.8.1_linux_amd64.so"},
		},
		"a checkout": {
			env:   []string{"TYK_SRC=ROOT/checkout"},
			files: []string{gateways + "plugins/identity_v5.14.0_linux_amd64.so", gateways + "tyk"},
		},
		"a release candidate loses its suffix, as the gateway does": {
			env:   []string{"TYK_SRC=ROOT/archive", "TYK_VERSION=v5.15.0-rc7", "OUT=ROOT/out"},
			files: []string{"bin/gateways/v5.15.0-rc7/tyk", "out/identity_v5.15.0_linux_amd64.so"},
		},
		"a gateway of one's own": {
			env:   []string{"TYK_SRC=ROOT/archive", "TYK_VERSION=v5.14.0", "TYK_BIN=ROOT/tyk", "OUT=ROOT/out"},
			files: []string{"out/identity_v5.14.0_linux_amd64.so"},
		},
		"arguments":            {args: []string{"v5.14.0"}, code: 2, say: "takes no arguments"},
		"no gateway of module": {env: []string{"TYK_BIN=ROOT/none"}, code: 2, say: "none does not exist: run make plugin"},
		"another release without its source": {
			env: []string{"TYK_VERSION=v5.8.0"}, code: 2, say: "bin/tyk is v5.8.1: for v5.8.0, set TYK_SRC to its source",
		},
		"no such folder":      {env: []string{"TYK_SRC=ROOT/none"}, code: 2, say: "/none: no such folder"},
		"not Tyk":             {env: []string{"TYK_SRC=ROOT"}, code: 2, say: "not the source of Tyk's gateway"},
		"no tag":              {env: []string{"TYK_SRC=ROOT/archive"}, code: 2, say: "set TYK_VERSION=vX.Y.Z"},
		"commits after a tag": {env: []string{"TYK_SRC=ROOT/later"}, code: 2, say: "set TYK_VERSION=vX.Y.Z"},
		"a tag of a repository around it": {
			env: []string{"TYK_SRC=ROOT/checkout/archive"}, code: 2, say: "set TYK_VERSION=vX.Y.Z",
		},
		"a version without v":    {env: []string{"TYK_SRC=ROOT/archive", "TYK_VERSION=5.14.0"}, code: 2, say: "version 5.14.0: write it like v5.8.1"},
		"a version with a path":  {env: []string{"TYK_SRC=ROOT/archive", "TYK_VERSION=v5.14.0/../x"}, code: 2, say: "write it like v5.8.1"},
		"TYK_BIN is not there":   {env: []string{"TYK_SRC=ROOT/checkout", "TYK_BIN=ROOT/none"}, code: 2, say: "none: no such program"},
		"TYK_BIN is a folder":    {env: []string{"TYK_SRC=ROOT/checkout", "TYK_BIN=ROOT/archive"}, code: 2, say: "archive: no such program"},
		"another architecture":   {env: []string{"TYK_SRC=ROOT/checkout", "FAKE_ARCH=arm64"}, code: 2, say: "a plugin for linux_arm64 cannot be loaded here"},
		"no C compiler":          {env: []string{"FAKE_CC=no-such-compiler"}, code: 2, say: "no C compiler (no-such-compiler)"},
		"OUT cannot be made":     {env: []string{"TYK_SRC=ROOT/checkout", "TYK_BIN=ROOT/tyk", "OUT=ROOT/go.mod/out"}, code: 2, say: "OUT=ROOT/go.mod/out cannot be written to"},
		"Go too old":             {env: []string{"TYK_SRC=ROOT/checkout", "FAKE_WORK=1"}, code: 2, say: "no workspace with this source"},
		"another Go":             {env: []string{"TYK_SRC=ROOT/checkout", "TYK_BIN=ROOT/tyk", "FAKE_GO=go1.98.3"}, code: 1, say: "was built with go1.98.3, this Go is go1.99.1"},
		"no plugin support":      {env: []string{"TYK_SRC=ROOT/checkout", "TYK_BIN=ROOT/tyk", "FAKE_SETTINGS=-trimpath=true"}, code: 1, say: "built without the tag goplugin"},
		"not trimmed":            {env: []string{"TYK_SRC=ROOT/checkout", "TYK_BIN=ROOT/tyk", "FAKE_SETTINGS=-tags=ee,goplugin"}, code: 1, say: "built without -trimpath"},
		"modules differ":         {env: []string{"TYK_SRC=ROOT/checkout", "FAKE_MODULES=1"}, code: 1, say: "v5.14.0 cannot load this plugin, see above"},
		"modules are not listed": {env: []string{"TYK_SRC=ROOT/checkout", "FAKE_MODULES=2"}, code: 2, say: "the modules of v5.14.0 cannot be listed"},
		"a hook does not load": {
			env: []string{"TYK_SRC=ROOT/checkout", "FAKE_LOAD=SignIdentity"}, code: 1, say: "does not load the plugin, see above",
			files: []string{gateways + "tyk"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root := fakeRoot(t)
			fakes := filepath.Join(root, "fakebin")
			env := append([]string{"PATH=" + fakes + ":" + os.Getenv("PATH")}, test.env...)
			code, _, stderr := runScript(t, root, env, test.args...)
			say := strings.ReplaceAll(test.say, "ROOT", root)
			if code != test.code || !strings.Contains(stderr, say) {
				t.Errorf("exit %d and\n%s\nwant %d and %q", code, stderr, test.code, say)
			}
			want := append([]string{"bin/tyk"}, test.files...)
			if got := filesIn(t, root, "bin", "out"); !slices.Equal(got, sorted(want)) {
				t.Errorf("got files %q, want %q", got, want)
			}
		})
	}
}

// The table of releases reads the two lines of standard output.
func TestBuildScriptSaysBuiltAndLoaded(t *testing.T) {
	root := fakeRoot(t)
	env := []string{"PATH=" + filepath.Join(root, "fakebin") + ":" + os.Getenv("PATH"), "OUT=ROOT/out"}
	_, stdout, _ := runScript(t, root, env)
	want := "built identity_v5.8.1_linux_amd64.so with go1.99.1\nloaded ROOT/out/identity_v5.8.1_linux_amd64.so by ROOT/bin/tyk\n"
	if want = strings.ReplaceAll(want, "ROOT", root); stdout != want {
		t.Errorf("got\n%swant\n%s", stdout, want)
	}
}

// TestAReleaseBelowOurPinsIsRefused changes the go.mod of a real release to a yaml.v3 that is older than
// ours. Nothing is built, and nothing is written into the checkout.
func TestAReleaseBelowOurPinsIsRefused(t *testing.T) {
	checkout := filepath.Join(t.TempDir(), "tyk")
	if err := os.CopyFS(checkout, os.DirFS(tykSource(t))); err != nil {
		t.Fatal(err)
	}
	goMod := filepath.Join(checkout, "go.mod")
	const old = "v3.0.0-20210107192922-496545a6307b"
	if out, err := exec.Command("go", "mod", "edit", "-require=gopkg.in/yaml.v3@"+old, goMod).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	before := contents(t, checkout)
	env := []string{"TYK_SRC=" + checkout, "TYK_VERSION=v5.7.9", "OUT=" + filepath.Join(t.TempDir(), "out")}
	code, stdout, stderr := runScript(t, "..", env)
	want := "gopkg.in/yaml.v3: the plugin links v3.0.1, Tyk's go.mod says " + old
	if code != 1 || stdout != "" || !strings.Contains(stderr, want) {
		t.Errorf("exit %d, output %q and\n%s\nwant exit 1 and %q", code, stdout, stderr, want)
	}
	if !slices.Equal(contents(t, checkout), before) {
		t.Error("the checkout was changed")
	}
}
