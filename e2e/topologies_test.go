package e2e_test

import (
	"testing"

	"github.com/meshpass/meshpass/e2e/localmesh"
)

// Each topology is started once, and all its cases are played.
func TestTopologies(t *testing.T) {
	for topology, folders := range map[string][]string{
		"beside": tour, // where the authorizer stands changes no outcome
	} {
		t.Run(topology, func(t *testing.T) {
			playAll(t, start(t, localmesh.Options{Topology: topology}), folders...)
		})
	}
}
