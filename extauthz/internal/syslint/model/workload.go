package model

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// Workload is a set of pods with one template.
type Workload struct {
	Object      *objects.Object
	Namespace   string
	Name        string
	Account     string // of the pods
	Labels      map[string]string
	Annotations *objects.Node // of the pods; nil: absent
	PodSpec     *objects.Node // nil: it is no pod
	Revision    string        // of Istio; empty: the default
}

// Identity is the name of the workload in documents.
func (w *Workload) Identity() string { return "ns/" + w.Namespace + "/sa/" + w.Account }

// Title names the object.
func (w *Workload) Title() string { return w.Object.Title() }

// Containers are those that run, with the sidecars among the init containers.
func (w *Workload) Containers() []*objects.Node {
	all := slices.Clone(w.PodSpec.Find("containers").Entries())
	for _, c := range w.PodSpec.Find("initContainers").Entries() {
		if c.Find("restartPolicy").String() == "Always" {
			all = append(all, c)
		}
	}
	return all
}

// Annotation is an annotation of the pods; nil: it is absent.
func (w *Workload) Annotation(name string) *objects.Node { return w.Annotations.Find(name) }

// Environment gives the values of a container that are written in it.
func Environment(container *objects.Node) map[string]*objects.Node {
	all := map[string]*objects.Node{}
	for _, e := range container.Find("env").Entries() {
		if value := e.Find("value"); value != nil {
			all[e.Find("name").String()] = value
		}
	}
	return all
}

func (m *Model) readWorkloads() {
	for _, o := range m.Set.Objects {
		spec, meta := o.Spec(), o.Root.Find("metadata")
		switch {
		case o.Group == objects.Core && o.Kind == "Pod":
			m.addWorkload(o, meta, spec)
		case o.Group == objects.Batch && o.Kind == "CronJob":
			template := spec.FindPath("jobTemplate", "spec", "template")
			m.addWorkload(o, template.Find("metadata"), template.Find("spec"))
		case o.Group == objects.Argo && spec.Find("template") == nil: // it runs the pods of the Deployment that workloadRef names
		case o.Group == objects.Apps, o.Group == objects.Batch, o.Group == objects.Argo:
			m.addWorkload(o, spec.FindPath("template", "metadata"), spec.FindPath("template", "spec"))
		case o.Group == objects.Networking && o.Kind == "WorkloadEntry":
			m.addMachine(o, spec.Find("labels"), spec.Find("serviceAccount"))
		case o.Group == objects.Networking && o.Kind == "WorkloadGroup":
			m.addMachine(o, spec.FindPath("metadata", "labels"), spec.FindPath("template", "serviceAccount"))
		}
	}
}

func (m *Model) addWorkload(o *objects.Object, meta, spec *objects.Node) {
	w := &Workload{
		Object: o, Namespace: o.Namespace, Name: o.Name, Labels: meta.Find("labels").TextMap(), Annotations: meta.Find("annotations"), PodSpec: spec,
		Account: spec.Find("serviceAccountName").String(),
	}
	if w.Account == "" {
		if w.Account = spec.Find("serviceAccount").String(); w.Account == "" {
			w.Account = "default"
		}
	}
	// The labels of the namespace count before those of the pod, and the default revision before another one.
	if m.NamespaceLabel(o.Namespace, "istio-injection") == "" {
		if w.Revision = m.NamespaceLabel(o.Namespace, "istio.io/rev"); w.Revision == "" {
			w.Revision = w.Labels["istio.io/rev"]
		}
	}
	m.Workloads = append(m.Workloads, w)
}

func (m *Model) addMachine(o *objects.Object, labels, account *objects.Node) {
	w := &Workload{Object: o, Namespace: o.Namespace, Name: o.Name, Labels: labels.TextMap(), Account: account.String()}
	if w.Account == "" {
		w.Account = "default"
	}
	m.Workloads = append(m.Workloads, w)
}

// Injection is whether the pods of a workload get a sidecar.
type Injection int

// The answers. Unknown means that the namespace is not in the input.
const (
	NotInjected Injection = iota
	Injected
	UnknownInjection
)

