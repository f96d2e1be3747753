package kind

import (
	"context"
	"path/filepath"
	"strings"
)

// otherTopologies returns the topologies except the tour's, in the order of the run.
func otherTopologies() []topology {
	return []topology{
		{name: "ingress", cases: []string{"ingress-gateway", "ingress"}, gateways: []gateway{eastOutside},
			authorizers: sharedAuthorizers, entry: "istio-ingressgateway.istio-system"},
		{name: "gateway-api", cases: []string{"gateway-api", "ingress"}, gateways: []gateway{eastOutside},
			authorizers: sharedAuthorizers, entry: "tyk-istio.istio-ingress", prepare: (*Environment).installGatewayAPI},
		{name: "two-clusters", cases: []string{"two-clusters"}, gateways: []gateway{east, west},
			authorizers: sharedAuthorizers, prepare: (*Environment).secondCluster},
		{name: "beside", cases: []string{"tour", "hostile", "sidecar"}, gateways: []gateway{east},
			authorizers: source{"shop", "meshpass.dev/guarded=true", "meshpass"}},
		{name: "production", overlay: "production", cases: []string{"tour", "hostile"}, gateways: []gateway{east},
			authorizers: sharedAuthorizers},
	}
}

// eastOutside is east with the plugin configuration of the ingress topologies.
var eastOutside = gateway{name: east.name, namespace: east.namespace, home: east.home, plugin: "e2e/kind/topologies/ingress/plugin.yaml", jwks: east.jwks}

// playTopologies applies one topology after the other and plays its cases, and then applies the tour's again.
func (e *Environment) playTopologies(ctx context.Context) error {
	var t tally
	for _, next := range otherTopologies() {
		if err := e.playTopology(ctx, &t, next); err != nil {
			return err
		}
	}
	if e.current.name != "" {
		if err := e.applyTopology(ctx, tour); err != nil {
			return err
		}
	}
	return e.finishStep(t)
}

func (e *Environment) playTopology(ctx context.Context, t *tally, shape topology) error {
	tests, err := e.loadCases(shape)
	if err != nil {
		return err
	}
	if len(e.selectTests(tests)) == 0 {
		t.skipped += len(tests)
		return nil
	}
	e.out.printLine("   topology %s", shape.name)
	if err := e.applyTopology(ctx, shape); err != nil {
		return err
	}
	if err := e.playTests(ctx, t, tests); err != nil {
		return err
	}
	return e.removeTopology(ctx)
}

// applyTopology changes the cluster to a topology.
func (e *Environment) applyTopology(ctx context.Context, t topology) error {
	e.current = t
	clear(e.credentials) // API keys are lost with their Redis
	shared, err := t.loadShared()
	if err != nil {
		return err
	}
	if t.prepare != nil {
		if err := t.prepare(e, ctx); err != nil {
			return err
		}
	}
	if err := e.runIstioctlInstall(ctx, e.installFiles(shared)...); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{e.applyEntrance, e.applyKeys, e.applyDemo, e.applyOverlay, e.restartAll} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// restartAll restarts every Tyk, with or without its sidecar, and the authorizers, which may have other documents in the same
// ConfigMap: the kubelet writes these into a running pod only a minute later. It waits for all pods that the overlay has
// changed, and for the Service of each Tyk.
func (e *Environment) restartAll(ctx context.Context) error {
	if err := e.restartDeployments(ctx, "meshpass"); err != nil {
		return err
	}
	namespaces := []string{"meshpass", "shop"}
	for _, g := range e.current.gateways {
		namespaces = append(namespaces, g.namespace)
		if err := e.restartDeployments(ctx, g.namespace); err != nil {
			return err
		}
	}
	if err := e.awaitRollouts(ctx, namespaces...); err != nil {
		return err
	}
	return e.awaitGateways(ctx)
}

// installGatewayAPI installs the definitions of Kubernetes' Gateway API, of the release that the pinned Istio is
// built with.
func (e *Environment) installGatewayAPI(ctx context.Context) error {
	dir, err := e.runTool(ctx, nil, "go", "-C", filepath.Join("e2e", "istiod"), "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api")
	if err != nil {
		return err
	}
	_, err = e.kubectl(ctx, "apply", "--server-side", "-k", filepath.Join(strings.TrimSpace(string(dir)), "config", "crd"))
	return err
}
