package istiorules

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/suggest"
)

var (
	providerUnknown = registry.Define("provider_unknown", finding.Error,
		"A CUSTOM policy names an extension provider that the MeshConfig does not have, or the ConfigMap of the MeshConfig lacks the key mesh.",
		"Envoy denies every request that the policy matches: 403 RBAC: access denied.",
		"Write the name of a provider of the MeshConfig, or add the provider: `meshpass istio providers`. istiod reads the key mesh alone.")
	providerDuplicate = registry.Define("provider_duplicate", finding.Error,
		"Two extension providers have one name.",
		"Only the last one counts, with its service, timeout and failOpen.",
		"Remove one of the two.")
	providerInvalid = registry.Define("provider_invalid", finding.Error,
		"A provider has a setting that istiod rejects: its name, port, service or statusOnError.",
		"istiod takes the provider for invalid, and Envoy denies every request of the policies that name it.",
		"Write a name of small letters, digits and -, a port from 1 to 65535, the full name of a service, and a status such as \"503\".")
	providerService = registry.Define("provider_service_unknown", finding.Error,
		"The service of a provider is not in the registry: no Service and no ServiceEntry has this full name, or several namespaces have it.",
		"istiod takes the provider for invalid, and Envoy denies every request of the policies that name it.",
		"Write NAME.NAMESPACE.svc.DOMAIN, or NAMESPACE/HOST if several namespaces have the host.")
	providerUnreachable = registry.Define("provider_service_headless", finding.Error,
		"The service of a provider is headless (clusterIP: None), of type ExternalName, or a ServiceEntry with resolution NONE; or a DestinationRule gives it the load balancer PASSTHROUGH.",
		"Sidecars send the Check to the address that the request itself had, or have no cluster for it: every check fails, and failOpen decides.",
		"Give the Service an address: remove clusterIP: None, or write the Service of the pods. Give a ServiceEntry its resolution, and remove PASSTHROUGH.")
	providerPort = registry.Define("provider_port_unknown", finding.Error,
		"The service of a provider has no such port.",
		"Envoy has no cluster for it: every check fails, and failOpen decides.",
		"Write a port of the Service; its own port, not the targetPort.")
	providerNotGRPC = registry.Define("provider_port_not_grpc", finding.Error,
		"The port of a gRPC provider is not one for HTTP/2.",
		"Envoy asks in HTTP/1.1: every check fails, and failOpen decides.",
		"Name the port grpc or http2, or set appProtocol to one of them.")
	providerTimeout = registry.Define("provider_timeout", finding.Error,
		"A provider has no timeout, or one above 2 s.",
		"Without a timeout Envoy waits for 600 s: an authorizer that hangs makes every request hang.",
		"Set timeout: 0.25s.")
	providerFailOpen = registry.Define("provider_fail_open", finding.Error,
		"A workload is guarded by a provider with failOpen, and its documents do not allow requests in an outage.",
		"While the authorizer cannot be asked every request passes, against the documents' onOutage.",
		"Use the closed provider (label meshpass.dev/guarded: \"true\"), or write onOutage: allow into the documents.")
	openWithoutBackstop = registry.Define("fail_open_without_backstop", finding.Error,
		"A workload is guarded by a provider with failOpen and nothing else requires a token.",
		"While the authorizer cannot be asked, requests without any token pass.",
		"Apply manifests/istio/backstop.yaml with a selector that has the workload, or use the closed provider.")
	providerStatus = registry.Define("provider_status_on_error", finding.Warning,
		"A closed provider answers an outage with the status of a denial, or of a success.",
		"Clients, alerts and retries cannot distinguish an authorizer that is unavailable from a denied request: both are 403.",
		"Set statusOnError: \"503\".")
	providerBody = registry.Define("provider_body", finding.Error,
		"A provider sends bodies of requests to the authorizer.",
		"Meshpass reads no body. Requests with larger bodies get 413 before any check, and streams of gRPC hang.",
		"Remove includeRequestBodyInCheck.")
	providerHTTP = registry.Define("provider_http", finding.Error,
		"A CUSTOM policy of a guarded workload uses an HTTP provider.",
		"Meshpass serves gRPC only, and an HTTP authorizer learns neither caller nor callee.",
		"Use envoyExtAuthzGrpc.")
	providerIgnored = registry.Define("provider_setting_ignored", finding.Warning,
		"A provider sets clearRouteCache, which istiod does not pass on.",
		"Routes do not change after the check, although the setting says so.",
		"Remove clearRouteCache.")
	providersConflict = registry.Define("providers_conflict", finding.Error,
		"CUSTOM policies with different providers select one workload.",
		"istiod denies every request to the workload.",
		"Use one provider for each workload; narrow the selectors.")
)

