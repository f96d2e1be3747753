package charts_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshpass/meshpass/charts/internal/render"
)

// switches of each chart: the values that switch something. Each is rendered alone and all together.
var switches = map[string][]string{
	"meshpass": {
		`autoscaling: {enabled: true}`,
		`podDisruptionBudget: {enabled: false}`,
		`{podDisruptionBudget: {enabled: false}, replicas: 1}`,
		`networkPolicy: {enabled: false}`,
		`networkPolicy: {extraEgress: [{to: [{ipBlock: {cidr: 10.0.0.1/32}}]}], extraIngress: [{ports: [{port: http-ops}]}]}`,
		`keyRotation: {enabled: false}`,
		`keyRotation: {gatewayNamespace: tyk, secret: signing, every: 1d12h, lead: 30m, schedule: "@hourly"}`,
		`keyRotation: {gatewayNamespace: meshpass}`, // that of the authorizer
		`networkPolicy: {monitoringNamespace: {kubernetes.io/metadata.name: monitoring}}`,
		`podMonitor: {enabled: true, additionalLabels: {release: kps}}`,
		`podMonitor: {additionalLabels: {release: kps}, gateway: {enabled: true, labels: {app: gateway-tyk-tyk-gateway}, port: 8081, metricsPort: 9093}}`,
		`prometheusRule: {enabled: true, additionalLabels: {release: kps}, disabled: [MeshpassTokenRevoked]}`,
		`dashboards: {enabled: true, labels: {grafana_dashboard: "yes", team: edge}}`,
		`removalCheck: {enabled: false}`,
		chainValues,
		fileValues,
		`{audit: {volume: {persistentVolumeClaim: {claimName: audit}}}, config: {audit: {output: "/var/log/meshpass/${POD_NAME}.jsonl"}}, extraEnv: [{name: A, value: b}]}`,
		`{config: {audit: {output: /audit/a.jsonl, chain: {key: /keys/a.pem}}}, extraVolumes: [{name: k, emptyDir: {}}], extraVolumeMounts: [{name: k, mountPath: /keys}]}`,
		`policies: {documents: {orders.yaml: "apiVersion: meshpass.dev/v1\n"}}`,
		`policies: {existingConfigMap: mine}`,
		`policies: {image: {reference: "registry.example.com/policies@sha256:0123"}}`,
		`{policies: {volume: {emptyDir: {}}}, config: {policies: {dirs: [{path: policies/current}]}}, extraContainers: [{name: git, image: git, volumeMounts: [{name: policies, mountPath: /git}]}]}`,
		`{policies: {artifact: {reference: "registry.example.com/policies:1", pullSecret: registry}}, config: {policies: {dirs: [{path: policies/current, name: policies}]}}, networkPolicy: {extraEgress: [{ports: [{port: 443}]}]}, extraEnv: [{name: A, value: b}]}`,
		`{policies: {artifact: {reference: "registry:5000/a/b@sha256:` + strings.Repeat("0", 64) + `", every: 5m, plainHTTP: true}}, config: {policies: {dirs: [{path: policies/current}]}}, networkPolicy: {enabled: false}}`,
		`extraInitContainers: [{name: git, image: git, args: [--one-time]}]`,
		`{overrides: {create: false}, config: {policies: {overrides: ""}}}`,
		`{istio: {certificate: false}, config: {tls: {certFile: /c/tls.crt, keyFile: /c/tls.key, clientCAFile: /c/ca.crt}}, extraVolumes: [{name: c, secret: {secretName: c}}], extraVolumeMounts: [{name: c, mountPath: /c}]}`,
		`istio: {revision: stable, namespace: istio-control}`,
		`image: {repository: registry.example.com/authz, digest: "sha256:` + strings.Repeat("0", 64) + `"}`,
		`{imagePullSecrets: [{name: pull}], priorityClassName: system-cluster-critical, nodeSelector: {a: b}, tolerations: [{operator: Exists}], topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}], podAnnotations: {a: b}, podLabels: {c: d}, extraEnv: [{name: A, value: b}], resources: {limits: {memory: 512Mi}}}`,
		`{fullnameOverride: authorizer, jwks: {configMap: keys}}`,
	},
	"meshpass-istio": {
		`providers: {configMap: {create: false}}`,
		`policies: {closed: {enabled: false}}`,
		`{policies: {closed: {enabled: false}}, providers: {closed: {failOpen: true}}}`,
		`policies: {observe: {enabled: false}}`,
		`policies: {open: {enabled: true, backstop: {issuer: "https://gateway.example.com", audiences: [mesh.example.com], jwksUri: "https://gateway.example.com/jwks.json"}}}`,
		`destinationRule: {enabled: false}`,
		`trailers: {enabled: false}`,
		`egress: {enabled: true}`,
		`mutualTLS: {namespaces: [shop, billing], workloads: [{namespace: legacy, name: batch, labels: {app: batch}}]}`,
		`fence: {namespaces: [billing]}`,
		`waypoints: [{namespace: shop, name: waypoint, create: true, guard: true}, {namespace: other, name: theirs}]`,
		`ingress: {selector: {istio: ingressgateway}, gateways: [{namespace: istio-ingress, name: a}, {namespace: istio-ingress, name: b}]}`,
		`{networkPolicy: {enabled: false}, ingress: {selector: {istio: ingressgateway}}}`,
		`removalCheck: {enabled: false}`,
		`{istio: {namespace: istio-control, clusterDomain: example.internal, trustDomain: example.com}, authorizer: {namespace: auth, name: authorizer, port: 9001}}`,
	},
}

