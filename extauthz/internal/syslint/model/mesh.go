package model

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	meshv1alpha1 "istio.io/api/mesh/v1alpha1"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// Mesh is a MeshConfig. Several files of istioctl make one.
type Mesh struct {
	Revision string          // of Istio; empty: the default
	layers   []*objects.Node // the last one that has a value counts
	Values   []*objects.Node // Helm values and the components' settings beside it
	shared   *objects.Node   // the MeshConfig that SHARED_MESH_CONFIG names; nil: there is no such one
	Root     *objects.Node   // for a finding about what no layer has
}

// IsOf reports whether the MeshConfig is that of a revision, or of a tag that Helm values give it.
func (m *Mesh) IsOf(revision string) bool {
	if revision == "" {
		revision = "default"
	}
	return m.Revision == revision || revision == "default" && m.Revision == "" || slices.ContainsFunc(m.Values, func(values *objects.Node) bool {
		return slices.Contains(values.Find("revisionTags").Texts(), revision) || slices.Contains(values.FindPath("values", "revisionTags").Texts(), revision)
	})
}

// Find gives a value of the MeshConfig.
func (m *Mesh) Find(keys ...string) *objects.Node {
	for i := len(m.layers) - 1; i >= 0; i-- {
		if n := m.layers[i].FindPath(keys...); n != nil {
			return n
		}
	}
	if len(keys) > 0 && keys[0] == "extensionProviders" {
		return nil // see [Mesh.Providers]
	}
	return m.shared.FindPath(keys...)
}

// FindValue gives a setting of the chart istiod, such as global.proxy.excludeInboundPorts: as Helm values, in IstioOperator, or below the name
// of a chart around it.
func (m *Mesh) FindValue(keys ...string) *objects.Node {
	for i := len(m.Values) - 1; i >= 0; i-- {
		for _, prefix := range [][]string{nil, {"values"}, {"istiod"}} {
			if n := m.Values[i].FindPath(slices.Concat(prefix, keys)...); n != nil {
				return n
			}
		}
	}
	return nil
}

// Provider is an extension provider.
type Provider struct {
	Name   string
	Node   *objects.Node
	Config *objects.Node // the settings
	GRPC   bool          // envoyExtAuthzGrpc
	HTTP   bool          // envoyExtAuthzHttp
}

// IsExtAuthz reports a provider that CUSTOM policies can name.
func (p *Provider) IsExtAuthz() bool { return p.GRPC || p.HTTP }

// Providers are the extension providers. Istio merges those of the shared MeshConfig by their names.
func (m *Mesh) Providers() []*Provider {
	var all []*Provider
	own := m.Find("extensionProviders").Entries()
	for _, n := range m.shared.Find("extensionProviders").Entries() {
		if name := n.Find("name").String(); !slices.ContainsFunc(own, func(other *objects.Node) bool { return other.Find("name").String() == name }) {
			all = append(all, newProvider(n))
		}
	}
	for _, n := range own {
		all = append(all, newProvider(n))
	}
	return all
}

func newProvider(n *objects.Node) *Provider {
	p := &Provider{Name: n.Find("name").String(), Node: n}
	switch {
	case n.Find("envoyExtAuthzGrpc") != nil:
		p.GRPC, p.Config = true, n.Find("envoyExtAuthzGrpc")
	case n.Find("envoyExtAuthzHttp") != nil:
		p.HTTP, p.Config = true, n.Find("envoyExtAuthzHttp")
	default:
		for _, member := range n.Members() {
			if member.Key != "name" {
				p.Config = member
			}
		}
	}
	return p
}

