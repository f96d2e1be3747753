// Package incluster finds the parts of an installation in a Kubernetes cluster. It reads pods, and the ConfigMap with the
// plugin's file, and no Secret. The parts are reached by port-forward.
package incluster

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/meshpass/meshpass/extauthz/internal/doctor"
	"github.com/meshpass/meshpass/extauthz/internal/kubeclient"
)

// Settings say where the parts are.
type Settings struct {
	Namespace      string // of the authorizer
	Selector       string // of its pods
	IstioNamespace string
	CanaryPath     string
	MetricsPort    int           // of the plugin; 0: read its file from the ConfigMap
	Timeout        time.Duration // to open a way to a pod
}

// DefaultSettings are those of the charts and manifests.
func DefaultSettings() Settings {
	return Settings{Namespace: "meshpass", Selector: "app=meshpass", IstioNamespace: "istio-system"}
}

// Ports that Istio and our manifests use.
const (
	opsPort    = 9090
	adminPort  = 15000
	istiodPort = 8080
)

const (
	guardedLabel = "meshpass.dev/guarded"
	rights       = "docs/doctor.md#rights"
)

var (
	podResource       = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	configMapResource = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
)

// finder collects the parts.
type finder struct {
	Settings
	client    dynamic.Interface
	forwarder forwarder
	selector  labels.Selector
	found     doctor.Installation
	guarded   map[string]bool // workloads that have an Envoy in found
}

// Find lists the pods of the cluster once.
func Find(ctx context.Context, c kubeclient.Config, s Settings) (doctor.Installation, error) {
	selector, err := labels.Parse(s.Selector)
	if err != nil {
		return doctor.Installation{}, fmt.Errorf("--selector: %w", err)
	}
	config, err := c.Load()
	if err != nil {
		return doctor.Installation{}, err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return doctor.Installation{}, fmt.Errorf("cannot connect to the cluster: %w", err)
	}
	f := finder{Settings: s, client: client, forwarder: forwarder{config, s.Timeout}, selector: selector, guarded: map[string]bool{}}
	missing := func(detail, do string, checks ...string) {
		for _, check := range checks {
			f.found.Missing[check] = doctor.Missing{Detail: detail, Do: do}
		}
	}
	f.found.Missing = map[string]doctor.Missing{}
	missing(fmt.Sprintf("no pod with %s in the namespace %s", s.Selector, s.Namespace), "install the authorizer, or name its --namespace and --selector", "authorizer")
	missing("no pod with app=istiod in the namespace "+s.IstioNamespace, "name its --istio-namespace; for a control plane outside the cluster, use --skip istiod", "istiod")
	missing("no pod has the label "+guardedLabel, "label the workloads to guard (docs/install.md)", "envoy", "provider")
	missing("no container has the variable MESHPASS_CONFIG", "add the plugin to Tyk (docs/tyk.md); check a gateway outside the cluster by its addresses", "gateway", "canary", "plugin")
	err = f.readPods(ctx)
	return f.found, err
}

func (f *finder) readPods(ctx context.Context) error {
	var unreadable error
	err := kubeclient.VisitObjects(ctx, f.client.Resource(podResource), metav1.ListOptions{}, func(item *unstructured.Unstructured) error {
		var p pod
		text, err := item.MarshalJSON()
		if err == nil {
			err = json.Unmarshal(text, &p)
		}
		if err != nil {
			unreadable = fmt.Errorf("reading the pod %s/%s: %w", item.GetNamespace(), item.GetName(), err)
			return unreadable
		}
		if p.Metadata.DeletionTimestamp == "" && p.Status.Phase != "Succeeded" && p.Status.Phase != "Failed" {
			f.addPod(ctx, p)
		}
		return nil
	})
	switch {
	case unreadable != nil:
		return unreadable
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		for _, check := range doctor.Checks {
			f.found.Missing[check] = doctor.Missing{Detail: "no right to list the pods of the cluster", Do: rights}
		}
		return nil
	case err != nil:
		return fmt.Errorf("listing the pods of the cluster: %w", err)
	}
	return nil
}

func (f *finder) addPod(ctx context.Context, p pod) {
	if p.Metadata.Namespace == f.Namespace && f.selector.Matches(labels.Set(p.Metadata.Labels)) {
		f.addAuthorizer(p)
	}
	if p.Metadata.Namespace == f.IstioNamespace && p.Metadata.Labels["app"] == "istiod" && p.problem() == "" {
		f.found.Istiods = append(f.found.Istiods, f.newAddress(p, istiodPort))
	}
	if p.Metadata.Labels[guardedLabel] != "" {
		f.addGuarded(p)
	}
	for _, c := range p.Spec.Containers {
		if file := c.env("MESHPASS_CONFIG"); file != "" {
			f.addGateway(ctx, p, c, file)
		}
	}
}

// newAddress is a port of a pod, reached by port-forward.
func (f *finder) newAddress(p pod, port int) doctor.Address {
	name := fmt.Sprintf("pod %s:%d", p.name(), port)
	return doctor.Address{Name: name, URL: "http://127.0.0.1:" + strconv.Itoa(port), Client: f.forwarder.newClient(p.Metadata.Namespace, p.Metadata.Name, port)}
}