// InjectionOf finds whether the pods get a sidecar, by the rules of Istio's webhook: the label or annotation of the pod, then the label of the
// namespace.
func (m *Model) InjectionOf(w *Workload) Injection {
	if w.PodSpec == nil {
		return Injected // a machine outside of Kubernetes has its own proxy
	}
	if w.PodSpec.Find("hostNetwork").IsTrue() {
		return NotInjected
	}
	if slices.ContainsFunc(w.Containers(), func(c *objects.Node) bool {
		return c.Find("name").String() == "istio-proxy" && c.Find("image").String() != "" && c.Find("image").String() != "auto"
	}) {
		return Injected // a native sidecar is an init container
	}
	if w.Labels["gateway.networking.k8s.io/gateway-name"] != "" {
		return Injected
	}
	if templates := w.Annotation("inject.istio.io/templates").String(); strings.Contains(templates, "grpc-") && !strings.Contains(templates, "sidecar") {
		return NotInjected // gRPC without a proxy
	}
	label := w.Labels["sidecar.istio.io/inject"]
	if own := label; own == "false" || own == "" && w.Annotation("sidecar.istio.io/inject").String() == "false" {
		return NotInjected
	}
	if m.Namespaces[w.Namespace] == nil && label == "" {
		return UnknownInjection
	}
	inject, revision := m.NamespaceLabel(w.Namespace, "istio-injection"), m.NamespaceLabel(w.Namespace, "istio.io/rev")
	switch { // an annotation alone has no effect: the webhook selects by labels
	case inject == "disabled", label != "true" && m.injectsOnRequest(w):
		return NotInjected
	case inject == "enabled", revision != "", label == "true", w.Labels["istio.io/rev"] != "", inject == "" && m.injectsByDefault():
		return Injected
	}
	return NotInjected
}

// IsAmbientWorkload reports pods without a sidecar in ambient mode: by the label of the namespace, or by their own.
func (m *Model) IsAmbientWorkload(w *Workload) bool {
	switch w.Labels["istio.io/dataplane-mode"] {
	case "ambient":
		return m.InjectionOf(w) != Injected
	case "none":
		return false
	}
	return m.IsAmbient(w.Namespace)
}

// injectsOnRequest reports a setting of the injector: pods without an own label or annotation get no sidecar.
func (m *Model) injectsOnRequest(w *Workload) bool {
	return w.Annotation("sidecar.istio.io/inject").String() != "true" && slices.ContainsFunc(m.MeshesOf(w), func(mesh *Mesh) bool {
		return mesh.FindValue("global", "proxy", "autoInject").String() == "disabled"
	})
}

// injectsByDefault reports the setting of the injector for namespaces without a label.
func (m *Model) injectsByDefault() bool {
	return slices.ContainsFunc(m.Meshes, func(mesh *Mesh) bool {
		return mesh.FindValue("sidecarInjectorWebhook", "enableNamespacesByDefault").IsTrue()
	})
}

// IsGateway reports whether the pods are a gateway of Istio, or a waypoint, whose proxy is no sidecar: by the label that istiod gives them, by
// the template that injects the proxy, or by the proxy's own arguments.
func (w *Workload) IsGateway() bool {
	if w.Labels["gateway.networking.k8s.io/gateway-name"] != "" || strings.Contains(w.Annotation("inject.istio.io/templates").String(), "gateway") {
		return true
	}
	return slices.ContainsFunc(w.Containers(), func(c *objects.Node) bool {
		return c.Find("name").String() == "istio-proxy" && slices.Contains(c.Find("args").Texts(), "router")
	})
}

// ProxyConfig is a value of the pods' own part of the MeshConfig (annotation proxy.istio.io/config); nil: it is not set there.
func (w *Workload) ProxyConfig(keys ...string) any {
	text := w.Annotation("proxy.istio.io/config").String()
	if text == "" {
		return nil
	}
	var value any
	if yaml.Unmarshal([]byte(text), &value) != nil {
		return nil
	}
	for _, key := range keys {
		members, _ := value.(map[string]any)
		value = members[key]
	}
	return value
}

// Port is a port of the pods that a Service or the template names.
type Port struct {
	Number   int
	Name     string
	Protocol Protocol
	Node     *objects.Node
}

// Protocol is what Istio takes the traffic of a port for.
type Protocol string

// The protocols. Auto is detected from the first bytes.
const (
	HTTP  Protocol = "http"
	HTTP2 Protocol = "http2" // also gRPC
	TCP   Protocol = "tcp"   // and all that Istio does not read
	UDP   Protocol = "udp"
	Auto  Protocol = "auto"
)

