package kind

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/kind/sender"
)

//go:embed charts/*.yaml
var chartFiles embed.FS

const (
	policyImage = "meshpass/e2e-policies:dev"

	chartBound = 3 * time.Minute // how long an upgrade may take to reach sidecars and running pods
)

// chartRun plays the charts on a cluster with Istio and without Tyk.
type chartRun struct {
	*Environment
	helm, values string
}

// playCharts installs both charts, with the ConfigMap of the providers in place of a changed MeshConfig, and removes them. At the end
// the cluster is as the step istio leaves it.
func (e *Environment) playCharts(ctx context.Context) error {
	helm, err := findHelm()
	if err != nil {
		return err
	}
	r := &chartRun{Environment: e, helm: helm, values: e.runFile("charts", "meshpass.yaml")}
	var t tally
	tests := []test{
		{"charts/install", "Both charts are installed; istiod merges the providers of their ConfigMap, and a guarded workload is decided", r.testInstallation},
		{"charts/network-policy", "The NetworkPolicy admits every labelled workload and scrapes, and nobody else", r.testAdmission},
		{"charts/policy-image", "Documents come from an image volume", r.testPolicyImage},
	}
	tests = append(tests, r.partTests()...)
	if err := e.playTests(ctx, &t, append(tests, []test{
		{"charts/removal", "An uninstall or upgrade that leaves a guarded workload without authorizer or policy stops, and changes nothing", r.testRemoval},
		{"charts/uninstall", "Without guarded workloads both charts are removed", r.testUninstallation},
	}...)); err != nil {
		return err
	}
	if t.failed > 0 { // what the failed cases have left
		if err := errors.Join(r.removeMeshpass(ctx), r.removeNamespaces(ctx)); err != nil {
			return err
		}
	}
	if t.passed+t.failed > 0 {
		if err := e.runIstioctlInstall(ctx); err != nil {
			return err
		}
	}
	return e.finishStep(t)
}

// runHelm runs helm in the release's namespace.
func (r *chartRun) runHelm(ctx context.Context, args ...string) (string, error) {
	out, err := r.runTool(ctx, nil, r.helm, append(args, "-n", "meshpass")...)
	return string(out), err
}

