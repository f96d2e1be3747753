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

// makeCluster creates the cluster, or uses the existing one again.
func (e *Environment) makeCluster(ctx context.Context) error {
	exists, err := e.clusterExists(ctx)
	if err != nil {
		return err
	}
	if exists {
		e.out.printLine("   reusing the cluster %s (make e2e-kind STEP=clean removes it)", clusterName)
		if _, err := e.runTool(ctx, nil, "kind", "export", "kubeconfig", "--name", clusterName, "--kubeconfig", e.runFile("kubeconfig")); err != nil {
			return err
		}
	} else if err := e.createCluster(ctx); err != nil {
		return err
	}
	if err := e.applyAddons(ctx); err != nil { // before the node is ready, because it may wait for its network
		return err
	}
	if err := e.awaitNode(ctx); err != nil {
		return err
	}
	return e.awaitAddons(ctx)
}

func (e *Environment) awaitNode(ctx context.Context) error {
	return e.waitFor(ctx, "the node", nodeBound, func(ctx context.Context) (string, error) {
		ready, err := e.kubectl(ctx, "get", "nodes", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`)
		if err != nil || ready == "True" {
			return "", err
		}
		return "not ready", nil
	})
}

func (e *Environment) clusterExists(ctx context.Context) (bool, error) {
	out, err := e.runTool(ctx, nil, "kind", "get", "clusters")
	return slices.Contains(strings.Fields(string(out)), clusterName), err
}

func (e *Environment) createCluster(ctx context.Context) error {
	args := []string{"create", "cluster", "--name", clusterName, "--kubeconfig", e.runFile("kubeconfig"), "--config", "-"}
	if e.NodeImage != "" {
		args = append(args, "--image", e.NodeImage)
	}
	e.out.printLine("   creating the cluster %s", clusterName)
	return e.runSlowTool(ctx, clusterConfig, "kind", args...)
}

// Clean removes the cluster. Logs and keys stay in the run's folder until `make clean`.
func (e *Environment) Clean(ctx context.Context) error {
	_, err := e.runTool(ctx, nil, "kind", "delete", "cluster", "--name", clusterName, "--kubeconfig", e.runFile("kubeconfig"))
	return err
}

// smallIstio are settings for a machine with two cores. They name the images as the local daemon may have
// them.
var smallIstio = []string{
	"--set", "profile=minimal",
	"--set", "hub=docker.io/istio",
	"--set", "values.global.proxy.resources.requests.cpu=10m",
	"--set", "values.pilot.resources.requests.cpu=50m",
	"--set", "values.pilot.resources.requests.memory=256Mi",
}

// installIstio installs the pinned Istio with our extension provider in its mesh configuration. Clients of
// the demo enter through Tyk, so there is no ingress gateway.
func (e *Environment) installIstio(ctx context.Context) error {
	if err := e.loadImages(ctx, "istio/pilot:"+IstioVersion, "istio/proxyv2:"+IstioVersion); err != nil {
		return err
	}
	e.out.printLine("   istioctl install %s", IstioVersion)
	return e.runIstioctlInstall(ctx)
}

// runIstioctlInstall installs Istio, or changes the installation; the files come after manifests/istio/install.yaml.
func (e *Environment) runIstioctlInstall(ctx context.Context, files ...string) error {
	args := append([]string{"install", "-y", "-f", e.repoFile("manifests", "istio", "install.yaml")}, smallIstio...)
	for _, file := range files {
		args = append(args, "-f", file)
	}
	if e.IstioValues != "" {
		args = append(args, "-f", e.IstioValues)
	}
	if err := e.runSlowTool(ctx, nil, "istioctl", args...); err != nil {
		return fmt.Errorf("%w\n%s", err, e.describePods(ctx, "istio-system"))
	}
	return nil
}