// ProtocolOf finds the protocol of a port of a Service or ServiceEntry, as Istio does: appProtocol, then the name up to its first dash.
func ProtocolOf(port *objects.Node) Protocol {
	if port.Find("protocol").String() == "UDP" {
		return UDP
	}
	name := strings.ToLower(port.Find("appProtocol").String())
	if name == "" {
		if p := strings.ToLower(port.Find("protocol").String()); p != "" && p != "tcp" { // of a ServiceEntry
			name = p
		} else if p == "tcp" && port.Find("number") != nil {
			return TCP
		} else {
			name, _, _ = strings.Cut(strings.ToLower(port.Find("name").String()), "-")
			if rest := strings.ToLower(port.Find("name").String()); strings.HasPrefix(rest, "grpc-web") {
				name = "grpc-web"
			}
		}
	}
	switch name {
	case "http", "grpc-web", "kubernetes.io/ws":
		return HTTP
	case "http2", "grpc", "kubernetes.io/h2c":
		return HTTP2
	case "tcp", "tls", "https", "mongo", "redis", "mysql", "hbone", "kubernetes.io/wss":
		return TCP
	case "udp":
		return UDP
	}
	return Auto
}

// PortsOf gives the ports of a workload: those of Services that select it, and the container ports that no Service names.
func (m *Model) PortsOf(w *Workload) []Port {
	var all []Port
	seen := map[int]bool{}
	for _, h := range m.Hosts {
		if !h.SelectsWorkload(w) {
			continue
		}
		for _, p := range h.Ports {
			number := w.ResolvePort(p)
			if number == 0 || seen[number] {
				continue
			}
			seen[number] = true
			all = append(all, Port{Number: number, Name: p.Find("name").String(), Protocol: ProtocolOf(p), Node: p})
		}
	}
	return all
}

// ResolvePort finds the pods' port behind a port of a Service; 0: it is not known.
func (w *Workload) ResolvePort(p *objects.Node) int {
	target := p.Find("targetPort")
	if target.IsEmpty() {
		return max(p.Find("port").Int(), p.Find("number").Int())
	}
	if number := target.Int(); number > 0 {
		return number
	}
	return w.FindContainerPort(target.String())
}

// FindContainerPort gives the number of a port that a container names; 0: it is absent.
func (w *Workload) FindContainerPort(name string) int {
	for _, c := range w.Containers() {
		for _, p := range c.Find("ports").Entries() {
			if p.Find("name").String() == name {
				return p.Find("containerPort").Int()
			}
		}
	}
	return 0
}

// HasPort reports a port that a container declares, or that the sidecar opens (15000 to 15099).
func (w *Workload) HasPort(number int) bool {
	if 15000 <= number && number < 15100 {
		return true
	}
	return slices.ContainsFunc(w.Containers(), func(c *objects.Node) bool {
		return slices.ContainsFunc(c.Find("ports").Entries(), func(p *objects.Node) bool { return p.Find("containerPort").Int() == number })
	})
}

// DeclaresAllPorts reports whether every container declares ports. Without that, one may listen on any port.
func (w *Workload) DeclaresAllPorts() bool {
	return !slices.ContainsFunc(w.Containers(), func(c *objects.Node) bool { return c.Find("ports").IsEmpty() })
}

// IsAuthorizer reports a container that runs `meshpass serve`.
func IsAuthorizer(container *objects.Node) bool {
	words := append(container.Find("command").Texts(), container.Find("args").Texts()...)
	image := container.Find("image").String()
	return slices.Contains(words, "serve") && (strings.Contains(image, "meshpass") || slices.ContainsFunc(words, func(word string) bool { return strings.Contains(word, "meshpass") }))
}

// RunsAuthorizer reports pods with a container that runs `meshpass serve`.
func (w *Workload) RunsAuthorizer() bool { return slices.ContainsFunc(w.Containers(), IsAuthorizer) }

// IsBeside reports a workload whose own pod has an authorizer for it: its Checks do not pass its sidecar's inbound side.
func (w *Workload) IsBeside() bool {
	others := slices.ContainsFunc(w.Containers(), func(c *objects.Node) bool {
		return c.Find("name").String() != "istio-proxy" && !slices.Contains(append(c.Find("command").Texts(), c.Find("args").Texts()...), "serve")
	})
	return w.RunsAuthorizer() && others
}
