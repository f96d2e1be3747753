//go:build lintproof

package netns

import "testing"

// TestLintInterception: with the flags that the injector makes of a pod's annotations, anyone reaches a guarded program in plaintext, without a
// token and without a Check, as `meshpass lint` finds.
func TestLintInterception(t *testing.T) {
	requireTools(t)
	for _, row := range []struct {
		name   string
		flags  []string
		status int
	}{
		{"no annotation", nil, connectionClosed},
		{"port_not_intercepted, excludeInboundPorts", []string{"-d", "15090,15021,15020,15000,8080"}, 200},
		{"port_not_intercepted, excludeInterfaces", []string{"-c", "eth0"}, 200},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := startMesh(t, map[string][]string{"inventory": row.flags})
			const id = "plaintext"
			if got := sendRequest(t, dialHere, m.pods["inventory"].address+":8080", "/tenants/acme/items/1001", "", id); got != row.status {
				t.Errorf("got status %d, want %d", got, row.status)
			}
			if records := m.readRecords(t, id); len(records) > 0 {
				t.Errorf("a Check has a record: %v", records)
			}
		})
	}
}