func (c *checker) checkProviders() {
	for _, mesh := range c.Meshes {
		seen := map[string]bool{}
		for _, p := range mesh.Providers() {
			if p.Name != "" && seen[p.Name] {
				c.report.Add(providerDuplicate, p.Node, "the provider %q is there twice", p.Name)
			}
			seen[p.Name] = true
			if p.IsExtAuthz() {
				c.checkProvider(p, c.isUsed(p.Name))
			}
		}
	}
	c.checkProviderNames()
	c.checkMeshKeys()
	c.checkConflicts()
	c.checkOpenProviders()
}

// isUsed reports whether a CUSTOM policy names a provider. One that no policy names does nothing.
func (c *checker) isUsed(name string) bool {
	for _, policy := range c.policies {
		if policy.Spec().FindPath("provider", "name").String() == name {
			return true
		}
	}
	return false
}

var providerName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (c *checker) checkProvider(p *model.Provider, used bool) {
	at := func(key string) *objects.Node {
		if n := p.Config.Find(key); n != nil {
			return n
		}
		return p.Node
	}
	service, port := p.Config.Find("service").String(), p.Config.Find("port").Int()
	switch {
	case !providerName.MatchString(p.Name):
		c.report.Add(providerInvalid, p.Node, "the name %q: want small letters, digits and -, at most 63", p.Name)
	case port < 1 || port > 65535:
		c.report.Add(providerInvalid, at("port"), "provider %s: want a port from 1 to 65535, not %q", p.Name, p.Config.Find("port").String())
	case service == "":
		c.report.Add(providerInvalid, at("service"), "provider %s has no service", p.Name)
	default:
		if used {
			c.checkProviderService(p, service, port, at)
		}
	}
	if status := p.Config.Find("statusOnError"); status.String() != "" {
		if code, err := strconv.Atoi(status.String()); err != nil || http.StatusText(code) == "" {
			c.report.Add(providerInvalid, status, "provider %s: statusOnError %q is no status", p.Name, status.String())
		}
	}
	if used || strings.HasPrefix(p.Name, "meshpass") { // the others are of other systems
		c.checkProviderSettings(p, at)
	}
}

func (c *checker) checkProviderSettings(p *model.Provider, at func(string) *objects.Node) {
	timeout := p.Config.Find("timeout")
	duration, err := time.ParseDuration(timeout.String())
	switch {
	case timeout.IsEmpty():
		c.report.Add(providerTimeout, p.Node, "provider %s has no timeout: Envoy waits for 600 s", p.Name)
	case err != nil:
		c.report.Add(providerInvalid, timeout, "provider %s: the timeout %q is no duration such as 0.25s", p.Name, timeout.String())
	case duration > 2*time.Second || duration <= 0:
		c.report.Add(providerTimeout, timeout, "provider %s: timeout %s, at most 2s keeps requests from waiting", p.Name, timeout.String())
	}
	status := p.Config.Find("statusOnError")
	if isDenial := status.String() == "" || status.String() == "403" || status.String() == "401"; !p.Config.Find("failOpen").IsTrue() && (isDenial || status.Int() < 400) {
		c.report.Add(providerStatus, at("statusOnError"), "provider %s answers an outage with %s", p.Name, cmp.Or(status.String(), "403"))
	}
	if body := p.Config.Find("includeRequestBodyInCheck"); !body.IsEmpty() {
		c.report.Add(providerBody, body, "provider %s sends bodies", p.Name)
	}
	if setting := p.Config.Find("clearRouteCache"); setting.IsTrue() {
		c.report.Add(providerIgnored, setting, "provider %s sets clearRouteCache", p.Name)
	}
}

// findRegistered looks a host up as istiod does: by its full name, in one namespace.
func (c *checker) findRegistered(service string) (host *model.Host, problem string) {
	only, name, qualified := strings.Cut(service, "/")
	if !qualified {
		only, name = "", service
	}
	namespaces := map[string]*model.Host{}
	for _, h := range c.Hosts {
		if h.Name == name && (only == "" || h.Namespace == only) {
			namespaces[h.Namespace] = h
		}
	}
	switch len(namespaces) {
	case 0:
		var names []string
		for _, h := range c.Hosts {
			names = append(names, h.Name)
		}
		hint := suggest.DidYouMean(name, names)
		if hint == "" && !strings.HasSuffix(name, ".svc."+c.ClusterDomain) && len(c.FindHosts(name, "")) > 0 {
			hint = ": write the full name " + c.FindHosts(name, "")[0].Name
		}
		return nil, "no Service and no ServiceEntry has this host" + hint
	case 1:
		for _, h := range namespaces {
			return h, ""
		}
	}
	return nil, fmt.Sprintf("%d namespaces have this host", len(namespaces))
}

