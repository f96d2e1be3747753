package e2e_test

import (
	"cmp"
	"slices"
	"testing"

	"github.com/meshpass/meshpass/e2e/localmesh"
)

// Each topology is started once, and all its cases are played.
func TestTopologies(t *testing.T) {
	for topology, folders := range map[string][]string{
		"":             {"sidecar"},
		"beside":       append(slices.Clone(tour), "sidecar"), // where the authorizer stands changes no outcome
		"egress":       {"egress"},
		"gateway-api":  {"gateway-api", "ingress"},
		"injected":     {"injected"},
		"ingress":      {"ingress-gateway", "ingress"},
		"migration":    {"migration"},
		"tcp":          {"tcp"},
		"two-clusters": {"two-clusters"},
		"one-issuer":   {"one-issuer"},
		"unvalidated":  {"unvalidated"},
		"unannotated":  {"unannotated"},
		"waypoint":     {"waypoint"},
	} {
		t.Run(cmp.Or(topology, "sidecar"), func(t *testing.T) {
			playAll(t, start(t, localmesh.Options{Topology: topology, Istiod: true}), folders...)
		})
	}
}
