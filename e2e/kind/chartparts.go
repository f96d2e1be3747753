package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/meshpass/meshpass/e2e/kind/sender"
	"github.com/meshpass/meshpass/e2e/repo"
)

// partTests are the tests of single values of the charts. Each leaves the releases so that the next one can run.
func (r *chartRun) partTests() []test {
	return []test{
		{"charts/policy-artifact", "Documents come from an OCI artifact: both replicas follow its tag, and their status names the digest", r.testPolicyArtifact},
		{"charts/monitoring", "The definitions of the Prometheus Operator accept the monitor and the rules, and the monitor's port has the metrics", r.testMonitoring},
		{"charts/audit-chain", "The key of the audit chain comes from a Secret, and what both replicas write to standard output and to files is a whole chain each", r.testAuditChain},
		{"charts/autoscaling", "The autoscaler keeps its minimum, and an upgrade does not set it back", r.testAutoscaling},
		{"charts/key-rotation", "The job rotates the key once, and may read and change two objects alone", r.testKeyRotation},
		{"charts/egress", "A request that leaves the mesh loses its token", r.testEgress},
		{"charts/ingress", "Istio's ingress gateway and one of the Gateway API ask for every request that enters", r.testIngress},
		{"charts/waypoint", "A waypoint asks for every request to the Services behind it", r.testWaypoint},
		{"charts/entrances-removed", "An upgrade without the policies of gateways stops while the gateways run, and --no-hooks goes around the check", r.testEntranceRemoval},
	}
}

// applyParts applies the objects of a file of the folder charts.
func (r *chartRun) applyParts(ctx context.Context, file string) error {
	text, err := chartFiles.ReadFile("charts/" + file)
	if err != nil {
		return err
	}
	return r.applyManifests(ctx, text)
}

// upgrade changes values of a release, and waits for its pods.
func (r *chartRun) upgrade(ctx context.Context, release string, values ...string) error {
	args := append([]string{"upgrade", release, "charts/" + release, "--reset-then-reuse-values", "--wait", "--timeout", "5m"}, values...)
	_, err := r.runHelm(ctx, args...)
	return err
}

// pushPolicies pushes files of the run's folder to the registry, and returns the digest that oras prints.
func (r *chartRun) pushPolicies(ctx context.Context, files ...string) (string, error) {
	oras, err := repo.Bin("oras", "bin/oras")
	if err != nil {
		return "", err
	}
	url, stop, err := r.portForward(ctx, "charts-parts", "deployment/registry", 5000)
	if err != nil {
		return "", err
	}
	defer stop()
	args := append([]string{"push", "--plain-http", strings.TrimPrefix(url, "http://") + "/policies:1"}, files...)
	out, err := r.runToolIn(ctx, r.runFile("charts"), nil, oras, args...) // a layer has the name that is given here
	if err != nil {
		return "", err
	}
	digest := regexp.MustCompile(`(?m)^Digest: (sha256:[0-9a-f]{64})$`).FindStringSubmatch(string(out))
	if digest == nil {
		return "", fmt.Errorf("oras push printed no digest: %s", out)
	}
	return digest[1], nil
}

// awaitVersion waits until the status of each replica names a folder of this version.
func (r *chartRun) awaitVersion(ctx context.Context, digest string) error {
	version := strings.Replace(digest, ":", "-", 1)
	return r.waitFor(ctx, "documents of "+digest, chartBound, func(ctx context.Context) (string, error) {
		pods, err := r.listPods(ctx, "meshpass", "app=meshpass")
		if err != nil {
			return "", err
		}
		for _, p := range pods {
			out, err := r.kubectl(ctx, "exec", "-n", "meshpass", p.Metadata.Name, "-c", "meshpass", "--", "/usr/local/bin/meshpass", "status")
			if err != nil {
				return "", err
			}
			if !strings.Contains(out, "/etc/meshpass/policies/"+version+"\n") {
				return p.Metadata.Name + " has another version", nil
			}
		}
		return "", nil
	})
}