// isElsewhere reports the full name of a service in a namespace without Services, while the input has no authorizer either.
func (c *checker) isElsewhere(service string) bool {
	labels := strings.Split(strings.TrimSuffix(service, ".svc."+c.ClusterDomain), ".")
	return len(labels) == 2 && strings.HasSuffix(service, ".svc."+c.ClusterDomain) && len(c.Authorizers) == 0 &&
		!slices.ContainsFunc(c.Hosts, func(h *model.Host) bool { return h.Namespace == labels[1] })
}

func (c *checker) checkProviderService(p *model.Provider, service string, port int, at func(string) *objects.Node) {
	if len(c.OfKind(objects.Core, "Service")) == 0 && (len(c.Hosts) == 0 || strings.HasSuffix(service, ".svc."+c.ClusterDomain)) {
		c.addNote("no Service is in the input: the services of extension providers were not looked up")
		return
	}
	host, problem := c.findRegistered(service)
	if host == nil && c.isElsewhere(service) {
		c.addNote("no authorizer is in the input: the services of extension providers in other namespaces were not looked up")
		return
	}
	if host == nil {
		c.report.Add(providerService, at("service"), "provider %s: %s: %s", p.Name, service, problem)
		return
	}
	found := host.FindPort(port)
	if found == nil {
		c.report.Add(providerPort, at("port"), "provider %s: %s has no port %d", p.Name, host.Object.Title(), port)
		return
	}
	spec := host.Object.Spec()
	headless := model.IsHeadless(host.Object) && !c.isOn("PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES") && !c.isForGateways(p)
	if host.Object.Kind == "Service" && (headless || spec.Find("type").String() == "ExternalName") {
		c.report.Add(providerUnreachable, at("service"), "provider %s: %s is %s", p.Name, host.Object.Title(), describeAddress(spec))
	}
	if resolution := spec.Find("resolution"); host.Object.Kind == "ServiceEntry" && (resolution.String() == "" || resolution.String() == "NONE") {
		c.report.Add(providerUnreachable, cmp.Or(resolution, at("service")), "provider %s: %s has the resolution NONE", p.Name, host.Object.Title())
	}
	c.checkLoadBalancer(p, host, port)
	if protocol := model.ProtocolOf(found); p.GRPC && protocol != model.HTTP2 {
		c.report.Add(providerNotGRPC, found, "port %d (%s) of %s is for %s, and provider %s asks in gRPC", port, cmp.Or(found.Find("name").String(), "without name"), host.Object.Title(), protocol, p.Name)
	}
}

// checkLoadBalancer finds DestinationRules that make Envoy send Checks to the address of the request (Cluster.type ORIGINAL_DST). A rule for the host
// itself counts before one with a wildcard, and settings of a port in place of all others.
func (c *checker) checkLoadBalancer(p *model.Provider, host *model.Host, port int) {
	var exact, others []*objects.Object
	for _, o := range c.OfKind(objects.Networking, "DestinationRule") {
		switch name := o.Spec().Find("host").String(); {
		case !slices.Contains(c.MatchHosts(name, o.Namespace), host):
		case strings.HasPrefix(name, "*"):
			others = append(others, o)
		default:
			exact = append(exact, o)
		}
	}
	if len(exact) > 0 {
		others = exact
	}
	for _, o := range others {
		settings := o.Spec().Find("trafficPolicy")
		for _, each := range settings.Find("portLevelSettings").Entries() {
			if each.FindPath("port", "number").Int() == port {
				settings = each
			}
		}
		if simple := settings.FindPath("loadBalancer", "simple"); simple.String() == "PASSTHROUGH" {
			c.report.Add(providerUnreachable, simple, "provider %s: %s gives %s the load balancer PASSTHROUGH", p.Name, o.Title(), host.Name)
		}
	}
}

