package fidelity_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// logEntry is a line of Envoy's access log, in the format that our manifest
// gives Istio. What is not known is null, and "" here.
type logEntry struct {
	Path       string
	Status     int    `json:"response_code"`
	Flags      string `json:"response_flags"`
	Details    string `json:"response_code_details"`
	DecisionID string `json:"decision_id"`
	Reason     string
	Policy     string
	Rule       string
	Txn        string
	Sub        string
}

// logged returns the entry of each path, once all are written: Envoy flushes
// its log each second.
func (r *rig) logged(t testing.TB, paths ...string) map[string]logEntry {
	t.Helper()
	found := map[string]logEntry{}
	eventually(t, "the access log has them", func() bool {
		for _, entry := range r.accessLog(t) {
			found[entry.Path] = entry
		}
		return !slices.ContainsFunc(paths, func(p string) bool { return found[p] == logEntry{} })
	})
	return found
}

func (r *rig) accessLog(t testing.TB) []logEntry {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, "orders.access.log"))
	must(t, err)
	var all []logEntry
	for line := range bytes.Lines(data) {
		var entry logEntry
		if bytes.HasSuffix(line, []byte("\n")) { // the last one may still be written
			must(t, json.Unmarshal(line, &entry))
			all = append(all, entry)
		}
	}
	return all
}
