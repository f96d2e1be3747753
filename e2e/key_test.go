package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

// A gateway whose plugin cannot read its key answers for itself: the request never goes on without
// a token, and is never answered with an empty 200, which is what Tyk makes of a plugin's panic.
func TestPluginWithoutItsKeyRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(keyFile string) error
	}{
		{"missing", os.Remove},
		{"empty", func(file string) error { return os.Truncate(file, 0) }},
		{"half-written", func(file string) error { return os.Truncate(file, 100) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			mesh := start(t, localmesh.Options{Prepare: func(dir string) error {
				keys, err := filepath.Glob(filepath.Join(dir, "keys", "*.pem"))
				if err != nil {
					return err
				}
				return test.spoil(keys[0])
			}})
			play(t, mesh, scenarios.Scenario{Name: "no-key", Steps: []scenarios.Step{
				refusedAtTheEdge("/jwt/tenants/acme/orders/1001", "alice"),
				refusedAtTheEdge("/key/tenants/acme/orders/1001", "partner"),
			}})
		})
	}
}

func refusedAtTheEdge(path, as string) scenarios.Step {
	return scenarios.Step{
		Times: 1,
		Send:  scenarios.Send{To: "gateway", Method: "GET", Path: path, As: as},
		Expect: scenarios.Expect{
			Status: 503,
			By:     "plugin",
			Body:   map[string]string{"reason": "no_signing_key"},
			Audit:  []map[string]string{{"kind": "edge", "decision": "deny", "reason": "no_signing_key"}},
		},
	}
}
