// Package dump is what Istio's control plane sends each Envoy of the local
// mesh, written by `istiod dump` for subnet.Template. A test compares it with
// the live control plane; make dump renews it.
package dump

import "embed"

// Files has one <workload>.json per workload.
//
//go:embed *.json
var Files embed.FS
