package kind

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"
)

//go:embed cluster.yaml
var clusterConfig []byte

const nodeBound = 4 * time.Minute

// cluster creates the cluster, or reuses the one that is there.
func (e *Environment) cluster(ctx context.Context) error {
	there, err := e.exists(ctx)
	if err != nil {
		return err
	}
	if there {
		e.out.line("   reusing the cluster %s (make e2e-kind STEP=clean removes it)", clusterName)
		if _, err := e.tool(ctx, nil, "kind", "export", "kubeconfig", "--name", clusterName, "--kubeconfig", e.path("kubeconfig")); err != nil {
			return err
		}
	} else if err := e.create(ctx); err != nil {
		return err
	}
	if err := e.addons(ctx); err != nil { // before the node is ready: it may wait for its network
		return err
	}
	if err := e.nodeReady(ctx); err != nil {
		return err
	}
	return e.addonsReady(ctx)
}

func (e *Environment) nodeReady(ctx context.Context) error {
	return e.await(ctx, "the node", nodeBound, func(ctx context.Context) (string, error) {
		ready, err := e.kubectl(ctx, "get", "nodes", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`)
		if err != nil || ready == "True" {
			return "", err
		}
		return "not ready", nil
	})
}

func (e *Environment) exists(ctx context.Context) (bool, error) {
	out, err := e.tool(ctx, nil, "kind", "get", "clusters")
	return slices.Contains(strings.Fields(string(out)), clusterName), err
}

func (e *Environment) create(ctx context.Context) error {
	args := []string{"create", "cluster", "--name", clusterName, "--kubeconfig", e.path("kubeconfig"), "--config", "-"}
	if e.NodeImage != "" {
		args = append(args, "--image", e.NodeImage)
	}
	e.out.line("   creating the cluster %s", clusterName)
	return e.slow(ctx, clusterConfig, "kind", args...)
}

// Clean removes the cluster. Logs and keys stay in the run's folder until `make clean`.
func (e *Environment) Clean(ctx context.Context) error {
	_, err := e.tool(ctx, nil, "kind", "delete", "cluster", "--name", clusterName, "--kubeconfig", e.path("kubeconfig"))
	return err
}

// small makes room on a machine with two cores, and names the images as the local daemon may have them.
var small = []string{
	"--set", "profile=minimal",
	"--set", "hub=docker.io/istio",
	"--set", "values.global.proxy.resources.requests.cpu=10m",
	"--set", "values.pilot.resources.requests.cpu=50m",
	"--set", "values.pilot.resources.requests.memory=256Mi",
}

// istio installs the pinned Istio with our extension provider in its mesh configuration. Clients of
// the demo come in through Tyk, so there is no ingress gateway.
func (e *Environment) istio(ctx context.Context) error {
	if err := e.give(ctx, "istio/pilot:"+IstioVersion, "istio/proxyv2:"+IstioVersion); err != nil {
		return err
	}
	e.out.line("   istioctl install %s", IstioVersion)
	return e.install(ctx)
}

// install installs Istio, or changes what is installed; the files come after manifests/istio/install.yaml.
func (e *Environment) install(ctx context.Context, files ...string) error {
	args := append([]string{"install", "-y", "-f", e.shipped("manifests", "istio", "install.yaml")}, small...)
	for _, file := range files {
		args = append(args, "-f", file)
	}
	if e.IstioValues != "" {
		args = append(args, "-f", e.IstioValues)
	}
	if err := e.slow(ctx, nil, "istioctl", args...); err != nil {
		return fmt.Errorf("%w\n%s", err, e.explain(ctx, "istio-system"))
	}
	return nil
}
