package main

import (
	"os"
	"testing"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/metricsdoc"
)

// The page lists the plugin's metrics as they are served.
func TestThePageListsAllMetrics(t *testing.T) {
	p := startRig(t)
	p.watch.meter.Mapped.Follow([]settings.MappedClaim{{Mapping: "partners", Claim: "tenant", From: "tenant"}})
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	if changes := metricsdoc.Compare(string(page), "### The plugin", string(p.watch.metricsText())); changes != "" {
		t.Errorf("docs/operations.md, The plugin:\n%s", changes)
	}
}
