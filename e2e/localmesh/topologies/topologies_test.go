package topologies_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/e2e/localmesh/topologies"
)

func TestTheTourIsTheDefault(t *testing.T) {
	got, err := topologies.Load("")
	if err != nil {
		t.Fatal(err)
	}
	want := topologies.Topology{
		Authorizers: []topologies.Authorizer{{Name: "meshpass"}},
		Gateways:    []topologies.Gateway{{Name: "tyk-gateway"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryTopologyLoads(t *testing.T) {
	names := topologies.Names()
	if len(names) == 0 {
		t.Error("no topologies")
	}
	for _, name := range names {
		if _, err := topologies.Load(name); err != nil {
			t.Error(err)
		}
	}
}

func TestAnUnknownTopologyIsRefused(t *testing.T) {
	for _, name := range []string{"besides", "..", "beside/cluster"} {
		if _, err := topologies.Load(name); !errors.Is(err, topologies.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
