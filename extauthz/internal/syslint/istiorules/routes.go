package istiorules

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/shared/identity"
)

var (
	pathsNotNormalized = registry.Define("path_normalization_none", finding.Error,
		"meshConfig.pathNormalization is NONE, or an EnvoyFilter switches the normalisation of paths off, or rewrites paths of inbound requests.",
		"The path that is decided can differ from the one that arrives: a deny rule on a path can be evaded.",
		"Set pathNormalization: {normalization: BASE}, or a stronger one, and rewrite paths before the sidecar of the workload: in a VirtualService.")
	retriesGuarded = registry.Define("retries_on_guarded", finding.Warning,
		"A route to a guarded host retries requests by the status of the answer.",
		"Each attempt is one more Check: an outage of the authorizer (503) is multiplied, and a workload can execute one request twice.",
		"Use attempts: 0, or retryOn: connect-failure,refused-stream, which retries what no workload has seen.")
	hedgingGuarded = registry.Define("hedging_on_guarded", finding.Warning,
		"An EnvoyFilter sends requests a second time before the first answer (hedging).",
		"Each copy is decided, and a workload can execute one request twice.",
		"Remove hedge_policy.")
	egressOpen = registry.Define("egress_without_removal", finding.Error,
		"Workloads of the mesh call, or mirror requests to, HTTP hosts outside, and nothing removes our headers on the way.",
		"A token leaves the mesh: the host can use it until it expires.",
		"Apply manifests/istio/egress, with REGISTRY_ONLY. Remove the headers in a VirtualService for a Service with an external name, or with a name of the cluster.")
)

func (c *checker) checkRoutes() {
	for _, mesh := range c.Meshes {
		if n := mesh.Find("pathNormalization", "normalization"); n.String() == "NONE" {
			c.report.Add(pathsNotNormalized, n, "paths are decided as they are written")
		}
		if retries := mesh.Find("defaultHttpRetryPolicy"); retriesByStatus(retries) && len(c.GuardedWorkloads()) > 0 {
			c.report.Add(retriesGuarded, retries, "the mesh retries all requests")
		}
	}
	for _, o := range c.OfKind(objects.Networking, "VirtualService") {
		for _, http := range o.Spec().Find("http").Entries() {
			if retries := http.Find("retries"); retriesByStatus(retries) && c.leadsToGuarded(http, o.Namespace) {
				c.report.Add(retriesGuarded, retries, "%s retries requests to a guarded workload (retryOn: %s)", o.Title(), cmp.Or(retries.Find("retryOn").String(), "Istio's default"))
			}
		}
	}
	for _, o := range c.OfKind(objects.GatewayAPI, "HTTPRoute") {
		for _, rule := range o.Spec().Find("rules").Entries() {
			retry := rule.Find("retry")
			if retry.Find("codes").IsEmpty() || retry.Find("attempts") != nil && retry.Find("attempts").Int() == 0 {
				continue
			}
			for _, backend := range rule.Find("backendRefs").Entries() {
				if c.IsGuardedHost(backend.Find("name").String()+"."+cmp.Or(backend.Find("namespace").String(), o.Namespace), o.Namespace) {
					c.report.Add(retriesGuarded, retry, "%s retries requests to a guarded workload", o.Title())
				}
			}
		}
	}
	c.checkHedging()
	c.checkNormalizationPatches()
}

// checkNormalizationPatches finds EnvoyFilters that switch the normalisation off, or change the path of a guarded workload's request after it
// was decided.
func (c *checker) checkNormalizationPatches() {
	for _, o := range c.OfKind(objects.Networking, "EnvoyFilter") {
		for _, patch := range o.Spec().Find("configPatches").Entries() {
			isInbound := patch.FindPath("match", "context").String() == "SIDECAR_INBOUND" && c.patchesGuarded(o)
			patch.Find("patch").Walk(func(n *objects.Node) bool {
				switch {
				case (n.Key == "normalize_path" || n.Key == "normalizePath") && n.IsFalse():
					c.report.Add(pathsNotNormalized, n, "%s switches the normalisation of paths off", o.Title())
				case isInbound && rewritesPath(n):
					c.report.Add(pathsNotNormalized, n, "%s changes the path of inbound requests", o.Title())
				}
				return true
			})
		}
	}
}

// patchesGuarded reports an EnvoyFilter of the sidecar of a guarded workload.
func (c *checker) patchesGuarded(o *objects.Object) bool {
	return slices.ContainsFunc(c.Workloads, func(w *model.Workload) bool { return c.IsGuarded(w) && c.Selects(o, w) })
}

var luaPath = regexp.MustCompile(`(?i):\s*(replace|add)\s*\(\s*["']:path["']`)

