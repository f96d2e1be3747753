// Package dump holds the configuration that Istio's control plane sends to each Envoy of
// the local mesh, as `istiod dump` writes it for subnet.Template. A test compares it with
// the live control plane, and make dump updates it. It is a separate package because the tests
// of packages envoy, fidelity and localmesh read the same files.
package dump

import "embed"

// Files has one <workload>.json per workload.
//
//go:embed *.json
var Files embed.FS
