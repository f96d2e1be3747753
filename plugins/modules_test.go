package plugins

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const tyk = "github.com/TykTechnologies/tyk"

// module is how `go list` and `go mod edit` write one.
type module struct {
	Path, Version string
	Main          bool
	Replace       *module
}

// String names version and replacement: both must agree.
func (m module) String() string {
	if m.Replace == nil {
		return m.Version
	}
	return fmt.Sprintf("%s => %s %s", m.Version, m.Replace.Path, m.Replace.Version)
}

// TestModulesAreTyks is the readable form of "plugin was built with a different
// version of package": Go loads a plugin only if every package that it shares
// with the gateway is the same in both. The yardstick is Tyk's own go.mod; the
// build list of this module would agree with itself whatever it says.
func TestModulesAreTyks(t *testing.T) {
	theirs := tyksModules(t)
	for _, d := range differences(linked(t, "./identity"), theirs, linked(t, tyk)) {
		t.Error(d)
	}
}

// TestDoctoredModules shows that the comparison can fail, in each of its ways.
func TestDoctoredModules(t *testing.T) {
	theirs := map[string]module{
		"example.com/same":     {Path: "example.com/same", Version: "v1.0.0"},
		"example.com/raised":   {Path: "example.com/raised", Version: "v1.0.0"},
		"example.com/replaced": {Path: "example.com/replaced", Version: "v1.0.0", Replace: &module{Path: "example.com/fork", Version: "v1.0.1"}},
	}
	ours := []module{
		{Path: "example.com/same", Version: "v1.0.0"},
		{Path: "example.com/raised", Version: "v1.1.0"},
		{Path: "example.com/replaced", Version: "v1.0.0"},
		{Path: "example.com/only-ours", Version: "v1.0.0"},
		{Path: "example.com/smuggled", Version: "v1.0.0"},
		{Path: tyk, Version: "v1.9.2"},
		{Path: "github.com/meshpass/meshpass/plugins", Main: true},
	}
	want := []string{
		"example.com/raised: the plugin links v1.1.0, Tyk's go.mod says v1.0.0",
		"example.com/replaced: the plugin links v1.0.0, Tyk's go.mod says v1.0.0 => example.com/fork v1.0.1",
		"example.com/smuggled: plugin and gateway link v1.0.0, Tyk's go.mod does not list it",
	}
	got := differences(ours, theirs, []module{{Path: "example.com/smuggled"}, {Path: tyk}})
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// differences compares what the plugin links with Tyk's go.mod, which lists
// every module that a gateway can link, indirect ones too (Go 1.17 and later). A
// module that is not there is the plugin's alone and free (the JOSE library is
// one), unless our requirements have brought it into the gateway that we build
// as well: that gateway is then not the official one.
func differences(plugin []module, theirs map[string]module, gateway []module) []string {
	var found []string
	for _, m := range plugin {
		if m.Main || m.Path == tyk || m.Path == "github.com/meshpass/meshpass" {
			continue
		}
		their, listed := theirs[m.Path]
		inGateway := slices.ContainsFunc(gateway, func(g module) bool { return g.Path == m.Path })
		switch {
		case listed && m.String() != their.String():
			found = append(found, fmt.Sprintf("%s: the plugin links %s, Tyk's go.mod says %s", m.Path, m, their))
		case !listed && inGateway:
			found = append(found, fmt.Sprintf("%s: plugin and gateway link %s, Tyk's go.mod does not list it", m.Path, m))
		}
	}
	return found
}

// linked gives the modules of all packages that a build of these holds.
func linked(t *testing.T, packages ...string) []module {
	t.Helper()
	format := `{{with .Module}}{"Path":"{{.Path}}","Version":"{{.Version}}","Main":{{.Main}}{{with .Replace}},"Replace":{"Path":"{{.Path}}","Version":"{{.Version}}"}{{end}}}{{end}}`
	seen := map[string]module{}
	for _, line := range strings.Fields(run(t, append([]string{"list", "-deps", "-tags", "goplugin", "-f", format}, packages...)...)) {
		var m module
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		seen[m.Path] = m
	}
	modules := make([]module, 0, len(seen))
	for _, m := range seen {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	if len(modules) < 10 {
		t.Fatalf("%v: only %d modules: the list cannot be right", packages, len(modules))
	}
	return modules
}

// tyksModules reads Tyk's go.mod as it was released, with its replacements.
func tyksModules(t *testing.T) map[string]module {
	t.Helper()
	dir := strings.TrimSpace(run(t, "list", "-m", "-f", "{{.Dir}}", tyk))
	var file struct {
		Require []module
		Replace []struct{ Old, New module }
	}
	if err := json.Unmarshal([]byte(run(t, "mod", "edit", "-json", filepath.Join(dir, "go.mod"))), &file); err != nil {
		t.Fatal(err)
	}
	modules := map[string]module{}
	for _, m := range file.Require {
		modules[m.Path] = m
	}
	for _, r := range file.Replace {
		// A replacement of one version is inert while another one is required.
		if m, ok := modules[r.Old.Path]; ok && (r.Old.Version == "" || r.Old.Version == m.Version) {
			m.Replace = &r.New
			modules[r.Old.Path] = m
		}
	}
	return modules
}

func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}
