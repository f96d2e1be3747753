package kind

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Collect writes information about a failure into one folder, and returns the folder. If a command fails,
// its file contains the error, because the failure may be the reason.
func (e *Environment) Collect(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	dir := e.runFile("failure-" + time.Now().UTC().Format("20060102-150405"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	e.saveOutput(ctx, dir, "events.txt", "kubectl", "get", "events", "-A", "--sort-by=.lastTimestamp")
	e.saveOutput(ctx, dir, "objects.txt", "kubectl", "get", "pods,deployments,services,endpointslices,configmaps,authorizationpolicies,peerauthentications", "-A", "-o", "wide")
	e.saveOutput(ctx, dir, "describe.txt", "kubectl", "describe", "pods", "-A")
	e.saveOutput(ctx, dir, "proxy-status.txt", "istioctl", "proxy-status")
	e.saveOutput(ctx, dir, "istiod.log", "kubectl", "logs", "-n", "istio-system", "deployment/istiod")
	e.saveOutput(ctx, dir, "audit-edge.jsonl", "kubectl", logArgs(east.logs())...)
	e.saveOutput(ctx, dir, "audit-hops.jsonl", "kubectl", logArgs(e.current.authorizers)...)
	for _, namespace := range []string{"meshpass", "edge", "edge-west", "shop", "idp", "istio-system", "istio-ingress"} {
		pods, err := e.listPods(ctx, namespace, "")
		if err != nil {
			return dir, err
		}
		for _, p := range pods {
			e.collectPod(ctx, dir, p)
		}
	}
	return dir, nil
}

func (e *Environment) collectPod(ctx context.Context, dir string, p pod) {
	namespace, name := p.Metadata.Namespace, p.Metadata.Name
	e.saveOutput(ctx, dir, name+".log", "kubectl", "logs", "-n", namespace, name, "--all-containers", "--prefix", "--tail=5000")
	// Istio's proxy is an init container where Kubernetes knows sidecars.
	for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
		if c.Name == "istio-proxy" && c.Ready {
			e.saveOutput(ctx, dir, name+".proxy.json", "istioctl", "proxy-config", "all", name+"."+namespace, "-o", "json")
		}
		if c.RestartCount > 0 {
			e.saveOutput(ctx, dir, name+".previous.log", "kubectl", "logs", "-n", namespace, name, "-c", c.Name, "--previous")
		}
	}
}

// saveOutput writes the output of a command, or its error.
func (e *Environment) saveOutput(ctx context.Context, dir, file, name string, args ...string) {
	out, err := e.runTool(ctx, nil, name, args...)
	if err != nil {
		out = fmt.Appendln(out, err)
	}
	if err := os.WriteFile(filepath.Join(dir, file), out, 0o644); err != nil {
		e.out.printLine("   %v", err)
	}
}
