package kind

import (
	"context"

	"github.com/meshpass/meshpass/e2e/localmesh/topologies"
)

// topology is one of e2e/localmesh/topologies on a cluster. The folder of manifests/istio, the documents and
// Tyk's targets are the same. The differences from manifests/overlays/dev are an overlay in the folder of its
// name, whose install.yaml is an additional input of istioctl.
type topology struct {
	name     string // empty: the tour
	overlay  string // of manifests/overlays, with Tyk in the mesh as in the tour; empty: its own
	cases    []string
	entry    string // NAME.NAMESPACE of the Service of the ingress gateway; empty: no ingress gateway
	gateways []gateway
	// authorizers are the shared ones, or those of the guarded pods.
	authorizers source
	prepare     func(*Environment, context.Context) error // nil: no preparation
}

var tour = topology{overlay: "dev", cases: []string{"tour", "hostile", "cluster", "sidecar"}, gateways: []gateway{east}, authorizers: sharedAuthorizers}

// loadShared returns the topology as the local mesh describes it.
func (t topology) loadShared() (topologies.Topology, error) {
	if t.overlay != "" {
		return topologies.Load("")
	}
	return topologies.Load(t.name)
}