// checkProviderNames compares the names in CUSTOM policies with the MeshConfigs of the workloads that they select.
func (c *checker) checkProviderNames() {
	if len(c.policies) > 0 && len(c.Meshes) == 0 {
		c.addNote("no MeshConfig is in the input: the providers of CUSTOM policies were not looked up")
	}
	for _, policy := range c.policies {
		name := policy.Spec().FindPath("provider", "name")
		if name.String() == "" {
			continue // an invalid policy
		}
		for _, mesh := range c.meshesOf(policy) {
			p := mesh.FindProvider(name.String())
			if p != nil && p.IsExtAuthz() {
				if p.HTTP {
					c.report.Add(providerHTTP, name, "%s uses the HTTP provider %s", policy.Title(), p.Name)
				}
				continue
			}
			var names []string
			for _, each := range mesh.Providers() {
				if each.IsExtAuthz() {
					names = append(names, each.Name)
				}
			}
			where := "the MeshConfig"
			if mesh.Revision != "" {
				where += " of revision " + mesh.Revision
			}
			c.report.Add(providerUnknown, name, "%s has no ext_authz provider %q%s", where, name.String(), suggest.DidYouMean(name.String(), names))
		}
	}
}

// checkMeshKeys finds a ConfigMap of istiod without the key mesh. istiod then has its defaults, without a provider.
func (c *checker) checkMeshKeys() {
	for _, o := range c.OfKind(objects.Core, "ConfigMap") {
		data := o.Root.Find("data")
		if o.Namespace != c.RootNamespace && o.Namespace != "istio-system" || data.Find("mesh") != nil || len(c.policies) == 0 {
			continue
		}
		revision, isOfIstiod := c.revisionOfConfigMap(o)
		if !isOfIstiod || c.IstiodVariable(&model.Mesh{Revision: revision}, "SHARED_MESH_CONFIG") != "" {
			continue
		}
		var keys []string
		for _, m := range data.Members() {
			keys = append(keys, m.Key)
		}
		c.report.Add(providerUnknown, cmp.Or(data, o.Root), "%s has no key mesh, only %q: istiod reads no MeshConfig, and has no provider %s", o.Title(), keys, c.policies[0].Spec().FindPath("provider", "name").String())
	}
}

// revisionOfConfigMap gives the revision whose MeshConfig a ConfigMap has by its name. Other ConfigMaps of Istio have such names too: one with a
// suffix counts if the suffix is its label, a revision of a workload or of an istiod, or if it has a file mesh.yaml.
func (c *checker) revisionOfConfigMap(o *objects.Object) (revision string, isOfIstiod bool) {
	if o.Name == "istio" {
		return "", true
	}
	revision, found := strings.CutPrefix(o.Name, "istio-")
	data := o.Root.Find("data")
	return revision, found && (data.Find("mesh.yaml") != nil || data.Find("mesh.yml") != nil || o.Labels["istio.io/rev"] == revision ||
		slices.ContainsFunc(c.Workloads, func(w *model.Workload) bool {
			return c.RevisionOf(w) == revision || w.Labels["app"] == "istiod" && w.Labels["istio.io/rev"] == revision
		}))
}

// meshesOf gives the MeshConfigs of the workloads that a policy selects.
func (c *checker) meshesOf(policy *objects.Object) (all []*model.Mesh) {
	seen := map[*model.Mesh]bool{}
	for _, w := range c.Workloads {
		if c.Selects(policy, w) {
			for _, mesh := range c.MeshesOf(w) {
				if !seen[mesh] {
					seen[mesh] = true
					all = append(all, mesh)
				}
			}
		}
	}
	if len(all) == 0 {
		return c.Meshes
	}
	return all
}

// checkConflicts finds workloads with several providers.
func (c *checker) checkConflicts() {
	if c.allowsSeveralProviders() {
		return
	}
	c.checkSameTargets()
	for _, w := range c.Workloads {
		var first *objects.Object
		for _, policy := range c.AllCustomPolicies(w) {
			name := policy.Spec().FindPath("provider", "name").String()
			if first == nil {
				first = policy
				continue
			}
			if before := first.Spec().FindPath("provider", "name").String(); before != name && len(c.CustomPolicies(w)) > 0 {
				c.report.Add(providersConflict, w.Object.Root, "%s has the provider %s by %s, and %s by %s", w.Title(), before, first.Title(), name, policy.Title())
				break
			}
		}
	}
}

