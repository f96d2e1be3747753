package e2e_test

import (
	"cmp"
	"slices"
	"testing"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/localmesh/topologies"
)

// casesOf lists the folders with the cases of each topology; the empty name is the tour's.
var casesOf = map[string][]string{
	"":             {"sidecar"},
	"beside":       append(slices.Clone(tour), "sidecar"), // the authorizer's place changes no outcome
	"egress":       {"tour", "egress"},                    // what stays in the mesh is as ever
	"gateway-api":  {"gateway-api", "ingress"},
	"ingress":      {"ingress-gateway", "ingress"},
	"injected":     {"injected"},
	"migration":    {"migration"},
	"one-issuer":   {"one-issuer"},
	"replicas":     {"tour"}, // nobody can tell which one decided
	"tcp":          {"tcp"},
	"two-clusters": {"two-clusters"},
	"unannotated":  {"unannotated"},
	"unvalidated":  {"unvalidated"},
	"waypoint":     {"waypoint"},
}

// Each topology is started once, and all its cases are played.
func TestTopologies(t *testing.T) {
	for _, topology := range append(topologies.ListNames(), "") {
		t.Run(cmp.Or(topology, "sidecar"), func(t *testing.T) {
			if len(casesOf[topology]) == 0 {
				t.Fatal("a topology without cases: name its folders in casesOf")
			}
			playAll(t, start(t, localmesh.Options{Topology: topology, Istiod: true}), casesOf[topology]...)
		})
	}
}
