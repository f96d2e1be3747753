package model

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// Mesh is a MeshConfig. Several files of istioctl make one.
type Mesh struct {
	Revision string          // of Istio; empty: the default
	layers   []*objects.Node // the last one that has a value counts
	Values   []*objects.Node // Helm values and the components' settings beside it
	Root     *objects.Node   // for a finding about what no layer has
}

// IsOf reports whether the MeshConfig is that of a revision, or of a tag that Helm values give it.
func (m *Mesh) IsOf(revision string) bool {
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

// Providers are the extension providers.
func (m *Mesh) Providers() []*Provider {
	var all []*Provider
	for _, n := range m.Find("extensionProviders").Entries() {
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
		all = append(all, p)
	}
	return all
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
		add(o.Spec().Find("revision").String(), o.Spec().FindPath("values", "meshConfig"), nil)
		add(o.Spec().Find("revision").String(), o.Spec().Find("meshConfig"), o.Spec())
	}
	for _, o := range m.OfKind(objects.Sail, "Istio") {
		add(o.Name, o.Spec().FindPath("values", "meshConfig"), o.Spec().Find("values"))
	}
	for _, c := range m.Set.ContentsOf(objects.MeshValues) {
		config := c.Root.Find("meshConfig")
		for _, key := range []string{"values", "istiod"} {
			if config == nil {
				config = c.Root.FindPath(key, "meshConfig")
			}
		}
		add(c.Root.Find("revision").String(), config, c.Root)
	}
	for _, c := range m.Set.ContentsOf(objects.MeshConfig) {
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
}

// RevisionOf is the revision of a workload, also if its label is a tag of one: istioctl tag writes webhooks, the Sail operator objects.
func (m *Model) RevisionOf(w *Workload) string {
	for _, o := range m.OfKind(objects.Admission, "MutatingWebhookConfiguration") {
		if o.Labels["istio.io/tag"] == w.Revision && w.Revision != "" {
			return o.Labels["istio.io/rev"]
		}
	}
	for _, o := range m.OfKind(objects.Sail, "IstioRevisionTag") {
		if o.Name == w.Revision {
			return o.Spec().FindPath("targetRef", "name").String()
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