// rewritesPath reports a value of Envoy's configuration that gives a request another path: of a route, of a mutation of headers, or of Lua code.
func rewritesPath(n *objects.Node) bool {
	switch n.Key {
	case "prefix_rewrite", "prefixRewrite", "regex_rewrite", "regexRewrite", "path_rewrite_policy", "pathRewritePolicy":
		return true
	case "key":
		return n.String() == ":path" && n.Parent().Key == "header"
	}
	return isLua(n) && luaPath.MatchString(n.String())
}

func (c *checker) leadsToGuarded(http *objects.Node, namespace string) bool {
	return slices.ContainsFunc(http.Find("route").Entries(), func(route *objects.Node) bool {
		return c.IsGuardedHost(route.FindPath("destination", "host").String(), namespace)
	})
}

// retriesByStatus reports a policy that repeats a request which a workload may have executed.
func retriesByStatus(retries *objects.Node) bool {
	if retries.IsEmpty() || retries.Find("attempts").Int() == 0 {
		return false
	}
	conditions := retries.Find("retryOn").String()
	if conditions == "" {
		conditions = "retriable-status-codes" // of Istio's default
	}
	for _, condition := range strings.Split(conditions, ",") {
		condition = strings.TrimSpace(condition)
		if _, err := strconv.Atoi(condition); err == nil || slices.Contains([]string{"5xx", "gateway-error", "retriable-4xx", "retriable-status-codes", "retriable-headers", "reset"}, condition) {
			return true
		}
	}
	return false
}

func (c *checker) checkHedging() {
	if len(c.policies) == 0 {
		return
	}
	for _, o := range c.OfKind(objects.Networking, "EnvoyFilter") {
		o.Spec().Find("configPatches").Walk(func(n *objects.Node) bool {
			if n.Key == "hedge_policy" || n.Key == "hedgePolicy" {
				c.report.Add(hedgingGuarded, n, "%s sends requests twice", o.Title())
				return false
			}
			return true
		})
	}
}

// checkEgress finds hosts outside of the mesh, and the filter that removes our headers. The filter takes a Service with an external name, and a
// host with the name of one, for a host of the mesh.
func (c *checker) checkEgress() {
	if len(c.policies) == 0 {
		return
	}
	removed := c.removesAtEgress()
	for _, o := range c.OfKind(objects.Core, "Service") {
		if o.Spec().Find("type").String() == "ExternalName" && !strings.HasSuffix(o.Spec().Find("externalName").String(), "."+c.ClusterDomain) && !c.removesOnRoutes(o.Name+"."+o.Namespace, o.Namespace) {
			c.checkOutsidePorts(o)
		}
	}
	for _, o := range c.OfKind(objects.Networking, "ServiceEntry") {
		hosts := o.Spec().Find("hosts").Texts()
		isRemoved := removed && !slices.ContainsFunc(hosts, c.isMeshName) || !slices.ContainsFunc(hosts, func(host string) bool { return !c.removesOnRoutes(host, o.Namespace) })
		if o.Spec().Find("location").String() == "MESH_INTERNAL" || c.isProviderHost(o) || model.IsOnLoopback(o) || isRemoved {
			continue
		}
		c.checkOutsidePorts(o)
	}
	if !removed {
		c.checkOutsideRoutes()
		return
	}
	for _, mesh := range c.Meshes {
		if n := mesh.Find("outboundTrafficPolicy", "mode"); n.String() == "ALLOW_ANY" {
			c.report.Add(egressOpen, n, "with ALLOW_ANY, a port that no Service has is raw TCP to the sidecar, which removes nothing")
		}
	}
	for _, o := range c.OfKind(objects.Networking, "Sidecar") {
		if n := o.Spec().FindPath("outboundTrafficPolicy", "mode"); n.String() == "ALLOW_ANY" {
			c.report.Add(egressOpen, n, "with ALLOW_ANY, a port that no Service has is raw TCP to the sidecar, which removes nothing")
		}
	}
}

// isMeshName reports a name that the cluster gives to its Services.
func (c *checker) isMeshName(host string) bool {
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".svc."+c.ClusterDomain)
}