// FindProvider gives the first provider of a name.
func (m *Mesh) FindProvider(name string) *Provider {
	for _, p := range m.Providers() {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// readMeshes finds all MeshConfigs: of istioctl, of the Sail operator, of Helm values, in the ConfigMap istio, and by themselves.
func (m *Model) readMeshes() {
	byRevision := map[string]*Mesh{}
	add := func(revision string, config, values *objects.Node) {
		if revision == "default" {
			revision = ""
		}
		mesh := byRevision[revision]
		if mesh == nil {
			mesh = &Mesh{Revision: revision}
			byRevision[revision] = mesh
			m.Meshes = append(m.Meshes, mesh)
		}
		if config != nil {
			useJSONNames(config, (&meshv1alpha1.MeshConfig{}).ProtoReflect().Descriptor())
			mesh.layers, mesh.Root = append(mesh.layers, config), config
		}
		if values != nil {
			mesh.Values = append(mesh.Values, values)
			if mesh.Root == nil {
				mesh.Root = values
			}
		}
	}
	for _, o := range m.OfKind(objects.Install, "IstioOperator") {
		revision := cmp.Or(o.Spec().Find("revision").String(), o.Spec().FindPath("values", "revision").String())
		add(revision, o.Spec().FindPath("values", "meshConfig"), nil)
		add(revision, o.Spec().Find("meshConfig"), o.Spec())
	}
	for _, o := range m.OfKind(objects.Sail, "Istio") {
		add(sailRevision(o), o.Spec().FindPath("values", "meshConfig"), o.Spec().Find("values"))
	}
	for _, c := range m.Set.ContentsOf(objects.MeshValues) {
		config := c.Root.Find("meshConfig")
		for _, key := range []string{"values", "istiod"} {
			if config == nil {
				config = c.Root.FindPath(key, "meshConfig")
			}
		}
		revision := c.Root.Find("revision").String()
		if revision == "" {
			revision = m.valuesRevision()
		}
		add(revision, config, c.Root)
	}
	for _, c := range m.Set.ContentsOf(objects.MeshConfig) {
		if c.Holder != "" && !strings.HasPrefix(c.Holder, "istio") {
			continue // a shared one
		}
		revision := ""
		if c.Holder != "" {
			revision = strings.TrimPrefix(strings.TrimPrefix(c.Holder, "istio"), "-")
		}
		add(revision, c.Root, nil)
	}
	m.RootNamespace = "istio-system"
	for _, mesh := range m.Meshes {
		if root := mesh.Find("rootNamespace").String(); root != "" {
			m.RootNamespace = root
		}
	}
	for _, mesh := range m.Meshes {
		mesh.shared = m.sharedConfig(mesh)
	}
}

// useJSONNames gives the members of a MeshConfig their names in JSON. istiod also reads those of the protocol buffers, such as fail_open, but not
// of what it takes out of the text before.
func useJSONNames(n *objects.Node, message protoreflect.MessageDescriptor) {
	for _, m := range n.Members() {
		field := message.Fields().ByJSONName(m.Key)
		if field == nil && m.Key != "default_config" && m.Key != "default_providers" {
			field = message.Fields().ByName(protoreflect.Name(m.Key))
		}
		if field == nil {
			continue
		}
		m.Key = field.JSONName()
		if field.Message() == nil || field.IsMap() {
			continue
		}
		for _, each := range append(m.Entries(), m) {
			useJSONNames(each, field.Message())
		}
	}
}

// sailRevision is the revision of an object Istio of the Sail operator: its name, or with the strategy RevisionBased that and the version.
func sailRevision(o *objects.Object) string {
	if o.Spec().FindPath("updateStrategy", "type").String() != "RevisionBased" {
		return o.Name
	}
	return o.Name + "-" + strings.ReplaceAll(o.Spec().Find("version").String(), ".", "-")
}

// valuesRevision is the revision that Helm values name, if there is one: several files of values make one installation.
func (m *Model) valuesRevision() string {
	found := ""
	for _, c := range m.Set.ContentsOf(objects.MeshValues) {
		switch revision := c.Root.Find("revision").String(); {
		case revision == "" || revision == found:
		case found != "":
			return ""
		default:
			found = revision
		}
	}
	return found
}

// sharedConfig gives the MeshConfig of the ConfigMap that istiod's variable SHARED_MESH_CONFIG names.
func (m *Model) sharedConfig(mesh *Mesh) *objects.Node {
	name := m.IstiodVariable(mesh, "SHARED_MESH_CONFIG")
	namespace := cmp.Or(mesh.FindValue("global", "istioNamespace").String(), "istio-system")
	for _, c := range m.Set.ContentsOf(objects.MeshConfig) {
		if name != "" && c.Holder == name && slices.Contains([]string{namespace, m.RootNamespace, ""}, c.Namespace) {
			useJSONNames(c.Root, (&meshv1alpha1.MeshConfig{}).ProtoReflect().Descriptor())
			return c.Root
		}
	}
	return nil
}

// IstiodVariable gives a variable of istiod: in Helm values (pilot.env), in the settings of a component, or in its Deployment. "" is an absent one.
func (m *Model) IstiodVariable(mesh *Mesh, name string) string {
	for _, keys := range [][]string{{"pilot", "env", name}, {"env", name}} { // of IstioOperator, and of the chart
		if n := mesh.FindValue(keys...); n != nil {
			return n.String()
		}
	}
	found := ""
	find := func(n *objects.Node) bool {
		if n.Find("name").String() == name {
			found = n.Find("value").String()
		}
		return found == ""
	}
	for _, values := range mesh.Values {
		values.Find("components").Walk(find)
	}
	for _, o := range m.OfKind(objects.Apps, "Deployment") {
		if o.Labels["app"] == "istiod" && (mesh.Revision == "" || o.Labels["istio.io/rev"] == mesh.Revision) {
			o.Spec().FindPath("template", "spec", "containers").Walk(find)
		}
	}
	return found
}

// RevisionOf is the revision of a workload, also if its label is a tag of one: istioctl tag writes webhooks, the Sail operator objects.
func (m *Model) RevisionOf(w *Workload) string {
	name := w.Revision
	if name == "" {
		name = "default"
	}
	for _, o := range m.OfKind(objects.Admission, "MutatingWebhookConfiguration") {
		if o.Labels["istio.io/tag"] == name {
			return o.Labels["istio.io/rev"]
		}
	}
	for _, o := range m.OfKind(objects.Sail, "IstioRevisionTag") {
		if o.Name == name {
			target := o.Spec().FindPath("targetRef", "name").String()
			for _, istio := range m.OfKind(objects.Sail, "Istio") {
				if istio.Name == target && o.Spec().FindPath("targetRef", "kind").String() != "IstioRevision" {
					return sailRevision(istio)
				}
			}
			return target
		}
	}
	return w.Revision
}

// MeshesOf gives the MeshConfigs that apply to a workload: that of its revision, or all if the input has no such one.
func (m *Model) MeshesOf(w *Workload) []*Mesh {
	revision := m.RevisionOf(w)
	for _, mesh := range m.Meshes {
		if mesh.IsOf(revision) {
			return []*Mesh{mesh}
		}
	}
	return m.Meshes
}

// ProviderOf gives the provider that a CUSTOM policy names, in the first MeshConfig that has it; nil: it is not there.
func (m *Model) ProviderOf(policy *objects.Object) *Provider {
	name := policy.Spec().FindPath("provider", "name").String()
	for _, mesh := range m.Meshes {
		if p := mesh.FindProvider(name); p != nil {
			return p
		}
	}
	return nil
}

// Layers are the texts that make the MeshConfig, the last one first in effect.
func (m *Mesh) Layers() []*objects.Node { return m.layers }