// Values for a chain of audit records, on standard output and in files.
const (
	chainValues = `{audit: {keySecret: meshpass-audit-key}, config: {audit: {chain: {key: audit-key/audit.pem}}}}`
	fileValues  = `{audit: {keySecret: meshpass-audit-key, volume: {emptyDir: {sizeLimit: 2Gi}}}, config: {audit: {output: "/var/log/meshpass/${POD_NAME}.jsonl", chain: {key: audit-key/audit.pem}}}}`
)

// rendering is what one chart gives for some values.
type rendering struct {
	values  string
	objects []render.Object
}

// renderSwitches renders a chart with each switch, and checks that both releases of Helm render the same.
func renderSwitches(t *testing.T, chart string) (all []rendering) {
	t.Helper()
	release := istio
	first := "{}"
	if chart == "meshpass" {
		release, first = authorizer, installValues(t)
	}
	for _, values := range append([]string{"{}"}, switches[chart]...) {
		got, err := render.Helm4(release(first, values))
		if err != nil {
			t.Errorf("%s: %v", values, err)
			continue
		}
		other, err := render.Helm3(release(first, values))
		if err != nil || !cmp.Equal(got, other) {
			t.Errorf("%s: Helm 3 and Helm 4 differ: %v\n%s", values, err, cmp.Diff(other, got))
		}
		all = append(all, rendering{values, got})
	}
	return all
}

// TestEverySwitchIsValid renders every switch, and gives the objects to the check of make manifests-check: it applies Kubernetes' and
// Istio's schemas. Objects of the Prometheus Operator are read by its own types.
func TestEverySwitchIsValid(t *testing.T) {
	istiod, err := findProgram("istiod")
	if err != nil {
		t.Skipf("NOT RUN: rendered objects by the schemas of Kubernetes and Istio: needs make bin/istiod")
	}
	dir := t.TempDir()
	for chart := range switches {
		for i, r := range renderSwitches(t, chart) {
			folder := filepath.Join(dir, fmt.Sprintf("%s-%02d", chart, i))
			checkMonitoring(t, r)
			checkNames(t, r)
			writeKustomization(t, folder, slices.DeleteFunc(r.objects, isMonitoring))
		}
	}
	if t.Failed() {
		return
	}
	out, err := exec.Command(istiod, "validate", "--mesh", filepath.Join(manifests, "istio", "install.yaml"), "--dir", dir).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// checkNames finds two objects of one name, of which Helm rejects the second. Hooks of different events may share an account.
func checkNames(t *testing.T, r rendering) {
	t.Helper()
	seen := map[string]bool{}
	for _, o := range r.objects {
		if name := render.Name(o); !isRemovalCheck(o) && seen[name] {
			t.Errorf("%s: two objects are %s", r.values, name)
		} else {
			seen[name] = true
		}
	}
}

func isMonitoring(o render.Object) bool {
	return o["apiVersion"] == monitoring.SchemeGroupVersion.String()
}

func checkMonitoring(t *testing.T, r rendering) {
	t.Helper()
	for _, o := range r.objects {
		if !isMonitoring(o) {
			continue
		}
		var into any = &monitoring.PodMonitor{}
		if o["kind"] == monitoring.PrometheusRuleKind {
			into = &monitoring.PrometheusRule{}
		}
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(into); err != nil {
			t.Errorf("%s: %s: %v", r.values, render.Name(o), err)
		}
	}
}

// writeKustomization writes the objects as a folder that kustomize builds, each object once: Helm's hooks may share an account.
func writeKustomization(t *testing.T, folder string, objects []render.Object) {
	t.Helper()
	var text bytes.Buffer
	err := errors.Join(os.MkdirAll(folder, 0o700), render.Write(&text, objects),
		os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte("resources: [objects.yaml]\n"), 0o600))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "objects.yaml"), text.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// findProgram returns the path of a program that make builds.