func (f *finder) addLine(check string, p pod, result doctor.Result, detail, do string) {
	f.found.Lines = append(f.found.Lines, doctor.Line{Check: check, Subject: "pod " + p.name(), Result: result, Detail: detail, Do: do})
}

func (f *finder) addAuthorizer(p pod) {
	if problem := p.problem(); problem != "" {
		f.addLine("authorizer", p, doctor.Wrong, "does not run: "+problem, "kubectl describe pod, and the log of the container before (kubectl logs --previous)")
		return
	}
	port := opsPort
	for _, c := range p.Spec.Containers {
		if named := c.port("http-ops"); named != 0 {
			port = named
		}
	}
	f.found.Authorizers = append(f.found.Authorizers, f.newAddress(p, port))
}

// addGuarded adds one pod of each guarded workload.
func (f *finder) addGuarded(p pod) {
	if f.guarded[p.workload()] || p.problem() != "" {
		return
	}
	f.guarded[p.workload()] = true
	_, hasSidecar := p.findContainer("istio-proxy")
	switch {
	case hasSidecar:
		value := p.Metadata.Labels[guardedLabel]
		f.found.Envoys = append(f.found.Envoys, doctor.Envoy{Admin: f.newAddress(p, adminPort), Open: value == "open" || value == "observe"})
	case p.Metadata.Annotations["ambient.istio.io/redirection"] == "enabled":
		f.addLine("envoy", p, doctor.NotChecked, "is in ambient mode, so a waypoint asks the authorizer", "check the waypoint by its address: docs/doctor.md#waypoints-and-gateways")
	default:
		f.addLine("envoy", p, doctor.Wrong, "has the label "+guardedLabel+" and no sidecar: every request passes without a decision", "enable injection for its namespace, and restart it")
	}
}

func (f *finder) addGateway(ctx context.Context, p pod, c container, file string) {
	name := "pod " + p.name()
	if problem := p.problem(); problem != "" {
		f.addLine("gateway", p, doctor.Wrong, "does not run: "+problem, "kubectl describe pod; an init container that tests the plugin names the cause")
		return
	}
	probed, port := p.probeOf(c, c.ReadinessProbe, "readyz")
	if probed != f.CanaryPath {
		f.addLine("canary", p, doctor.Wrong, fmt.Sprintf("the readiness probe asks %q and not %s: the pod is ready while the plugin cannot sign", probed, f.CanaryPath), "docs/install.md, readinessProbe; or name the path with --canary-path")
	}
	if named := c.port("http"); port == 0 || named != 0 && probed != f.CanaryPath {
		port = named
	}
	g := doctor.Gateway{Name: name, Hello: f.newAddress(p, port), Canary: f.newAddress(p, port)}
	if live, at := p.probeOf(c, c.LivenessProbe, "livez"); live == "/hello" && at != 0 {
		g.Hello = f.newAddress(p, at)
	}
	g.Hello.URL += "/hello"
	g.Canary.URL += f.CanaryPath
	if port, missing := f.findMetrics(ctx, p, c, file); port != 0 {
		g.Metrics = f.newAddress(p, port)
	} else {
		g.NoMetrics = missing
	}
	f.found.Gateways = append(f.found.Gateways, g)
}

// findMetrics reads metrics in the plugin's file, if it is in a ConfigMap.
func (f *finder) findMetrics(ctx context.Context, p pod, c container, file string) (port int, missing doctor.Missing) {
	if f.MetricsPort != 0 {
		return f.MetricsPort, doctor.Missing{}
	}
	const give = "set metrics in the plugin's file to an address such as 127.0.0.1:9092, and give the port with --metrics-port"
	names := p.configMapsAt(c, file)
	for _, name := range names {
		object, err := f.client.Resource(configMapResource).Namespace(p.Metadata.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return 0, doctor.Missing{Detail: fmt.Sprintf("the ConfigMap %s with the plugin's file cannot be read: %s", name, apierrors.ReasonForError(err)), Do: rights}
		}
		data, _, _ := unstructured.NestedString(object.Object, "data", path.Base(file))
		if data == "" {
			continue
		}
		var settings struct{ Metrics string }
		if err := yaml.Unmarshal([]byte(data), &settings); err != nil {
			return 0, doctor.Missing{Detail: fmt.Sprintf("the plugin's file in the ConfigMap %s is not YAML", name), Do: "meshpass config check"}
		}
		number, err := strconv.ParseUint(settings.Metrics[strings.LastIndex(settings.Metrics, ":")+1:], 10, 16)
		if err != nil {
			return 0, doctor.Missing{Detail: "the plugin's file sets no metrics", Do: give}
		}
		return int(number), doctor.Missing{}
	}
	return 0, doctor.Missing{Detail: "the plugin's file is not in a ConfigMap, and Secrets are not read", Do: give}
}
