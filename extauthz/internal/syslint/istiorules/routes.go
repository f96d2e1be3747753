package istiorules

import (
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
		"meshConfig.pathNormalization is NONE, or an EnvoyFilter switches the normalisation of paths off.",
		"The path that is decided can differ from the one that arrives: a deny rule on a path can be evaded.",
		"Set pathNormalization: {normalization: BASE}, or a stronger one.")
	retriesGuarded = registry.Define("retries_on_guarded", finding.Warning,
		"A route to a guarded host retries requests by the status of the answer.",
		"Each attempt is one more Check: an outage of the authorizer (503) is multiplied, and a workload can execute one request twice.",
		"Use attempts: 0, or retryOn: connect-failure,refused-stream, which retries what no workload has seen.")
	hedgingGuarded = registry.Define("hedging_on_guarded", finding.Warning,
		"An EnvoyFilter sends requests a second time before the first answer (hedging).",
		"Each copy is decided, and a workload can execute one request twice.",
		"Remove hedge_policy.")
	egressOpen = registry.Define("egress_without_removal", finding.Error,
		"Workloads of the mesh call HTTP hosts outside, and nothing removes our headers on the way.",
		"A token leaves the mesh: the host can use it until it expires.",
		"Apply manifests/istio/egress.")
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
				c.report.Add(retriesGuarded, retries, "%s retries requests to a guarded workload (retryOn: %s)", o.Title(), orText(retries.Find("retryOn").String(), "Istio's default"))
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
				if c.IsGuardedHost(backend.Find("name").String()+"."+orText(backend.Find("namespace").String(), o.Namespace), o.Namespace) {
					c.report.Add(retriesGuarded, retry, "%s retries requests to a guarded workload", o.Title())
				}
			}
		}
	}
	c.checkHedging()
	c.checkNormalizationPatches()
}

// checkNormalizationPatches finds EnvoyFilters that switch the normalisation off.
func (c *checker) checkNormalizationPatches() {
	for _, o := range c.OfKind(objects.Networking, "EnvoyFilter") {
		o.Spec().Find("configPatches").Walk(func(n *objects.Node) bool {
			if (n.Key == "normalize_path" || n.Key == "normalizePath") && n.IsFalse() {
				c.report.Add(pathsNotNormalized, n, "%s switches the normalisation of paths off", o.Title())
			}
			return true
		})
	}
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

// checkEgress finds hosts outside of the mesh, and the filter that removes our headers.
func (c *checker) checkEgress() {
	if len(c.policies) == 0 || c.removesAtEgress() {
		return
	}
	for _, o := range c.OfKind(objects.Core, "Service") {
		if o.Spec().Find("type").String() == "ExternalName" && !strings.HasSuffix(o.Spec().Find("externalName").String(), "."+c.ClusterDomain) && !c.removesOnRoutes(o.Name+"."+o.Namespace, o.Namespace) {
			c.checkOutsidePorts(o)
		}
	}
	for _, o := range c.OfKind(objects.Networking, "ServiceEntry") {
		isRemoved := !slices.ContainsFunc(o.Spec().Find("hosts").Texts(), func(host string) bool { return !c.removesOnRoutes(host, o.Namespace) })
		if o.Spec().Find("location").String() == "MESH_INTERNAL" || c.isProviderHost(o) || isLoopback(o) || isRemoved {
			continue
		}
		c.checkOutsidePorts(o)
	}
}

// removesOnRoutes reports VirtualServices whose routes to a host all remove the token.
func (c *checker) removesOnRoutes(host, namespace string) bool {
	removes := func(n *objects.Node) bool {
		return slices.ContainsFunc(n.FindPath("headers", "request", "remove").Texts(), func(name string) bool { return strings.EqualFold(name, identity.Header) })
	}
	found := false
	for _, o := range c.OfKind(objects.Networking, "VirtualService") {
		for _, http := range o.Spec().Find("http").Entries() {
			for _, route := range http.Find("route").Entries() {
				if to := route.FindPath("destination", "host").String(); to != host && !(o.Namespace == namespace && to+"."+namespace == host) {
					continue
				}
				if !removes(http) && !removes(route) {
					return false
				}
				found = true
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

func isLoopback(o *objects.Object) bool {
	return slices.ContainsFunc(o.Spec().Find("endpoints").Entries(), func(n *objects.Node) bool { return strings.HasPrefix(n.Find("address").String(), "127.") })
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