// checkSameTargets finds policies with one target or selector, whose workloads the input does not have: gateways that Istio deploys.
func (c *checker) checkSameTargets() {
	seen := map[string]*objects.Object{}
	for _, policy := range c.OfKind(objects.Security, "AuthorizationPolicy") {
		if !model.IsCustom(policy) {
			continue
		}
		keys := []string{}
		for _, ref := range c.TargetRefs(policy) {
			keys = append(keys, policy.Namespace+" "+ref.Find("kind").String()+" "+ref.Find("name").String())
		}
		if selector := model.SelectorOf(policy); len(keys) == 0 && !selector.IsEmpty() && !slices.ContainsFunc(c.Workloads, func(w *model.Workload) bool { return c.Selects(policy, w) }) {
			keys = append(keys, policy.Namespace+" selector "+fmt.Sprint(selector.TextMap()))
		}
		name := policy.Spec().FindPath("provider", "name").String()
		for _, key := range keys {
			first := seen[key]
			if first == nil {
				seen[key] = policy
				continue
			}
			if before := first.Spec().FindPath("provider", "name").String(); before != name && !(c.IsForeign(first) && c.IsForeign(policy)) {
				c.report.Add(providersConflict, policy.Root, "%s names the provider %s, and %s names %s for the same target", first.Title(), before, policy.Title(), name)
			}
		}
	}
}

const severalProviders = "PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS"

// allowsSeveralProviders reports istiod's alpha switch, in its settings or in its Deployment.
func (c *checker) allowsSeveralProviders() bool {
	return c.isOn(severalProviders)
}

func (c *checker) isOn(variable string) bool {
	return slices.ContainsFunc(c.Meshes, func(mesh *model.Mesh) bool { return c.IstiodVariable(mesh, variable) == "true" })
}

// isForGateways reports a provider that gateways alone ask: istiod gives them the pods of a headless Service, unlike sidecars and waypoints.
func (c *checker) isForGateways(p *model.Provider) bool {
	return !slices.ContainsFunc(c.policies, func(policy *objects.Object) bool {
		if policy.Spec().FindPath("provider", "name").String() != p.Name {
			return false
		}
		if refs := c.TargetRefs(policy); len(refs) > 0 {
			return slices.ContainsFunc(refs, func(ref *objects.Node) bool {
				o := c.FindGateway(policy.Namespace, ref.Find("name").String())
				return ref.Find("kind").String() != "Gateway" || o == nil || model.IsWaypoint(o)
			})
		}
		return !slices.ContainsFunc(c.Workloads, func(w *model.Workload) bool { return w.IsGateway() && c.Selects(policy, w) })
	})
}

// checkOpenProviders compares failOpen with what else guards a workload.
func (c *checker) checkOpenProviders() {
	for _, policy := range c.policies {
		if p := c.ProviderOf(policy); p != nil && p.Config.Find("failOpen").IsTrue() {
			for _, d := range c.DocumentsAtGateways(policy, p) {
				if d.OnOutage != "allow" {
					c.report.Add(providerFailOpen, policy.Root, "%s names provider %s with failOpen, and document %s does not have onOutage: allow", policy.Title(), p.Name, d.Name)
				}
			}
		}
	}
	for _, w := range c.Workloads {
		if !c.IsGuarded(w) {
			continue
		}
		for _, policy := range c.CustomPolicies(w) {
			p := c.ProviderOf(policy)
			if p == nil || !p.Config.Find("failOpen").IsTrue() {
				continue
			}
			for _, d := range c.DocumentsFor(w) {
				if d.OnOutage != "allow" {
					c.report.Add(providerFailOpen, w.Object.Root, "%s is guarded by provider %s with failOpen, and document %s does not have onOutage: allow", w.Title(), p.Name, d.Name)
				}
			}
			if !c.requiresToken(w) {
				c.report.Add(openWithoutBackstop, w.Object.Root, "%s is guarded by provider %s with failOpen, and no ALLOW policy of it requires a requestPrincipal", w.Title(), p.Name)
			}
		}
	}
}

// requiresToken reports an ALLOW policy without rules for other callers: every rule needs a request principal.
func (c *checker) requiresToken(w *model.Workload) bool {
	required := false
	for _, o := range c.OfKind(objects.Security, "AuthorizationPolicy") {
		action := o.Spec().Find("action").String()
		if action != "" && action != "ALLOW" || !c.Selects(o, w) {
			continue
		}
		for _, rule := range o.Spec().Find("rules").Entries() {
			for _, from := range rule.Find("from").Entries() {
				required = required || !from.FindPath("source", "requestPrincipals").IsEmpty()
			}
		}
	}
	return required
}

func describeAddress(spec *objects.Node) string {
	if spec.Find("type").String() == "ExternalName" {
		return "of type ExternalName"
	}
	return "headless"
}
