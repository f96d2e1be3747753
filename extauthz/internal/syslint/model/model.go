// Package model puts what was read into relation: which policy selects which workload, which Service leads where, which MeshConfig
// applies, which gateway serves which API.
package model

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// Model is the input of all checks.
type Model struct {
	Set           *objects.Set
	Meshes        []*Mesh
	RootNamespace string
	ClusterDomain string
	Namespaces    map[string]*objects.Object
	Workloads     []*Workload
	Hosts         []*Host // Services and hosts of ServiceEntries
	hostsByName   map[string][]*Host

	Gateways  []*TykGateway
	APIs      []*API
	apisByID  map[string]*API
	Policies  []*TykPolicy
	Manifests []*API // of bundles: hooks alone

	Plugins     []*Plugin
	Authorizers []*AuthorizerConfig
	Documents   []*Document
	Accounts    map[string]bool // NAMESPACE/NAME
	Kinds       map[string][]*objects.Object

	networkPolicies map[string][]*objects.Object // by namespace
	foreign         map[*objects.Object]bool     // CUSTOM policies that ask authorizers of other systems
	gatewayPods     map[*objects.Object]*Workload
}

// GuardLabel is the label whose values choose how a workload is guarded.
const GuardLabel = "meshpass.dev/guarded"

// New relates what was read.
func New(set *objects.Set) *Model {
	m := &Model{Set: set, ClusterDomain: "cluster.local", Namespaces: map[string]*objects.Object{}, Accounts: map[string]bool{}, Kinds: map[string][]*objects.Object{}}
	for _, o := range set.Objects {
		m.Kinds[o.Group+"/"+o.Kind] = append(m.Kinds[o.Group+"/"+o.Kind], o)
	}
	for _, o := range m.OfKind(objects.Core, "Namespace") {
		m.Namespaces[o.Name] = o
	}
	m.networkPolicies, m.gatewayPods = map[string][]*objects.Object{}, map[*objects.Object]*Workload{}
	for _, o := range m.OfKind(objects.Network, "NetworkPolicy") {
		m.networkPolicies[o.Namespace] = append(m.networkPolicies[o.Namespace], o)
	}
	for _, o := range m.OfKind(objects.Core, "ServiceAccount") {
		m.Accounts[o.Namespace+"/"+o.Name] = true
	}
	m.readMeshes()
	m.readWorkloads()
	m.readHosts()
	m.readTyk()
	m.readOwn()
	m.findForeign()
	return m
}

// OfKind gives the objects of a kind.
func (m *Model) OfKind(group, kind string) []*objects.Object { return m.Kinds[group+"/"+kind] }

// NamespaceLabel is a label of a namespace; "": it is absent, or the namespace is not in the input.
func (m *Model) NamespaceLabel(namespace, label string) string {
	if o := m.Namespaces[namespace]; o != nil {
		return o.Labels[label]
	}
	return ""
}

// KnowsNamespace reports whether the input has a namespace, or a Service or workload of it.
func (m *Model) KnowsNamespace(name string) bool {
	return m.Namespaces[name] != nil || slices.ContainsFunc(m.Workloads, func(w *Workload) bool { return w.Namespace == name }) ||
		slices.ContainsFunc(m.OfKind(objects.Core, "Service"), func(o *objects.Object) bool { return o.Namespace == name })
}

// IsAmbient reports whether the workloads of a namespace are in ambient mode.
func (m *Model) IsAmbient(namespace string) bool {
	return m.NamespaceLabel(namespace, "istio.io/dataplane-mode") == "ambient"
}

// GuardedWorkloads are the workloads about which an authorizer is asked, or should be by their label.
func (m *Model) GuardedWorkloads() []*Workload {
	var all []*Workload
	for _, w := range m.Workloads {
		if m.IsGuarded(w) {
			all = append(all, w)
		}
	}
	return all
}

// IsGuarded reports whether a workload is guarded by its label or by a CUSTOM policy with one of our providers.
func (m *Model) IsGuarded(w *Workload) bool {
	switch w.Labels[GuardLabel] {
	case "true", "open", "tcp":
		return true
	case "observe":
		return false
	}
	return len(m.CustomPolicies(w)) > 0
}

// CustomPolicies are the CUSTOM policies that select a workload by labels or by its namespace, and ask our authorizer.
func (m *Model) CustomPolicies(w *Workload) []*objects.Object {
	return slices.DeleteFunc(m.AllCustomPolicies(w), func(o *objects.Object) bool { return m.foreign[o] })
}

