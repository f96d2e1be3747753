package main

import (
	"context"
	"os"
	"testing"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/metricsdoc"
)

// The page lists the plugin's metrics as they are served.
func TestThePageListsAllMetrics(t *testing.T) {
	p := startRig(t)
	writeChainKey(t, p, 1)
	replaceIn(t, p, "audit: {output: stderr}", "audit: {output: stderr, chain: {key: chain.pem}}")
	p.checkOnce()
	p.issueToken(t)
	requireNoError(t, p.audit.Log.Flush(context.Background()))
	p.watch.meter.Mapped.Follow([]settings.MappedClaim{{Mapping: "partners", Claim: "tenant", From: "tenant"}})
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	if changes := metricsdoc.Compare(string(page), "### The plugin", string(p.watch.metricsText())); changes != "" {
		t.Errorf("docs/operations.md, The plugin:\n%s", changes)
	}
}