// writeFiles writes the files of the step, and a key set for the authorizer.
func (r *chartRun) writeFiles(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(r.values), 0o755); err != nil {
		return err
	}
	files, err := chartFiles.ReadDir("charts")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := chartFiles.ReadFile("charts/" + file.Name())
		if err == nil {
			err = os.WriteFile(r.runFile("charts", file.Name()), text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	for _, namespace := range []string{"meshpass", "edge"} {
		if err := r.applyCreated(ctx, "create", "namespace", namespace); err != nil {
			return err
		}
	}
	_, err = r.runTool(ctx, nil, r.repoFile("bin", "meshpass"), "keys", "rotate", "--kubernetes", "--first")
	return err
}

// testInstallation leaves istiod's own MeshConfig without our providers: they come from the chart's ConfigMap alone.
func (r *chartRun) testInstallation(ctx context.Context) ([]string, error) {
	if err := r.removeMeshpass(ctx); err != nil {
		return nil, err
	}
	workloads, err := chartFiles.ReadFile("charts/workloads.yaml")
	if err != nil {
		return nil, err
	}
	// Guarded workloads of another step would stop an uninstall.
	if _, err := r.kubectl(ctx, "delete", "namespace", "--ignore-not-found", "shop", "charts", "charts-monitoring", "charts-parts", "charts-entrance"); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{
		r.writeFiles,
		func(ctx context.Context) error {
			return r.installPlainIstioWith(ctx, "-f", r.repoFile("e2e", "kind", "topologies", "ingress", "install.yaml"),
				"--set", "values.pilot.env.SHARED_MESH_CONFIG=meshpass-providers", "--set", "values.pilot.env.PILOT_ENABLE_AMBIENT=true")
		},
		func(ctx context.Context) error { return r.applyManifests(ctx, workloads) },
		func(ctx context.Context) error {
			_, err := r.runHelm(ctx, "install", "meshpass", "charts/meshpass", "-f", r.values, "--wait", "--timeout", "5m")
			return err
		},
		func(ctx context.Context) error {
			_, err := r.runHelm(ctx, "install", "meshpass-istio", "charts/meshpass-istio", "--set", "mutualTLS.namespaces={charts}")
			return err
		},
		func(ctx context.Context) error { return r.awaitRollouts(ctx, "charts", "charts-monitoring") },
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	mesh, err := r.kubectl(ctx, "get", "configmap", "istio", "-n", "istio-system", "-o", "jsonpath={.data.mesh}")
	if err != nil {
		return nil, err
	}
	if strings.Contains(mesh, "meshpass") {
		return []string{"istiod's own MeshConfig has the providers"}, nil
	}
	return r.awaitAnswer(ctx, 503, "policy_refused") // a folder without a document denies everything
}

// awaitAnswer sends a request to the guarded workload until the answer has this status and, for a denial, this reason.
func (r *chartRun) awaitAnswer(ctx context.Context, status int, reason string) ([]string, error) {
	message := sender.Message{Method: "GET", URL: "http://guarded.charts.svc.cluster.local:8080/tenants/acme/items/1001"}
	err := r.waitFor(ctx, fmt.Sprintf("%d %s", status, reason), chartBound, func(ctx context.Context) (string, error) {
		var a sender.Answer
		if err := r.runInPod(ctx, place{namespace: "charts", deployment: "caller"}, "send", message, &a); err != nil {
			return "", err
		}
		if a.Status == status && strings.Contains(string(a.Body), reason) {
			return "", nil
		}
		return fmt.Sprintf("status %d: %s", a.Status, a.Body), nil
	})
	if err != nil {
		return []string{err.Error()}, ctx.Err()
	}
	return nil, nil
}

// testAdmission connects to each replica from pods that differ only by label and namespace. The first row shows whether this cluster enforces policies.
func (r *chartRun) testAdmission(ctx context.Context) (problems []string, err error) {
	stranger := place{namespace: "charts", deployment: "stranger"}
	pods, err := r.listPods(ctx, "meshpass", "app=meshpass")
	if err != nil {
		return nil, err
	}
	for _, pod := range pods {
		for _, row := range []struct {
			from     place
			port     string
			admitted bool
		}{
			{stranger, "9000", false},
			{stranger, "9090", false},
			{place{namespace: "charts", deployment: "open"}, "9000", true},
			{place{namespace: "charts", deployment: "open"}, "9090", false},
			{place{namespace: "charts-monitoring", deployment: "prometheus"}, "9090", true},
			{place{namespace: "charts-monitoring", deployment: "prometheus"}, "9000", false},
		} {
			var a sender.Answer
			err := r.runInPod(context.WithoutCancel(ctx), row.from, "send", sender.Message{Method: "GET", URL: "http://" + pod.Status.PodIP + ":" + row.port + "/metrics"}, &a)
			connected := err == nil
			if connected && row.from == stranger && r.Addons == "" {
				return nil, fmt.Errorf("%w: this cluster's network plugin does not enforce NetworkPolicy: set CLUSTER_ADDONS to one that does", errNotRun)
			}
			if connected != row.admitted {
				problems = append(problems, fmt.Sprintf("%s/%s to port %s of %s: connected %v, want %v (%v)", row.from.namespace, row.from.deployment, row.port, pod.Metadata.Name, connected, row.admitted, err))
			}
		}
	}
	return problems, nil
}

// testPolicyImage packs a document into an image without any program.
func (r *chartRun) testPolicyImage(ctx context.Context) ([]string, error) {
	dockerfile := "FROM scratch\nCOPY public.yaml /\n"
	if _, err := r.runTool(ctx, []byte(dockerfile), "docker", "build", "-q", "-t", policyImage, "-f", "-", r.runFile("charts")); err != nil {
		return nil, err
	}
	if err := r.loadImages(ctx, policyImage); err != nil {
		return nil, err
	}
	if _, err := r.runHelm(ctx, "upgrade", "meshpass", "charts/meshpass", "--reuse-values", "--set", "policies.image.reference="+policyImage, "--wait", "--timeout", "5m"); err != nil {
		return nil, err
	}
	return r.awaitAnswer(ctx, 200, `"stock"`)
}

// testRemoval tries what would leave the guarded workload alone.
func (r *chartRun) testRemoval(ctx context.Context) (problems []string, err error) {
	for _, args := range [][]string{
		{"upgrade", "meshpass", "charts/meshpass", "--reuse-values", "--set", "fullnameOverride=other"},
		{"upgrade", "meshpass-istio", "charts/meshpass-istio", "--reuse-values", "--set", "policies.closed.enabled=false"},
		{"uninstall", "meshpass"},
		{"uninstall", "meshpass-istio"},
	} {
		out, err := r.runHelm(ctx, args...)
		switch {
		case err == nil:
			problems = append(problems, fmt.Sprintf("helm %s succeeded: %s", strings.Join(args, " "), out))
		case !strings.Contains(err.Error(), "ns/charts/sa/default: pods: 1, meshpass.dev/guarded=true"):
			problems = append(problems, fmt.Sprintf("helm %s does not name the workload: %v", strings.Join(args, " "), err))
		}
	}
	for _, release := range []string{"meshpass", "meshpass-istio"} {
		if err := r.rollBack(ctx, release); err != nil {
			problems = append(problems, err.Error())
		}
		if _, err := r.runHelm(ctx, "upgrade", release, "charts/"+release, "--reuse-values", "--wait"); err != nil {
			problems = append(problems, fmt.Sprintf("an upgrade without a change: %v", err))
		}
	}
	more, err := r.awaitAnswer(ctx, 200, `"stock"`)
	return append(problems, more...), err
}

// rollBack takes the status `uninstalling` back, which Helm gives the last revision when an uninstall was stopped. The last
// revision can be an upgrade that failed: then an earlier one is still deployed.
func (r *chartRun) rollBack(ctx context.Context, release string) error {
	history, err := r.runHelm(ctx, "history", release, "-o", "json")
	if err != nil {
		return err
	}
	var revisions []struct {
		Revision int
		Status   string
	}
	if err := json.Unmarshal([]byte(history), &revisions); err != nil {
		return err
	}
	for _, status := range []string{"deployed", "uninstalling"} {
		for _, revision := range revisions {
			if revision.Status == status {
				_, err := r.runHelm(ctx, "rollback", release, fmt.Sprint(revision.Revision), "--wait")
				return err
			}
		}
	}
	return fmt.Errorf("no revision of %s to roll back to: %s", release, history)
}

// testUninstallation takes the label away first.
func (r *chartRun) testUninstallation(ctx context.Context) ([]string, error) {
	if _, err := r.kubectl(ctx, "patch", "deployment", "guarded", "-n", "charts", "-p", `{"spec":{"template":{"metadata":{"labels":{"meshpass.dev/guarded":null}}}}}`); err != nil {
		return nil, err
	}
	if err := r.awaitRollouts(ctx, "charts"); err != nil {
		return nil, err
	}
	if _, err := r.kubectl(ctx, "delete", "deployment", "open", "-n", "charts", "--wait"); err != nil { // it has the label too
		return nil, err
	}
	for _, release := range []string{"meshpass-istio", "meshpass"} {
		if _, err := r.runHelm(ctx, "uninstall", release, "--wait"); err != nil {
			return []string{err.Error()}, nil
		}
	}
	var problems []string
	if err := r.waitFor(ctx, "the objects of both charts to be gone", chartBound, func(ctx context.Context) (string, error) {
		left, err := r.kubectl(ctx, "get", "all,configmaps,networkpolicies,authorizationpolicies,clusterroles", "-A", "-l", "app.kubernetes.io/name in (meshpass, meshpass-istio)", "-o", "name")
		if left == "configmap/meshpass-overrides" { // a hook made it, so that no upgrade sets it back
			left = ""
		}
		return left, err
	}); err != nil {
		problems = append(problems, err.Error())
	}
	return problems, errors.Join(r.removeNamespaces(ctx), ctx.Err())
}

// removeNamespaces removes the workloads of this step.
func (r *chartRun) removeNamespaces(ctx context.Context) error {
	_, err := r.kubectl(ctx, "delete", "namespace", "--ignore-not-found", "charts", "charts-monitoring", "charts-parts", "charts-entrance", "meshpass", "edge")
	return err
}