func findProgram(name string) (string, error) {
	path, err := filepath.Abs(filepath.Join("..", "bin", name))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fs.ErrNotExist
	}
	return path, nil
}

// TestEveryValueIsSwitched names the values that no row above gives, so that a new one gets a row.
func TestEveryValueIsSwitched(t *testing.T) {
	for chart, rows := range switches {
		text, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		given := parseValues(rows...)
		if chart == "meshpass" {
			// gateway only checks values and prints notes.
			given["gateway"] = nil
		}
		for key := range parseValues(string(text)) {
			if _, is := given[key]; !is && key != "config" && key != "imagePullSecrets" && key != "image" {
				t.Errorf("%s: no row gives %s", chart, key)
			}
		}
	}
}

// TestConfigurationIsAccepted gives the rendered configuration to `meshpass config check`.
func TestConfigurationIsAccepted(t *testing.T) {
	meshpass, err := findProgram("meshpass")
	if err != nil {
		t.Skipf("NOT RUN: the rendered configuration by meshpass config check: needs make bin/meshpass")
	}
	objects, err := render.Helm4(authorizer(installValues(t)))
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(objects, func(o render.Object) bool { return render.Name(o) == "ConfigMap meshpass meshpass-config" })
	dir := t.TempDir()
	for name, content := range map[string]string{
		"meshpass.yaml": objects[at]["data"].(map[string]any)["meshpass.yaml"].(string), "overrides/overrides.yaml": "overrides: []\n", "policies/.keep": "",
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(meshpass, "config", "check", "--memory", "256MiB", "-o", "json", filepath.Join(dir, "meshpass.yaml")).Output()
	var report struct {
		Files []struct {
			Findings []struct{ Severity, Key, Message string }
		}
	}
	if json.Unmarshal(out, &report) != nil || len(report.Files) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	var got []string
	for _, f := range report.Files[0].Findings {
		if f.Severity != "not_checked" {
			got = append(got, f.Severity+" "+f.Key)
		}
	}
	// Only the two files that a cluster makes are missing.
	if want := []string{"error tls", "error trust[0].jwks.file"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q\n%s", got, want, out)
	}
}

// TestProvidersEqualTheInstallation compares the ConfigMap of the providers with manifests/istio/install.yaml.
func TestProvidersEqualTheInstallation(t *testing.T) {
	objects, err := render.Helm4(istio())
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(objects, func(o render.Object) bool { return o["kind"] == "ConfigMap" })
	var got map[string]any
	if err := yaml.UnmarshalStrict([]byte(objects[at]["data"].(map[string]any)["mesh"].(string)), &got); err != nil {
		t.Fatal(err)
	}
	install := readObjects(t, filepath.Join(manifests, "istio", "install.yaml"))[0]
	mesh := install["spec"].(map[string]any)["meshConfig"].(map[string]any)
	want := map[string]any{"extensionProviders": mesh["extensionProviders"]}
	if !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

// rejections are values that the schema or the chart rejects, and a part of the message.
func TestRejections(t *testing.T) {
	install := installValues(t)
	for _, row := range []struct {
		release render.Release
		want    []string
	}{
		{authorizer(), []string{ // all that a new user must write
			"config.trust is empty; write the gateways whose tokens are accepted, each with issuer, audience and jwks",
			"keyRotation.gatewayNamespace is empty", "config.tls.clients is missing"}},
		{authorizer(install, `config: {trust: [{issuer: a}]}`), []string{"/config/trust/0", "missing properties 'audience', 'jwks'"}},
		{authorizer(install, `config: {tls: {mode: MTLS}}`), []string{"/config/tls/mode", "'mtls', 'server', 'mesh', 'plaintext'"}},
		{authorizer(install, `config: {policies: {unguarded: allow}}`), []string{"/config/policies/unguarded", "'deny', 'shadow'"}},
		{authorizer(install, `config: {tls: {clients: []}}`), []string{"config.tls.clients is missing"}},
		{authorizer(install, `config: {ops: "127.0.0.1:9090"}`), []string{"config.ops: 127.0.0.1:9090 is reached from inside the pod only; write 0.0.0.0:9090"}},
		{authorizer(install, `config: {ops: ":9090"}`), []string{"config.ops: want IP:PORT, not :9090; write 0.0.0.0:9090"}},
		{authorizer(install, `config: {listeners: [{name: sidecar, grpc: "[::1]:9000", caller: principal, callee: principal}]}`), []string{"config.listeners[0].grpc: [::1]:9000 is reached from inside the pod only"}},
		{authorizer(install, `config: {listeners: [{name: sidecar, grpc: "0.0.0.0", caller: principal, callee: principal}]}`), []string{"config.listeners[0].grpc: want IP:PORT, not 0.0.0.0"}},
		{authorizer(install, `config: {trust: [{issuer: a, audience: b, jwks: {file: keys.json}}]}`), []string{"config.trust[0].jwks.file: keys.json is in no volume; write jwks.json"}},
		{authorizer(install, `config: {revocation: {file: r.yaml}}`), []string{"config.revocation.file: r.yaml is in no volume; mount it"}},
		{authorizer(install, `{policies: {documents: {a.yaml: a}}, config: {policies: {dirs: [{path: other}]}}}`), []string{"policies.documents: its documents are in the folder policies, but config.policies.dirs has [other]; write dirs: [{path: policies}]"}},
		{authorizer(install, `config: {policies: {overrides: o.yaml}}`), []string{"overrides.create: true makes overrides/overrides.yaml, but config.policies.overrides: o.yaml"}},
		{authorizer(install, `policies: {documents: {orders: {yaml: a}}}`), []string{`policies.documents: orders is no name of a file`, `--set-file 'policies.documents.orders\.yaml=orders.yaml'`}},
		{authorizer(install, `policies: {documents: {orders.yaml: ""}}`), []string{"policies.documents: orders.yaml is empty"}},
		{authorizer(install, `podLabels: {app: a}`), []string{"podLabels: app is a label of the chart itself; remove it"}},
		{authorizer(install, `podLabels: {meshpass.dev/guarded: "true"}`), []string{"podLabels: meshpass.dev/guarded on the authorizer: each of its decisions would need another one"}},
		{authorizer(install, `podAnnotations: {proxy.istio.io/config: "{}"}`), []string{"podAnnotations: proxy.istio.io/config is an annotation of the chart itself"}},
		{authorizer(install, `keyRotation: {lead: 200h}`), []string{"keyRotation.lead: 200h is longer than keyRotation.every: 168h, and only one key waits at a time; write every: 200h or more"}},
		{authorizer(install, `keyRotation: {every: 30d}`), []string{"keyRotation.every: 30d and keyRotation.lead: 60m are more than the 30d for which a key signs"}},
		{authorizer(install, `keyRotation: {schedule: 17}`), []string{"/keyRotation/schedule"}},
		{authorizer(install, `keyRotation: {schedule: daily}`), []string{"/keyRotation/schedule"}},
		{authorizer(install, `{autoscaling: {enabled: true}, resources: {requests: {cpu: null}}}`), []string{"autoscaling.enabled: true, but resources.requests.cpu is missing"}},
		{authorizer(install, `gateway: {release: 5.8.1}`), []string{"gateway: 5.8.1 is no release of Tyk; write it with v and three numbers, such as v5.8.1"}},
		{authorizer(install, `gateway: {plugin: {builtFor: [v5.8]}}`), []string{"gateway: v5.8 is no release of Tyk"}},
		{authorizer(install, `replica: 3`), []string{"additional properties 'replica' not allowed"}},
		{authorizer(install, `config: {limits: {inflight: 3}}`), []string{"/config/limits", "additional properties 'inflight' not allowed"}},
		{authorizer(install, `keyRotation: {namespace: edge}`), []string{"additional properties 'namespace' not allowed"}},
		{authorizer(install, `replicas: 0`), []string{"/replicas"}},
		{authorizer(install, `replicas: two`), []string{"/replicas"}},
		{authorizer(install, `image: {digest: latest}`), []string{"/image/digest"}},
		{authorizer(install, `policies: {documents: {orders.txt: "a"}}`), []string{"orders.txt"}},
		{authorizer(install, `keyRotation: {every: soon}`), []string{"/keyRotation/every"}},
		{authorizer(install, `replicas: 1`), []string{"replicas: 1 and podDisruptionBudget.minAvailable: 1: no node can be drained; write replicas: 2, or podDisruptionBudget.enabled: false"}},
		{authorizer(install, `podDisruptionBudget: {minAvailable: 2}`), []string{"no node can be drained; write replicas: 3"}},
		{authorizer(install, `{autoscaling: {enabled: true, minReplicas: 1}}`), []string{"autoscaling.minReplicas: 1 and podDisruptionBudget.minAvailable: 1"}},
		{authorizer(install, `{autoscaling: {enabled: true, minReplicas: 9}}`), []string{"autoscaling.minReplicas: 9 is above autoscaling.maxReplicas: 6; write a higher maxReplicas"}},
		{authorizer(install, `policies: {existingConfigMap: mine, image: {reference: a}}`), []string{"policies.existingConfigMap and policies.image.reference: only one of them can be the folder of documents; remove the others"}},
		{authorizer(install, `policies: {documents: {a.yaml: a}, volume: {emptyDir: {}}}`), []string{"policies.documents and policies.volume: only one of them"}},
		{authorizer(install, `policies: {artifact: {reference: registry.example.com/policies}}`), []string{"/policies/artifact/reference"}},
		{authorizer(install, `policies: {artifact: {reference: "registry.example.com/policies:1"}}`), []string{
			"config.policies.dirs has policies; write dirs: [{path: policies/current, name: policies}]",
			"policies.artifact.reference: the NetworkPolicy lets nothing out; write networkPolicy.extraEgress with a rule for the registry"}},
		{authorizer(install, `policies: {artifact: {reference: "registry.example.com/policies:1"}, image: {reference: a}}`), []string{"policies.image.reference and policies.artifact.reference: only one of them"}},
		{authorizer(install, `config: {policies: {overrides: ""}}`), []string{"overrides.create: true, but config.policies.overrides names no file"}},
		{authorizer(install, `config: {ops: ""}`), []string{"config.ops is empty, but the probes of the pod ask it; write 0.0.0.0:9090"}},
		{authorizer(install, `config: {tls: {mode: server}}`), []string{"config.tls.mode: server does not use the certificate of istio.certificate: true; write mode: mtls, or istio.certificate: false"}},
		{authorizer(install, `istio: {certificate: false}`), []string{"config.tls.certFile: Istio's agent writes it only with istio.certificate: true"}},
		{authorizer(install, `{istio: {certificate: false}, config: {tls: {mode: mesh, certFile: ""}}}`), []string{"config.tls.mode: mesh needs a sidecar before the authorizer"}},
		{authorizer(install, `config: {audit: {chain: {checkpoint: 1m}}}`), []string{"/config/audit/chain", "missing property 'key'"}},
		{authorizer(install, `config: {audit: {chain: {key: ""}}}`), []string{"/config/audit/chain/key", "minLength"}},
		{authorizer(install, `audit: {keySecret: A_B}`), []string{"/audit/keySecret"}},
		{authorizer(install, `audit: {key: a}`), []string{"additional properties 'key' not allowed"}},
		{authorizer(install, `config: {audit: {chain: {key: audit-key/audit.pem}}}`), []string{"config.audit.chain.key: audit-key/audit.pem is in no volume; write audit.keySecret with the name of a Secret that has audit.pem"}},
		{authorizer(install, `audit: {keySecret: k}`), []string{"audit.keySecret: k, but config.audit.chain.key does not name its file, so nothing is signed with it; write config.audit.chain: {key: audit-key/audit.pem}"}},
		{authorizer(install, `{audit: {keySecret: k}, config: {audit: {chain: {key: audit.pem}}}}`), []string{"audit.keySecret: k, but config.audit.chain.key does not name its file"}},
		{authorizer(install, `config: {audit: {output: /tmp/a.jsonl}}`), []string{"config.audit.output: /tmp/a.jsonl: the pod has a read-only file system; write audit.volume and output: /var/log/meshpass/${POD_NAME}.jsonl"}},
		{authorizer(install, `audit: {volume: {emptyDir: {}}}`), []string{"audit.volume is mounted at /var/log/meshpass, but config.audit.output: stdout writes nothing there"}},
		{authorizer(install, `{audit: {volume: {persistentVolumeClaim: {claimName: a}}}, config: {audit: {output: /var/log/meshpass/a.jsonl}}}`), []string{"audit.volume can be shared by pods, but config.audit.output: /var/log/meshpass/a.jsonl gives all of them one file"}},
		{authorizer(install, `keyRotation: {gatewayNamespace: ""}`), []string{"keyRotation.gatewayNamespace is empty; write the namespace of Tyk"}},
		{authorizer(install, `config: {trust: [{issuer: a, audience: b, jwks: {url: "https://keys.example.com/"}}]}`), []string{"config.trust[0].jwks.url: the NetworkPolicy lets nothing out; write networkPolicy.extraEgress"}},
		{authorizer(install, `config: {revocation: {redis: {address: "redis:6379"}}}`), []string{"config.revocation.redis: the NetworkPolicy lets nothing out"}},
		{authorizer(install, `config: {tracing: {otlp: {endpoint: "collector:4317"}}}`), []string{"config.tracing.otlp.endpoint: the NetworkPolicy lets nothing out"}},
		{authorizer(`{config: {trust: [{issuer: a, audience: b, jwks: {file: jwks.json}}]}, keyRotation: {enabled: false}}`), []string{"config.tls.clients is missing; write the workloads that may ask, such as [ns/shop/sa/*]"}},
		{authorizer(install, `gateway: {release: v5.8.1, plugin: {builtFor: [v5.8.0]}}`), []string{"gateway.release: v5.8.1, but gateway.plugin.builtFor: [v5.8.0]: Tyk cannot load a plugin of another release; write a plugin that is built for v5.8.1"}},
		{authorizer(install, `gateway: {plugin: {from: bundle, bundle: {publicKeyPath: /key.pem}}}`), []string{"gateway.plugin.bundle.signed: false, but publicKeyPath: /key.pem: Tyk loads no API with an unsigned bundle then; sign the bundle"}},
		{authorizer(install, `gateway: {plugin: {bundle: {signed: true}}}`), []string{"gateway.plugin.bundle has values, but gateway.plugin.from: image; write from: bundle"}},
		{authorizer(install, `{podMonitor: {gateway: {enabled: true}}, keyRotation: {enabled: false, gatewayNamespace: ""}}`), []string{"podMonitor.gateway.enabled: true, but keyRotation.gatewayNamespace is empty; write the namespace of Tyk"}},
		{authorizer(install, `prometheusRule: {disabled: [MeshpassNone]}`), []string{"prometheusRule.disabled: there is no alert MeshpassNone"}},
		{authorizer(install, `{replicas: 1, config: {ops: ""}}`), []string{"no node can be drained", "config.ops is empty"}}, // all of them together
		{istio(`policies: {close: {enabled: true}}`), []string{"additional properties 'close' not allowed"}},
		{istio(`mutualTLS: {namespaces: ["*"]}`), []string{"/mutualTLS/namespaces/0"}},
		{istio(`waypoints: [{name: waypoint}]`), []string{"missing property 'namespace'"}},
		{istio(`providers: {timeout: 250ms}`), []string{"/providers/timeout"}},
		{istio(`providers: {closed: {failOpen: true}}`), []string{"providers.closed.failOpen: true, but policies.closed.enabled: true", "write failOpen: false"}},
		{istio(`providers: {open: {name: meshpass}}`), []string{"providers: the names meshpass, meshpass, meshpass-waypoint, meshpass-ingress are not different"}},
		{istio(`policies: {open: {enabled: true}}`), []string{"policies.open.enabled: true needs policies.open.backstop", "write issuer, audiences, and jwks or jwksUri"}},
		{istio(`policies: {open: {enabled: true, backstop: {issuer: "https://a", audiences: [b], jwks: '{"keys": [{}]}', jwksUri: "https://a/"}}}`), []string{"Istio accepts jwks or jwksUri, not both"}},
		{istio(`policies: {open: {enabled: true, backstop: {issuer: "https://a", audiences: [b], jwks: '{"keys": []}'}}}`), []string{"policies.open.backstop.jwks has no keys: Envoy rejects the listener"}},
		{istio(`providers: {timeout: 0s}`), []string{"providers.timeout: 0s; write 0.001s to 10s", "0s is no bound"}},
		{istio(`providers: {timeout: 60s}`), []string{"providers.timeout: 60s; write 0.001s to 10s"}},
		{istio(`authorizer: {port: 9010}`), []string{"authorizer: port, waypointPort and ingressPort are [9010, 9010, 9020]: each is a listener of its own; write different ports"}},
		{istio(`mutualTLS: {workloads: [{namespace: shop, name: a, labels: {app: a}}, {namespace: shop, name: a, labels: {app: b}}]}`), []string{"mutualTLS.workloads: shop/a is listed twice; remove one"}},
		{istio(`ingress: {gateways: [{namespace: i, name: a}, {namespace: i, name: a}]}`), []string{"/ingress/gateways", "items at 0 and 1 are equal"}},
		{istio(`{fence: {namespaces: [shop]}, policies: {closed: {enabled: false}}}`), []string{`the fence opens pods with the label meshpass.dev/guarded: "true", and no policy decides their requests`}},
		{istio(`mutualTLS: {namespaces: [istio-system]}`), []string{"mutualTLS.namespaces: istio-system is Istio's root namespace, where it applies to the whole mesh"}},
		{istio(`mutualTLS: {workloads: [{namespace: istio-system, name: a, labels: {app: a}}]}`), []string{"mutualTLS.workloads: a is in Istio's root namespace"}},
		{istio(`fence: {namespaces: [istio-system]}`), []string{"fence.namespaces: istio-system is Istio's root namespace: every workload of the mesh would be closed"}},
		{istio(`waypoints: [{namespace: shop, name: a}, {namespace: shop, name: a, guard: true}]`), []string{"waypoints: shop/a is listed twice"}},
		{istio(`{waypoints: [{namespace: shop, name: a}], fence: {namespaces: [shop]}}`), []string{"ztunnel does not support the fence's policies"}},
	} {
		for helm, renderChart := range renderers {
			_, err := renderChart(row.release)
			for _, want := range row.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s, %s %v: got %v\nwant %s", helm, row.release.Chart, row.release.Values, err, want)
				}
			}
		}
	}
}

// TestHelmRendersTheSame compares the program helm with its library, and its lint.
func TestHelmRendersTheSame(t *testing.T) {
	helm, err := findProgram("helm")
	if err != nil {
		t.Skipf("NOT RUN: the charts by the program helm: needs make bin/helm, which make test does not build")
	}
	for chart, values := range map[string]string{"meshpass": filepath.Join("testdata", "install.yaml"), "meshpass-istio": os.DevNull} {
		out, err := exec.Command(helm, "template", chart, chart, "-n", "meshpass", "-f", values, "--include-crds").Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		got, err := render.Parse(out)
		if err != nil {
			t.Fatal(err)
		}
		release := istio()
		if chart == "meshpass" {
			release = authorizer(installValues(t))
		}
		want, err := render.Helm4(release)
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(byName(got), byName(want)) {
			t.Error(cmp.Diff(byName(want), byName(got)))
		}
		if out, err := exec.Command(helm, "lint", "--strict", chart, "-f", values).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func byName(objects []render.Object) map[string]render.Object {
	named := map[string]render.Object{}
	for _, o := range objects {
		named[render.Name(o)] = o
	}
	return maps.Clone(named)
}
