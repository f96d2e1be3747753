package plugins

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// TestGatewaysLoadThePlugin loads the plugins that make has built, for the oldest release and for the one
// that the tests run, in the gateways of these releases.
func TestGatewaysLoadThePlugin(t *testing.T) {
	for release, dir := range map[string]string{"v5.8.0": "../bin/gateways/v5.8.0", "v5.8.1": "../bin"} {
		plugin := filepath.Join(dir, "plugins", "identity_"+release+"_"+runtime.GOOS+"_"+runtime.GOARCH+".so")
		for _, symbol := range []string{"StripIdentity", "SignIdentity", "GuardUpstream", "Canary"} {
			t.Run(release+" "+symbol, func(t *testing.T) {
				if _, err := os.Stat(plugin); err != nil {
					t.Fatalf("%v: run make test-programs", err)
				}
				out, err := exec.Command(filepath.Join(dir, "tyk"), "plugin", "load", "-f", plugin, "-s", symbol).CombinedOutput()
				if err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}
}
