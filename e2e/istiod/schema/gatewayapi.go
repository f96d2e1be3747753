package schema

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"istio.io/istio/pkg/config/crd"
)

const (
	// gatewayAPI is the release that Istio 1.31 is made for.
	gatewayAPI   = "sigs.k8s.io/gateway-api@v1.6.0"
	gatewayGroup = "gateway.networking.k8s.io"
)

// gatewayKinds knows what `kubectl apply -f standard-install.yaml` of Gateway
// API installs.
func gatewayKinds(ctx context.Context) (*crd.Validator, error) {
	dir, err := fetch(ctx, gatewayAPI)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "config", "crd", "standard", gatewayGroup+"_*.yaml"))
	if err != nil {
		return nil, err
	}
	// One of them is a policy that guards upgrades, and defines nothing.
	files = slices.DeleteFunc(files, func(f string) bool { return strings.Contains(f, "_vap_") })
	return crd.NewValidatorFromFilesWithOptions(files, crd.WithoutCRDValidation())
}
