package kind

import (
	"context"
	"path/filepath"
	"strings"
)

// shapes are the topologies other than the tour's, in the order of the cluster's changes.
func shapes() []topology {
	return []topology{
		{name: "ingress", cases: []string{"ingress-gateway", "ingress"}, gateways: []gateway{eastOutside},
			authorizers: sharedAuthorizers, entry: "istio-ingressgateway.istio-system"},
		{name: "gateway-api", cases: []string{"gateway-api", "ingress"}, gateways: []gateway{eastOutside},
			authorizers: sharedAuthorizers, entry: "tyk-istio.istio-ingress", prepare: (*Environment).gatewayAPI},
		{name: "two-clusters", cases: []string{"two-clusters"}, gateways: []gateway{east, west},
			authorizers: sharedAuthorizers, prepare: (*Environment).secondCluster},
		{name: "beside", cases: []string{"tour", "hostile", "sidecar"}, gateways: []gateway{east},
			authorizers: source{"shop", "meshpass.dev/guarded=true", "meshpass"}},
		{name: "production", overlay: "production", cases: []string{"tour", "hostile"}, gateways: []gateway{east},
			authorizers: sharedAuthorizers},
	}
}

var eastOutside = gateway{east.name, east.namespace, east.home, "e2e/kind/topologies/ingress/plugin.yaml", east.jwks}

// topologies brings one after the other onto the cluster and plays its cases, and then the tour's again.
func (e *Environment) topologies(ctx context.Context) error {
	var t tally
	for _, shape := range shapes() {
		if err := e.playAt(ctx, &t, shape); err != nil {
			return err
		}
	}
	if e.at.name != "" {
		if err := e.shape(ctx, tour); err != nil {
			return err
		}
	}
	return t.verdict(e.out)
}

func (e *Environment) playAt(ctx context.Context, t *tally, shape topology) error {
	tests, err := e.cases(shape)
	if err != nil {
		return err
	}
	if len(e.selected(tests)) == 0 {
		t.skipped += len(tests)
		return nil
	}
	e.out.line("   topology %s", shape.name)
	if err := e.shape(ctx, shape); err != nil {
		return err
	}
	if err := e.play(ctx, t, tests); err != nil {
		return err
	}
	return e.leave(ctx)
}

// gatewayAPI installs the definitions of Kubernetes' Gateway API, of the release that the pinned Istio is
// built with.
func (e *Environment) gatewayAPI(ctx context.Context) error {
	dir, err := e.tool(ctx, nil, "go", "-C", filepath.Join("e2e", "istiod"), "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api")
	if err != nil {
		return err
	}
	_, err = e.kubectl(ctx, "apply", "--server-side", "-k", filepath.Join(strings.TrimSpace(string(dir)), "config", "crd"))
	return err
}
