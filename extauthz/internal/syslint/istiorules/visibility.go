package istiorules

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

var providerHidden = registry.Define("provider_not_visible", finding.Error,
	"The proxy of a guarded workload does not get the service of its provider: egress of a Sidecar, exportTo or discoverySelectors leave it out.",
	"Envoy has no cluster for it: every Check fails, and failOpen decides.",
	"Add the authorizer's namespace, such as meshpass/*, to spec.egress.hosts of the Sidecar, and let its Service be visible in all namespaces.")

// checkVisibility compares the services of a workload's providers with what istiod sends to its proxy.
func (c *checker) checkVisibility(w *model.Workload) {
	for _, policy := range c.CustomPolicies(w) {
		p := c.ProviderOf(policy)
		if p == nil {
			continue
		}
		host, _ := c.findRegistered(p.Config.Find("service").String())
		if host == nil {
			continue
		}
		if egress := c.sidecarOf(w).Find("egress"); !egress.IsEmpty() && !sendsHost(egress, host, w.Namespace, false) {
			c.hiding[egress] = true
			c.report.Add(providerHidden, egress, "the Sidecar of %s does not send to %s, the service of provider %s", w.Title(), host.Name, p.Name)
		}
		if exported, at := c.exportOf(host); len(exported) > 0 && !isExported(exported, host.Namespace, w.Namespace) {
			c.hiding[at] = true
			c.report.Add(providerHidden, at, "%s is visible in %v, and not in the namespace of %s", host.Object.Title(), exported, w.Title())
		}
		for _, mesh := range c.MeshesOf(w) {
			selectors := mesh.Find("discoverySelectors")
			if namespace := c.Namespaces[host.Namespace]; !selectors.IsEmpty() && namespace != nil && !matchesSelectors(selectors, namespace) {
				c.report.Add(providerHidden, selectors, "discoverySelectors leave the namespace of %s out", host.Object.Title())
			}
		}
	}
}

var policyHidden = registry.Define("policy_not_discovered", finding.Error,
	"discoverySelectors leave out the namespace of a CUSTOM policy.",
	"istiod does not read the policy: no request is asked about.",
	"Give the namespace the labels of discoverySelectors, the root namespace too.")

// checkDiscovery looks for namespaces of policies that istiod does not read.
func (c *checker) checkDiscovery() {
	for _, mesh := range c.Meshes {
		selectors := mesh.Find("discoverySelectors")
		for _, policy := range c.policies {
			if namespace := c.Namespaces[policy.Namespace]; !selectors.IsEmpty() && namespace != nil && !matchesSelectors(selectors, namespace) {
				c.report.Add(policyHidden, selectors, "discoverySelectors leave the namespace %s of %s out", policy.Namespace, policy.Title())
			}
		}
	}
}

// sidecarOf is the spec of the Sidecar that applies to a workload: with its labels, else that of its namespace, else that of the mesh.
func (c *checker) sidecarOf(w *model.Workload) *objects.Node {
	var ofNamespace, ofMesh *objects.Node
	for _, o := range c.OfKind(objects.Networking, "Sidecar") {
		selects := !model.SelectorOf(o).IsEmpty()
		switch {
		case selects && o.Namespace == w.Namespace && c.Selects(o, w):
			return o.Spec()
		case !selects && o.Namespace == w.Namespace:
			ofNamespace = o.Spec()
		case !selects && o.Namespace == c.RootNamespace:
			ofMesh = o.Spec()
		}
	}
	if ofNamespace != nil {
		return ofNamespace
	}
	return ofMesh
}

// sendsHost reports whether the egress of a Sidecar has a host: entries NAMESPACE/HOST, with . for the own namespace and * for all. It can leave
// out listeners that get no intercepted connection.
func sendsHost(egress *objects.Node, host *model.Host, own string, intercepted bool) bool {
	for _, listener := range egress.Entries() {
		if intercepted && listener.Find("captureMode").String() == "NONE" {
			continue
		}
		for _, text := range listener.Find("hosts").Texts() {
			namespace, name, _ := strings.Cut(text, "/")
			if namespace == "." {
				namespace = own
			}
			suffix, isPattern := strings.CutPrefix(name, "*")
			if (namespace == "*" || namespace == host.Namespace) && (name == host.Name || isPattern && strings.HasSuffix(host.Name, suffix)) {
				return true
			}
		}
	}
	return false
}

// exportOf gives the namespaces where a host is visible; empty: all.
func (c *checker) exportOf(host *model.Host) (namespaces []string, at *objects.Node) {
	if n := host.Object.Annotation("networking.istio.io/exportTo"); host.Object.Kind == "Service" && n.String() != "" {
		return strings.Split(strings.ReplaceAll(n.String(), " ", ""), ","), n
	}
	if n := host.Object.Spec().Find("exportTo"); host.Object.Kind == "ServiceEntry" && !n.IsEmpty() {
		return n.Texts(), n
	}
	for _, mesh := range c.Meshes {
		if n := mesh.Find("defaultServiceExportTo"); !n.IsEmpty() {
			return n.Texts(), n
		}
	}
	return nil, nil
}

func isExported(namespaces []string, of, to string) bool {
	return slices.ContainsFunc(namespaces, func(text string) bool { return text == "*" || text == to || text == "." && of == to })
}

// matchesSelectors reports whether one of several label selectors has a namespace.
func matchesSelectors(selectors *objects.Node, namespace *objects.Object) bool {
	return slices.ContainsFunc(selectors.Entries(), func(selector *objects.Node) bool { return model.MatchesNamespace(selector, namespace) })
}