func (r *chartRun) testPolicyArtifact(ctx context.Context) (problems []string, err error) {
	if err := r.applyParts(ctx, "parts.yaml"); err != nil {
		return nil, err
	}
	if err := r.awaitRollouts(ctx, "charts-parts"); err != nil {
		return nil, err
	}
	first, err := r.pushPolicies(ctx, "public.yaml")
	if err != nil {
		return nil, err
	}
	if err := r.upgrade(ctx, "meshpass", "-f", r.runFile("charts", "artifact.yaml")); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		files  []string
		status int
		answer string
	}{
		{nil, http.StatusOK, `"stock"`},
		{[]string{"ingress.yaml"}, http.StatusForbidden, "unguarded"}, // no document of the workload
		{[]string{"public.yaml", "ingress.yaml", "behind.yaml"}, http.StatusOK, `"stock"`},
	} {
		digest := first
		if step.files != nil {
			if digest, err = r.pushPolicies(ctx, step.files...); err != nil {
				return nil, err
			}
		}
		if err := r.awaitVersion(ctx, digest); err != nil {
			return []string{err.Error()}, ctx.Err()
		}
		found, err := r.awaitAnswer(ctx, step.status, step.answer)
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

// testMonitoring scrapes the port that the monitor names.
func (r *chartRun) testMonitoring(ctx context.Context) ([]string, error) {
	// The operator's own types give the definitions; no module has them as files.
	dir := r.runFile("crds")
	if _, err := r.runToolIn(ctx, r.repoFile("charts"), nil, "go", "run", "sigs.k8s.io/controller-tools/cmd/controller-gen@v0.20.1", "crd",
		"paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1", "output:crd:dir="+dir); err != nil {
		return nil, err
	}
	for _, kind := range []string{"podmonitors", "prometheusrules"} {
		if _, err := r.kubectl(ctx, "apply", "--server-side", "-f", filepath.Join(dir, "monitoring.coreos.com_"+kind+".yaml")); err != nil {
			return nil, err
		}
		if _, err := r.kubectl(ctx, "wait", "--for=condition=Established", "--timeout=60s", "crd/"+kind+".monitoring.coreos.com"); err != nil {
			return nil, err
		}
	}
	if err := r.upgrade(ctx, "meshpass", "--set", "podMonitor.enabled=true", "--set", "podMonitor.gateway.enabled=true", "--set", "podMonitor.additionalLabels.release=kps", "--set", "prometheusRule.enabled=true"); err != nil {
		return []string{err.Error()}, ctx.Err()
	}
	port, err := r.kubectl(ctx, "get", "podmonitor,prometheusrule", "-A", "-l", "app=meshpass", "-o", `jsonpath={range .items[*]}{.kind} {.metadata.labels.release} {.spec.podMetricsEndpoints[*].port}{"\n"}{end}`)
	if err != nil {
		return nil, err
	}
	if want := "PodMonitor kps \nPodMonitor kps http-ops\nPrometheusRule"; strings.TrimSpace(port) != want { // the gateway's has no port's name
		return []string{fmt.Sprintf("got %q, want %q", port, want)}, nil
	}
	pods, err := r.listPods(ctx, "meshpass", "app=meshpass")
	if err != nil {
		return nil, err
	}
	number, err := r.kubectl(ctx, "get", "pod", "-n", "meshpass", pods[0].Metadata.Name, "-o", `jsonpath={.spec.containers[*].ports[?(@.name=="http-ops")].containerPort}`)
	if err != nil {
		return nil, err
	}
	var a sender.Answer
	if err := r.runInPod(ctx, place{namespace: "charts-monitoring", deployment: "prometheus"}, "send", sender.Message{Method: "GET", URL: "http://" + pods[0].Status.PodIP + ":" + number + "/metrics"}, &a); err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK || !strings.Contains(string(a.Body), "\nmeshpass_build_info{") {
		return []string{fmt.Sprintf("the scrape got %d: %.200s", a.Status, a.Body)}, nil
	}
	return nil, nil
}

// testAutoscaling has no server of metrics: the autoscaler starts the replicas of its minimum without one.
func (r *chartRun) testAutoscaling(ctx context.Context) ([]string, error) {
	awaitReplicas := func(want int) error {
		return r.waitFor(ctx, fmt.Sprintf("%d replicas", want), chartBound, func(ctx context.Context) (string, error) {
			pods, err := r.listPods(ctx, "meshpass", "app=meshpass")
			ready := 0
			for _, p := range pods {
				if p.isReady() {
					ready++
				}
			}
			if err != nil || ready == want && len(pods) == want {
				return "", err
			}
			return fmt.Sprintf("%d of %d are ready", ready, len(pods)), nil
		})
	}
	for _, step := range []struct {
		values   []string
		replicas int
	}{
		{[]string{"--set", "autoscaling.enabled=true", "--set", "autoscaling.minReplicas=3"}, 3},
		{[]string{"--set-string", "podAnnotations.again=true"}, 3},
		{[]string{"--set", "autoscaling.enabled=false"}, 2},
	} {
		if err := r.upgrade(ctx, "meshpass", step.values...); err != nil {
			return nil, err
		}
		if err := awaitReplicas(step.replicas); err != nil {
			return []string{fmt.Sprintf("%v: %v", step.values, err)}, ctx.Err()
		}
	}
	return nil, nil
}

// testKeyRotation makes the next key due, and runs the CronJob's job twice.
func (r *chartRun) testKeyRotation(ctx context.Context) (problems []string, err error) {
	// The first key has signed for more than 10 s.
	if err := r.upgrade(ctx, "meshpass", "--set", "keyRotation.every=70s", "--set", "keyRotation.lead=1m"); err != nil {
		return nil, err
	}
	countKeys := func() (published, private int, err error) {
		set, err := r.kubectl(ctx, "get", "configmap", "meshpass-jwks", "-n", "meshpass", "-o", `jsonpath={.data.jwks\.json}`)
		if err != nil {
			return 0, 0, err
		}
		var keys struct{ Keys []any }
		if err := json.Unmarshal([]byte(set), &keys); err != nil {
			return 0, 0, err
		}
		var secret struct{ Data map[string]string }
		if err := r.queryObjects(ctx, &secret, "get", "secret", "meshpass-signing-keys", "-n", "edge"); err != nil {
			return 0, 0, err
		}
		return len(keys.Keys), len(secret.Data) - 1, nil // one entry is keys.yaml
	}
	if published, private, err := countKeys(); err != nil || published != 1 || private != 1 {
		return []string{fmt.Sprintf("before: %d keys published, %d in the Secret, want 1 and 1", published, private)}, err
	}
	for _, job := range []string{"first", "second"} { // for the second one nothing is due
		if _, err := r.kubectl(ctx, "create", "job", "-n", "edge", "--from=cronjob/meshpass-keys", "keys-"+job); err != nil {
			return nil, err
		}
		if _, err := r.kubectl(ctx, "wait", "-n", "edge", "--for=condition=Complete", "--timeout=180s", "job/keys-"+job); err != nil {
			logs, _ := r.kubectl(ctx, "logs", "-n", "edge", "job/keys-"+job)
			return []string{fmt.Sprintf("%v: %s", err, logs)}, ctx.Err()
		}
		if published, private, err := countKeys(); err != nil || published != 2 || private != 2 {
			return []string{fmt.Sprintf("after the %s job: %d keys published, %d in the Secret, want 2 and 2", job, published, private)}, err
		}
	}
	for _, row := range []struct {
		verb, object, namespace string
		allowed                 string
	}{
		{"update", "secret/meshpass-signing-keys", "edge", "yes"},
		{"update", "configmap/meshpass-jwks", "meshpass", "yes"},
		{"get", "secret/meshpass-hmac", "edge", "no"},
		{"list", "secrets", "edge", "no"},
		{"create", "secrets", "edge", "no"},
		{"delete", "secret/meshpass-signing-keys", "edge", "no"},
		{"get", "configmap/meshpass-config", "meshpass", "no"},
		{"get", "secret/meshpass-signing-keys", "meshpass", "no"},
	} {
		// The exit code is 1 for no.
		out, _ := r.kubectl(ctx, "auth", "can-i", row.verb, row.object, "-n", row.namespace, "--as=system:serviceaccount:edge:meshpass-keys")
		if answer := out == "yes"; answer != (row.allowed == "yes") {
			problems = append(problems, fmt.Sprintf("may %s %s in %s: %q, want %s", row.verb, row.object, row.namespace, out, row.allowed))
		}
	}
	return problems, ctx.Err()
}

// testEgress sends a token to the address of a pod that no Service names, which is outside the mesh for a sidecar.
func (r *chartRun) testEgress(ctx context.Context) ([]string, error) {
	pods, err := r.listPods(ctx, "charts-parts", "app=outside")
	if err != nil {
		return nil, err
	}
	message := sender.Message{Method: "GET", URL: "http://" + pods[0].Status.PodIP + ":8080/", Header: http.Header{"Txn-Token": {"t"}, "X-Meshpass-User": {"u"}, "X-Other": {"o"}}}
	awaitHeaders := func(want string) error {
		return r.waitFor(ctx, "headers "+want, chartBound, func(ctx context.Context) (string, error) {
			var a sender.Answer
			if err := r.runInPod(ctx, place{namespace: "charts", deployment: "caller"}, "send", message, &a); err != nil {
				return "", err
			}
			var headers http.Header
			if err := json.Unmarshal(a.Body, &headers); err != nil {
				return "", fmt.Errorf("status %d: %s", a.Status, a.Body)
			}
			if got := fmt.Sprint(headers["Txn-Token"], headers["X-Meshpass-User"], headers["X-Other"]); got != want {
				return got, nil
			}
			return "", nil
		})
	}
	if err := awaitHeaders("[t] [u] [o]"); err != nil { // the case can see a token that leaves
		return nil, err
	}
	if err := r.upgrade(ctx, "meshpass-istio", "--set", "egress.enabled=true"); err != nil {
		return nil, err
	}
	if err := awaitHeaders("[] [] [o]"); err != nil {
		return []string{err.Error()}, ctx.Err()
	}
	return nil, nil
}

// awaitEntrance sends a request from outside of the mesh until the answer has this status and this text.
func (r *chartRun) awaitEntrance(ctx context.Context, url string, status int, text string) error {
	return r.waitFor(ctx, fmt.Sprintf("%d %s for %s", status, text, url), chartBound, func(ctx context.Context) (string, error) {
		var a sender.Answer
		if err := r.runInPod(ctx, place{namespace: "charts", deployment: "stranger"}, "send", sender.Message{Method: "GET", URL: url}, &a); err != nil {
			return "", err
		}
		if a.Status == status && strings.Contains(string(a.Body), text) {
			return "", nil
		}
		return fmt.Sprintf("status %d: %s", a.Status, a.Body), nil
	})
}

// entrances are the URLs of both gateways.
var entrances = []string{"http://istio-ingressgateway.istio-system.svc.cluster.local", "http://entrance-istio.charts-entrance.svc.cluster.local"}

// testIngress compares the answers before and after: without the policies of gateways, the workload denies itself.
func (r *chartRun) testIngress(ctx context.Context) (problems []string, err error) {
	if err := r.installGatewayAPI(ctx); err != nil {
		return nil, err
	}
	if err := r.applyParts(ctx, "entrance.yaml"); err != nil {
		return nil, err
	}
	if err := r.applyServices(ctx); err != nil {
		return nil, err
	}
	const hidden = "/tenants/acme/items/1002"
	for _, url := range entrances {
		if err := r.awaitEntrance(ctx, url+hidden, http.StatusForbidden, "token_missing"); err != nil {
			return nil, fmt.Errorf("before: %w", err)
		}
	}
	if err := r.upgrade(ctx, "meshpass", "-f", r.runFile("charts", "listeners.yaml")); err != nil {
		return nil, err
	}
	if err := r.upgrade(ctx, "meshpass-istio", "--set", "ingress.selector.istio=ingressgateway", "--set", "ingress.gateways[0].namespace=charts-entrance", "--set", "ingress.gateways[0].name=entrance"); err != nil {
		return nil, err
	}
	for _, url := range entrances {
		if err := r.awaitEntrance(ctx, url+hidden, http.StatusUnauthorized, "token_missing"); err != nil { // tokenFailure of this listener
			problems = append(problems, err.Error())
			continue
		}
		if err := r.awaitEntrance(ctx, url+"/tenants/acme/items/1001", http.StatusOK, `"stock"`); err != nil {
			problems = append(problems, err.Error())
		}
	}
	return problems, ctx.Err()
}

// applyServices makes the file of Services for the waypoint's listener, as docs/topologies.md does.
func (r *chartRun) applyServices(ctx context.Context) error {
	list, err := r.kubectl(ctx, "get", "services", "-n", "charts-parts", "-o", "yaml")
	if err != nil {
		return err
	}
	file := r.runFile("charts", "services.yaml")
	if err := os.RemoveAll(file); err != nil {
		return err
	}
	if _, err := r.runTool(ctx, []byte(list), r.repoFile("bin", "meshpass"), "services", "-f", "-", "--out", file); err != nil {
		return err
	}
	return r.applyCreated(ctx, "create", "configmap", "services", "-n", "meshpass", "--from-file="+file)
}

// testWaypoint sends through an ingress gateway to a waypoint: this cluster has no ztunnel, so no other client can.
func (r *chartRun) testWaypoint(ctx context.Context) (problems []string, err error) {
	if err := r.upgrade(ctx, "meshpass-istio", "--set", "waypoints[0].namespace=charts-parts", "--set", "waypoints[0].name=waypoint", "--set", "waypoints[0].create=true"); err != nil {
		return nil, err
	}
	for object, condition := range map[string]string{"gateway.gateway.networking.k8s.io/waypoint": "Programmed", "authorizationpolicy/meshpass": "WaypointAccepted"} {
		if _, err := r.kubectl(ctx, "wait", "-n", "charts-parts", "--for=condition="+condition, "--timeout=180s", object); err != nil {
			return []string{err.Error()}, ctx.Err()
		}
	}
	if isUpstream, err := r.hasUpstreamEnvoy(ctx); err != nil || isUpstream {
		return nil, errors.Join(err, fmt.Errorf("%w: requests through a waypoint: the image of Istio's proxy has an upstream Envoy, which is no waypoint", errNotRun))
	}
	url := entrances[0] + "/behind"
	if err := r.awaitEntrance(ctx, url+"/tenants/acme/items/1002", http.StatusForbidden, "token_missing"); err != nil {
		problems = append(problems, err.Error())
	}
	if err := r.awaitEntrance(ctx, url+"/tenants/acme/items/1001", http.StatusOK, `"stock"`); err != nil {
		problems = append(problems, err.Error())
	}
	return problems, ctx.Err()
}

// hasUpstreamEnvoy waits for the waypoint's proxy. Istio's bootstrap of a waypoint names an extension that only Istio's Envoy has.
func (r *chartRun) hasUpstreamEnvoy(ctx context.Context) (upstream bool, err error) {
	err = r.waitFor(ctx, "the proxy of the waypoint", podsBound, func(ctx context.Context) (string, error) {
		logs, err := r.kubectl(ctx, "logs", "-n", "charts-parts", "deployment/waypoint")
		if upstream = strings.Contains(logs, "istio.workload.BootstrapExtension'"); err != nil || upstream {
			return "", err
		}
		return r.listUnfinished(ctx, "charts-parts")
	})
	return upstream, err
}

// testEntranceRemoval takes the policies of gateways away while the gateways run.
func (r *chartRun) testEntranceRemoval(ctx context.Context) (problems []string, err error) {
	without := []string{"--set", "ingress.selector=null", "--set-json", "ingress.gateways=[]", "--set-json", "waypoints=[]"}
	if err := r.upgrade(ctx, "meshpass-istio", without...); err == nil || !strings.Contains(err.Error(), "ns/istio-system/sa/istio-ingressgateway-service-account") {
		problems = append(problems, fmt.Sprintf("an upgrade without the policies of gateways: %v", err))
	}
	if err := r.upgrade(ctx, "meshpass-istio", append(without, "--no-hooks")...); err != nil {
		problems = append(problems, err.Error())
	}
	_, err = r.kubectl(ctx, "delete", "gateway.gateway.networking.k8s.io", "-n", "charts-entrance", "entrance")
	return problems, errors.Join(err, ctx.Err())
}
