package kind

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Collect writes all that helps to understand a failure into one folder, and returns it. What cannot
// be had is said in its file: the failure may be the reason.
func (e *Environment) Collect(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	dir := e.path("failure-" + time.Now().UTC().Format("20060102-150405"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	e.keep(ctx, dir, "events.txt", "kubectl", "get", "events", "-A", "--sort-by=.lastTimestamp")
	e.keep(ctx, dir, "objects.txt", "kubectl", "get", "pods,deployments,services,endpointslices,configmaps,authorizationpolicies,peerauthentications", "-A", "-o", "wide")
	e.keep(ctx, dir, "describe.txt", "kubectl", "describe", "pods", "-A")
	e.keep(ctx, dir, "proxy-status.txt", "istioctl", "proxy-status")
	e.keep(ctx, dir, "istiod.log", "kubectl", "logs", "-n", "istio-system", "deployment/istiod")
	e.keep(ctx, dir, "audit-edge.jsonl", "kubectl", logArgs(east.logs())...)
	e.keep(ctx, dir, "audit-hops.jsonl", "kubectl", logArgs(e.at.authorizers)...)
	for _, namespace := range []string{"meshpass", "edge", "edge-west", "shop", "idp", "istio-system", "istio-ingress"} {
		pods, err := e.pods(ctx, namespace, "")
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
	e.keep(ctx, dir, name+".log", "kubectl", "logs", "-n", namespace, name, "--all-containers", "--prefix", "--tail=5000")
	// Istio's proxy is an init container where Kubernetes knows sidecars.
	for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
		if c.Name == "istio-proxy" && c.Ready {
			e.keep(ctx, dir, name+".proxy.json", "istioctl", "proxy-config", "all", name+"."+namespace, "-o", "json")
		}
		if c.RestartCount > 0 {
			e.keep(ctx, dir, name+".previous.log", "kubectl", "logs", "-n", namespace, name, "-c", c.Name, "--previous")
		}
	}
}

// keep writes the output of a command, or its error.
func (e *Environment) keep(ctx context.Context, dir, file, name string, args ...string) {
	out, err := e.tool(ctx, nil, name, args...)
	if err != nil {
		out = fmt.Appendln(out, err)
	}
	if err := os.WriteFile(filepath.Join(dir, file), out, 0o644); err != nil {
		e.out.line("   %v", err)
	}
}