// checkOutsideRoutes finds routes, and mirrors, to hosts outside of the mesh that keep the token.
func (c *checker) checkOutsideRoutes() {
	check := func(o *objects.Object, at *objects.Node, removed bool) {
		if host := at.String(); host != "" && !removed && !c.isInMesh(host, o.Namespace) {
			c.report.Add(egressOpen, at, "%s sends requests to %s outside of the mesh, with the token", o.Title(), host)
		}
	}
	for _, o := range c.OfKind(objects.Networking, "VirtualService") {
		for _, http := range o.Spec().Find("http").Entries() {
			for _, route := range http.Find("route").Entries() {
				check(o, route.FindPath("destination", "host"), removesToken(http) || removesToken(route))
			}
			check(o, http.FindPath("mirror", "host"), removesToken(http))
			for _, mirror := range http.Find("mirrors").Entries() {
				check(o, mirror.FindPath("destination", "host"), removesToken(http))
			}
		}
	}
	for _, o := range c.OfKind(objects.GatewayAPI, "HTTPRoute") {
		for _, rule := range o.Spec().Find("rules").Entries() {
			for _, filter := range rule.Find("filters").Entries() {
				if ref := filter.FindPath("requestMirror", "backendRef"); isHostname(ref) {
					check(o, ref.Find("name"), filtersToken(rule))
				}
			}
			for _, ref := range rule.Find("backendRefs").Entries() {
				if isHostname(ref) {
					check(o, ref.Find("name"), filtersToken(rule) || filtersToken(ref))
				}
			}
		}
	}
}

// isHostname reports a backend that is a host of a ServiceEntry.
func isHostname(ref *objects.Node) bool {
	return ref.Find("group").String() == objects.Networking && ref.Find("kind").String() == "Hostname"
}

// removesToken reports a route of a VirtualService that removes the token from requests.
func removesToken(n *objects.Node) bool {
	return slices.ContainsFunc(n.FindPath("headers", "request", "remove").Texts(), func(name string) bool { return strings.EqualFold(name, identity.Header) })
}

// filtersToken reports filters of a route of the Gateway API that remove the token from requests.
func filtersToken(n *objects.Node) bool {
	return slices.ContainsFunc(n.Find("filters").Entries(), func(filter *objects.Node) bool {
		return slices.ContainsFunc(filter.FindPath("requestHeaderModifier", "remove").Texts(), func(name string) bool { return strings.EqualFold(name, identity.Header) })
	})
}

// removesOnRoutes reports VirtualServices whose routes and mirrors to a host all remove the token.
func (c *checker) removesOnRoutes(host, namespace string) bool {
	found := false
	for _, o := range c.OfKind(objects.Networking, "VirtualService") {
		isHost := func(n *objects.Node) bool {
			to := n.Find("host").String()
			return to == host || o.Namespace == namespace && to != "" && to+"."+namespace == host
		}
		for _, http := range o.Spec().Find("http").Entries() {
			for _, route := range http.Find("route").Entries() {
				if !isHost(route.Find("destination")) {
					continue
				}
				if !removesToken(http) && !removesToken(route) {
					return false
				}
				found = true
			}
			isMirror := isHost(http.Find("mirror")) || slices.ContainsFunc(http.Find("mirrors").Entries(), func(n *objects.Node) bool { return isHost(n.Find("destination")) })
			if isMirror && !removesToken(http) {
				return false
			}
		}
	}
	return found
}

func (c *checker) checkOutsidePorts(o *objects.Object) {
	ports := o.Spec().Find("ports").Entries()
	if o.Kind == "Service" && len(ports) == 0 {
		c.report.Add(egressOpen, o.Root, "%s is outside of the mesh, and no EnvoyFilter removes Txn-Token from requests to it", o.Title())
	}
	for _, port := range ports {
		protocol := strings.ToUpper(port.Find("protocol").String())
		if model.ProtocolOf(port) == model.HTTP || model.ProtocolOf(port) == model.HTTP2 || protocol == "HTTP" {
			c.report.Add(egressOpen, port, "%s is outside of the mesh, and no EnvoyFilter removes Txn-Token from requests to it", o.Title())
			return
		}
	}
}

func (c *checker) isProviderHost(o *objects.Object) bool {
	for _, mesh := range c.Meshes {
		for _, p := range mesh.Providers() {
			if slices.Contains(o.Spec().Find("hosts").Texts(), p.Config.Find("service").String()) {
				return true
			}
		}
	}
	return false
}

var tokenPattern = regexp.MustCompile(`(?i)txn`)

// removesAtEgress reports an EnvoyFilter of all sidecars that removes the token from what they send.
func (c *checker) removesAtEgress() bool {
	for _, o := range c.OfKind(objects.Networking, "EnvoyFilter") {
		if o.Namespace != c.RootNamespace || !model.SelectorOf(o).IsEmpty() {
			continue
		}
		for _, patch := range o.Spec().Find("configPatches").Entries() {
			if patch.FindPath("match", "context").String() != "SIDECAR_OUTBOUND" {
				continue
			}
			found := false
			patch.Find("patch").Walk(func(n *objects.Node) bool {
				removal := n.Key == "remove" || n.Key == "request_headers_to_remove" || isPattern(n)
				found = found || removal && tokenPattern.MatchString(n.String()) && (matchesReserved(n.String()) || reservedText.MatchString(n.String()))
				return !found
			})
			if found {
				return true
			}
		}
	}
	return false
}
