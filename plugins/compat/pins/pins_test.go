package pins

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDoctoredModules shows that the comparison can fail, in each of its ways.
func TestDoctoredModules(t *testing.T) {
	released := map[string]Module{
		"example.com/same":     {Path: "example.com/same", Version: "v1.0.0"},
		"example.com/raised":   {Path: "example.com/raised", Version: "v1.0.0"},
		"example.com/replaced": {Path: "example.com/replaced", Version: "v1.0.0", Replace: &Module{Path: "example.com/fork", Version: "v1.0.1"}},
	}
	plugin := []Module{
		{Path: "example.com/same", Version: "v1.0.0"},
		{Path: "example.com/raised", Version: "v1.1.0"},
		{Path: "example.com/replaced", Version: "v1.0.0"},
		{Path: "example.com/only-ours", Version: "v1.0.0"},
		{Path: "example.com/smuggled", Version: "v1.0.0"},
		{Path: Tyk, Version: "v1.9.2"},
		{Path: "github.com/meshpass/meshpass", Version: "v0.0.0", Replace: &Module{Path: "../"}},
		{Path: "github.com/meshpass/meshpass/plugins", Main: true},
	}
	want := []string{
		"example.com/raised: the plugin links v1.1.0, Tyk's go.mod says v1.0.0",
		"example.com/replaced: the plugin links v1.0.0, Tyk's go.mod says v1.0.0 => example.com/fork v1.0.1",
		"example.com/smuggled: plugin and gateway link v1.0.0, Tyk's go.mod does not list it",
	}
	got := FindDifferences(plugin, released, []Module{{Path: "example.com/smuggled"}, {Path: Tyk}})
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestReleasedKeepsOnlyReplacementsInForce(t *testing.T) {
	dir := t.TempDir()
	goMod := `module example.com/gateway

require (
	example.com/inert v1.1.0
	example.com/one v1.0.0
	example.com/every v1.0.0
)

replace example.com/inert v1.0.0 => example.com/fork v1.0.0

replace example.com/one v1.0.0 => example.com/fork v1.0.1

replace example.com/every => example.com/fork v1.0.2

replace example.com/absent => example.com/fork v1.0.3
`
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(goMod), 0o600); err != nil {
		t.Fatal(err)
	}
	modules, err := ReleasedModules(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"example.com/inert": "v1.1.0",
		"example.com/one":   "v1.0.0 => example.com/fork v1.0.1",
		"example.com/every": "v1.0.0 => example.com/fork v1.0.2",
	}
	if len(modules) != len(want) {
		t.Errorf("got %d modules, want %d", len(modules), len(want))
	}
	for path, version := range want {
		if got := modules[path].String(); got != version {
			t.Errorf("%s: got %s, want %s", path, got, version)
		}
	}
}

// An empty or short list agrees with every go.mod.
func TestLinkedRefusesAListThatCannotBeRight(t *testing.T) {
	_, err := LinkedModules(".", ".")
	if err == nil || !strings.Contains(err.Error(), "cannot be right") {
		t.Errorf("got %v, want a refusal", err)
	}
}