// AllCustomPolicies are the CUSTOM policies that select a workload, also those that ask authorizers of other systems.
func (m *Model) AllCustomPolicies(w *Workload) []*objects.Object {
	var all []*objects.Object
	for _, o := range m.OfKind(objects.Security, "AuthorizationPolicy") {
		if IsCustom(o) && m.Selects(o, w) {
			all = append(all, o)
		}
	}
	return all
}

// AskingPolicies are the CUSTOM policies that ask our authorizer.
func (m *Model) AskingPolicies() []*objects.Object {
	return slices.DeleteFunc(slices.Clone(m.OfKind(objects.Security, "AuthorizationPolicy")), func(o *objects.Object) bool { return !IsCustom(o) || m.foreign[o] })
}

// IsForeign reports a CUSTOM policy that asks an authorizer of another system.
func (m *Model) IsForeign(policy *objects.Object) bool { return m.foreign[policy] }

// IsCustom reports a policy of the action CUSTOM.
func IsCustom(o *objects.Object) bool { return o.Spec().Find("action").String() == "CUSTOM" }

// Selects reports whether a policy of Istio applies to a workload with a sidecar, or to a gateway: by its selector, or to all workloads of its
// namespace, or of all namespaces if it is in the root namespace. A policy with targetRefs applies to gateways of the Gateway API.
func (m *Model) Selects(policy *objects.Object, w *Workload) bool {
	if policy.Namespace != w.Namespace && policy.Namespace != m.RootNamespace {
		return false
	}
	if refs := m.TargetRefs(policy); len(refs) > 0 {
		return slices.ContainsFunc(refs, func(ref *objects.Node) bool {
			return ref.Find("kind").String() == "Gateway" && policy.Namespace == w.Namespace && w.Labels["gateway.networking.k8s.io/gateway-name"] == ref.Find("name").String()
		})
	}
	for label, value := range SelectorOf(policy).TextMap() {
		if w.Labels[label] != value {
			return false
		}
	}
	return true
}

// TargetRefs are the targets of a policy that names some.
func (m *Model) TargetRefs(policy *objects.Object) []*objects.Node {
	refs := policy.Spec().Find("targetRefs").Entries()
	if ref := policy.Spec().Find("targetRef"); !ref.IsEmpty() {
		refs = append(refs, ref)
	}
	return refs
}

// SelectorOf gives the labels that a policy selects by; an empty value selects everything.
func SelectorOf(policy *objects.Object) *objects.Node {
	if labels := policy.Spec().FindPath("selector", "matchLabels"); labels != nil {
		return labels
	}
	return policy.Spec().FindPath("workloadSelector", "labels")
}

// SplitServiceName gives the name and the namespace of a Service by a host that an object of a namespace writes.
func (m *Model) SplitServiceName(host, namespace string) (name, ns string, ok bool) {
	host = strings.TrimSuffix(host, ".")
	for _, suffix := range []string{".svc." + m.ClusterDomain, ".svc"} {
		if rest, found := strings.CutSuffix(host, suffix); found {
			name, ns, ok = strings.Cut(rest, ".")
			return name, ns, ok && !strings.Contains(ns, ".")
		}
	}
	switch strings.Count(host, ".") {
	case 0:
		return host, namespace, namespace != ""
	case 1:
		name, ns, _ = strings.Cut(host, ".")
		return name, ns, true
	}
	return "", "", false
}

// AdmitsSource compares a workload of the mesh with the conditions of a source on the caller. In Istio's policies cluster.local is a name of the
// local trust domain.
func AdmitsSource(source *objects.Node, domain string, w *Workload) bool {
	return Admits(source, "namespaces", "notNamespaces", w.Namespace) &&
		Admits(source, "principals", "notPrincipals", domain+"/"+w.Identity(), "cluster.local/"+w.Identity()) &&
		Admits(source, "serviceAccounts", "notServiceAccounts", w.Namespace+"/"+w.Account)
}

// Admits compares the names of one thing with the patterns of two lists, as Istio writes them: *, *SUFFIX, PREFIX* or the name itself.
func Admits(n *objects.Node, wanted, excluded string, names ...string) bool {
	matches := func(pattern string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			switch {
			case pattern == "*":
				return true
			case strings.HasPrefix(pattern, "*"):
				return strings.HasSuffix(name, pattern[1:])
			case strings.HasSuffix(pattern, "*"):
				return strings.HasPrefix(name, pattern[:len(pattern)-1])
			}
			return pattern == name
		})
	}
	patterns := n.Find(wanted).Texts()
	return (len(patterns) == 0 || slices.ContainsFunc(patterns, matches)) && !slices.ContainsFunc(n.Find(excluded).Texts(), matches)
}
