// Package meshpass_test checks rules of the whole repository: the root module's dependencies, the pages, and the style.
package meshpass_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A service that only passes the token on requires this module, and must not inherit the hundreds of modules
// of a gateway. Only the plugin's module requires Tyk.
func TestNoTykInTheModuleGraph(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range strings.Split(string(out), "\n") {
		if strings.Contains(strings.ToLower(module), "tyk") {
			t.Errorf("the root module requires %s", module)
		}
	}
}

// An image without a zoneinfo folder decides by time zones like any other machine, because every program that
// evaluates policies contains them.
func TestTimeZonesAreEmbedded(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./shared/policy").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Fields(string(out)), "time/tzdata") {
		t.Error("shared/policy is built without time/tzdata")
	}
}
