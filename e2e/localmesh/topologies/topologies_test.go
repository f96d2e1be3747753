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
	names := topologies.ListNames()
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

func TestATopologyIsLaidOverAnother(t *testing.T) {
	below, err := topologies.Load("ingress")
	if err != nil {
		t.Fatal(err)
	}
	got, err := topologies.Load("gateway-api")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ingress", "gateway-api"}, got.Layers); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(below.Gateways, got.Gateways); diff != "" {
		t.Errorf("what it does not mention is the other's (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"gateway-api"}, got.Istio); diff != "" {
		t.Errorf("what it mentions is its own (-want +got):\n%s", diff)
	}
	for folder, layers := range map[string]int{"cluster": 2, "config": 1, "none": 0} {
		files, err := got.Files(folder)
		if err != nil || len(files) != layers {
			t.Errorf("%s: %d layers, want %d (%v)", folder, len(files), layers, err)
		}
	}
}
