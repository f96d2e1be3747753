// Package meshpass_test guards the root module's dependencies.
package meshpass_test

import (
	"os/exec"
	"strings"
	"testing"
)

// A service that only passes the token on requires this module, and must not inherit a gateway's
// hundreds of modules with it. The plugin's module requires Tyk; nothing here may.
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
