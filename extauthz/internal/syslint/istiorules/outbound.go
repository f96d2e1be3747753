package istiorules

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

var (
	outboundExcluded = registry.Define("outbound_not_intercepted", finding.Error,
		"Requests of Tyk's gateway, or of another caller, to guarded hosts go past its own sidecar: by annotations, or by the user of a container.",
		"They have no certificate, and a STRICT workload closes the connection. Nothing removes tokens from what leaves the mesh on this way.",
		"Remove the port, the range or the interface from the annotation, and run no container as user or group 1337.")
	calleeHidden = registry.Define("callee_not_visible", finding.Error,
		"The proxy of a caller that a document names does not get the Service of the document's target: egress of a Sidecar or exportTo leave it out, or the egress listener has captureMode: NONE.",
		"The proxy passes the requests on as bytes, without a certificate: a STRICT workload closes the connection, or the proxy answers 502.",
		"Add the namespace of the target, such as shop/*, to spec.egress.hosts of the Sidecar, and let its Service be visible there.")
	callersBlocked = registry.Define("network_policy_blocks_callers", finding.Error,
		"A NetworkPolicy keeps a caller that a document names from all guarded ports of the document's target: as egress of the caller, or as ingress of the target.",
		"Where the network enforces it, connections fail before any Check: the caller's sidecar answers 503.",
		"Admit the caller's pods in ingress of the target, and the target's pods, with the port of the pods, in egress of the caller.")
)

// checkCallers checks the workloads whose requests guarded workloads get: the gateways of Tyk, callers in documents, and guarded workloads.
func (c *checker) checkCallers() {
	ports, addresses := c.guardedServices()
	for _, w := range c.Workloads {
		if w.PodSpec == nil || w.IsGateway() || c.IsAmbientWorkload(w) || c.InjectionOf(w) == model.NotInjected || !c.isCaller(w) {
			continue
		}
		c.checkOutbound(w, ports, addresses)
		c.checkCallees(w)
	}
	for _, g := range c.Gateways {
		if g.Workload != nil && !c.IsGuarded(g.Workload) && c.InjectionOf(g.Workload) == model.Injected {
			c.checkInterceptedPorts(g.Workload, c.restrictedPorts(g.Workload))
		}
	}
}

// isCaller reports a workload that sends requests to guarded ones.
func (c *checker) isCaller(w *model.Workload) bool {
	return c.IsGuarded(w) || len(c.calls.named[w]) > 0 || c.isTykGateway(w)
}

func (c *checker) isTykGateway(w *model.Workload) bool {
	return slices.ContainsFunc(c.Gateways, func(g *model.TykGateway) bool { return g.Workload == w })
}

// guardedServices gives the ports and the addresses of the Services that lead to guarded workloads.
func (c *checker) guardedServices() (ports []int, addresses []netip.Addr) {
	seen := map[*model.Host]bool{}
	for _, hosts := range c.calls.hosts {
		for _, h := range hosts {
			if seen[h] {
				continue
			}
			seen[h] = true
			for _, p := range h.Ports {
				if number := max(p.Find("port").Int(), p.Find("number").Int()); !slices.Contains(ports, number) {
					ports = append(ports, number)
				}
			}
			if address, err := netip.ParseAddr(h.Object.Spec().Find("clusterIP").String()); err == nil {
				addresses = append(addresses, address)
			}
		}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return ports, addresses
}

// restrictedPorts are the ports that policies of Istio close or open for some.
func (c *checker) restrictedPorts(w *model.Workload) (ports []int) {
	for _, o := range c.OfKind(objects.Security, "AuthorizationPolicy") {
		if !c.Selects(o, w) {
			continue
		}
		for _, rule := range o.Spec().Find("rules").Entries() {
			for _, to := range rule.Find("to").Entries() {
				for _, text := range to.FindPath("operation", "ports").Texts() {
					ports = append(ports, toInt(text))
				}
			}
		}
	}
	return ports
}

// setting is an annotation of the pods, or the injector's setting for all, which the annotation replaces.
func (c *checker) setting(w *model.Workload, annotation, value string) *objects.Node {
	if n := w.Annotation("traffic.sidecar.istio.io/" + annotation); n != nil {
		return n
	}
	for _, mesh := range c.MeshesOf(w) {
		if n := mesh.FindValue("global", "proxy", value); n != nil {
			return n
		}
	}
	return nil
}

// excludedInterfaces is the annotation with the network interfaces whose traffic, in and out, goes past the sidecar; nil: there are no such ones.
func (c *checker) excludedInterfaces(w *model.Workload) *objects.Node {
	n := w.Annotation("traffic.sidecar.istio.io/excludeInterfaces")
	if strings.Trim(n.String(), ", ") == "" {
		return nil
	}
	return n
}

func (c *checker) checkOutbound(w *model.Workload, ports []int, addresses []netip.Addr) {
	const sidecarUser = 1337
	for _, container := range w.Containers() {
		for _, key := range []string{"runAsUser", "runAsGroup"} {
			n := container.FindPath("securityContext", key)
			if n == nil {
				n = w.PodSpec.FindPath("securityContext", key)
			}
			if container.Find("name").String() != "istio-proxy" && n.Int() == sidecarUser {
				c.report.Add(outboundExcluded, n, "the container %s of %s has the id of the sidecar, whose connections are not intercepted", container.Find("name").String(), w.Title())
			}
		}
	}
	if n := c.excludedInterfaces(w); n != nil && !c.IsGuarded(w) { // see port_not_intercepted
		c.report.Add(outboundExcluded, n, "%s sends past its sidecar on the network interfaces %s", w.Title(), n.String())
	}
	if n := c.setting(w, "excludeOutboundPorts", "excludeOutboundPorts"); n != nil {
		for _, text := range strings.Split(n.String(), ",") {
			if port := toInt(text); slices.Contains(ports, port) {
				c.report.Add(outboundExcluded, n, "%s sends past its sidecar to port %d, on which guarded workloads are", w.Title(), port)
			}
		}
	}
	if n := c.setting(w, "excludeOutboundIPRanges", "excludeIPRanges"); n != nil {
		if found := findRange(n.String(), addresses, true); found != "" {
			c.report.Add(outboundExcluded, n, "%s sends past its sidecar to %s, where Services of the cluster are", w.Title(), found)
		}
	}
	n := c.setting(w, "includeOutboundIPRanges", "includeIPRanges")
	if n == nil || strings.Contains(n.String(), "*") {
		return
	}
	listed := c.setting(w, "includeOutboundPorts", "includeOutboundPorts").String()
	if strings.TrimSpace(n.String()) == "" {
		for _, port := range ports {
			if !strings.Contains(","+strings.ReplaceAll(listed, " ", "")+",", ","+strconv.Itoa(port)+",") && listed != "*" {
				c.report.Add(outboundExcluded, n, "%s sends past its sidecar to all addresses", w.Title())
				return
			}
		}
		return
	}
	for _, address := range addresses {
		if findRange(n.String(), []netip.Addr{address}, false) == "" {
			c.report.Add(outboundExcluded, n, "%s sends past its sidecar to %s, which the ranges do not have", w.Title(), address)
			return
		}
	}
}

// privateRanges are where Services get their addresses from, as a rule.
var privateRanges = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16")}

// findRange gives the first range of a list that has one of the addresses, or, if wanted, a whole private range.
func findRange(list string, addresses []netip.Addr, private bool) string {
	for _, text := range strings.Split(list, ",") {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			continue
		}
		isPrivate := private && slices.ContainsFunc(privateRanges, func(p netip.Prefix) bool { return prefix.Bits() <= p.Bits() && prefix.Contains(p.Addr()) })
		if isPrivate || slices.ContainsFunc(addresses, prefix.Contains) {
			return prefix.String()
		}
	}
	return ""
}

