package tykapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Only the OpenAPI form contains tools, resources and prompts, and this release of Tyk has no types for
// them.
func TestMCPToolsThatTouchTheToken(t *testing.T) {
	for text, want := range map[string]string{
		`{"mcpTools": {"add": {"postPlugins": [{"enabled": true, "functionName": "F", "path": "p.so"}]}}}`:                          endpointPlugins,
		`{"mcpTools": {"add": {"postPlugins": [{"enabled": false, "functionName": "F", "path": "p.so"}]}}}`:                         "",
		`{"global": {"postPlugins": [{"enabled": true, "functionName": "GuardUpstream", "path": "p.so"}]}}`:                         "",
		`{"mcpResources": {"file": {"virtualEndpoint": {"enabled": true, "functionName": "f"}}}}`:                                   virtualEndpoints,
		`{"mcpPrompts": {"ask": {"transformRequestHeaders": {"enabled": true, "remove": ["Txn-Token"]}}}}`:                          "our headers (remove)",
		`{"mcpTools": {"add": {"transformRequestHeaders": {"enabled": true, "add": [{"name": "X-Meshpass-User", "value": "r"}]}}}}`: "our headers (name)",
		`{"server": {"eventHandlers": [{"enabled": true, "trigger": "QuotaExceeded", "type": "webhook"}]}}`:                         eventHandlers,
		`{"mcpTools": {"add": {"transformRequestHeaders": {"enabled": true, "remove": ["Authorization"]}}}}`:                        "",
	} {
		var extension any
		if err := json.Unmarshal([]byte(text), &extension); err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		findOwnHeaders(extension, "", found)
		if got := strings.Join(slices.Sorted(maps.Keys(found)), "; "); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: found %q, want %q", text, got, want)
		}
	}
}
