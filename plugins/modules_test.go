package plugins

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/plugins/compat/pins"
)

// TestModulesAreTyks is the readable form of "plugin was built with a different version of package"
// (package pins), for the gateway that this module builds. It compares with Tyk's own go.mod; the build list
// of this module would always agree with itself.
func TestModulesAreTyks(t *testing.T) {
	released, err := pins.ReleasedModules(tykSource(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range pins.FindDifferences(linked(t, "./identity"), released, linked(t, pins.Tyk)) {
		t.Error(d)
	}
}

func linked(t *testing.T, packages ...string) []pins.Module {
	t.Helper()
	modules, err := pins.LinkedModules("", packages...)
	if err != nil {
		t.Fatal(err)
	}
	return modules
}

// tykSource is the folder of the gateway that this module requires.
func tykSource(t *testing.T) string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", pins.Tyk).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(dir))
}