// checkCallees compares the Services of the targets that name a caller with what istiod sends to its proxy.
func (c *checker) checkCallees(caller *model.Workload) {
	egress := c.sidecarOf(caller).Find("egress")
	for _, d := range c.calls.named[caller] {
		for _, w := range c.calls.targets[d] {
			for _, h := range c.calls.hosts[w] {
				if w != caller && h.Object.Kind == "Service" {
					c.checkCallee(caller, d, h, egress)
				}
			}
			if w != caller && w.PodSpec != nil && !c.IsAmbientWorkload(w) {
				c.checkNetwork(caller, d, w)
			}
		}
	}
}

// checkNetwork finds NetworkPolicies that close all guarded ports to a caller, of those that Services lead to.
func (c *checker) checkNetwork(caller *model.Workload, d *model.Document, w *model.Workload) {
	if !c.HasNetworkPolicies() {
		return
	}
	var ports []int
	for _, h := range c.calls.hosts[w] {
		for _, p := range h.Ports {
			port := w.ResolvePort(p)
			if port != 0 && slices.ContainsFunc(c.CustomPolicies(w), func(policy *objects.Object) bool { return coversPort(policy, port) }) {
				ports = append(ports, port)
			}
		}
	}
	for _, direction := range []model.Direction{model.Egress, model.Ingress} {
		var blocking *objects.Object
		for _, port := range ports {
			if blocking = c.FindBlocking(direction, caller, w, port); blocking == nil {
				break
			}
		}
		if blocking != nil && (direction == model.Ingress || !c.losesChecks(caller)) {
			c.report.Add(callersBlocked, blocking.Spec(), "%s does not let %s reach %s, which document %s lets it call", blocking.Title(), caller.Title(), w.Title(), d.Name)
		}
	}
}

// losesChecks reports a guarded workload whose egress does not lead to the authorizer either: see network_policy_blocks_checks.
func (c *checker) losesChecks(w *model.Workload) bool {
	for _, policy := range c.CustomPolicies(w) {
		p := c.ProviderOf(policy)
		if p == nil {
			continue
		}
		for _, h := range c.FindHosts(p.Config.Find("service").String(), "") {
			port := h.FindPort(p.Config.Find("port").Int())
			if slices.ContainsFunc(c.WorkloadsOf(h), func(authorizer *model.Workload) bool {
				return c.FindBlocking(model.Egress, w, authorizer, authorizer.ResolvePort(port)) != nil
			}) {
				return true
			}
		}
	}
	return false
}

func (c *checker) checkCallee(caller *model.Workload, d *model.Document, h *model.Host, egress *objects.Node) {
	switch {
	case egress.IsEmpty() || c.hiding[egress]:
	case !sendsHost(egress, h, caller.Namespace, false):
		c.report.Add(calleeHidden, egress, "the Sidecar of %s does not send to %s, which document %s lets it call", caller.Title(), h.Name, d.Name)
	case !sendsHost(egress, h, caller.Namespace, true):
		c.report.Add(calleeHidden, egress, "the Sidecar of %s has captureMode NONE for %s, which document %s lets it call", caller.Title(), h.Name, d.Name)
	}
	if exported, at := c.exportOf(h); len(exported) > 0 && !c.hiding[at] && !isExported(exported, h.Namespace, caller.Namespace) {
		c.report.Add(calleeHidden, at, "%s is visible in %v, and not in the namespace of %s, which document %s lets call it", h.Object.Title(), exported, caller.Title(), d.Name)
	}
}
