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
	"github.com/meshpass/meshpass/internal/suggest"
)

var (
	customInvalid = registry.Define("custom_invalid", finding.Error,
		"A CUSTOM policy has a form that Istio rejects: no rules, no provider, or a condition that CUSTOM cannot have.",
		"The API server rejects the object, or it matches nothing: no request is asked about.",
		"Write action: CUSTOM, provider: {name: …} and rules: [{}].")
	customDryRun = registry.Define("custom_dry_run", finding.Error,
		"A CUSTOM policy has the annotation istio.io/dry-run.",
		"Istio's validation rejects the object, and its former version stays. Without validation, istiod puts the trigger of the check into the enforced rules with action DENY.",
		"Remove the annotation. For a trial, use the label's value observe.")
	customConditions = registry.Define("custom_conditions", finding.Error,
		"All rules of a CUSTOM policy have conditions on the request, such as paths or headers.",
		"A request that matches none of them passes without a Check, in every spelling that the condition does not have.",
		"Write rules: [{}], or conditions on ports alone. Make exceptions in a document's public section.")
	customAuthorizer = registry.Define("custom_selects_authorizer", finding.Error,
		"A CUSTOM policy selects the authorizer.",
		"Each Check asks for another Check: all of them fail.",
		"Give the policy a selector that the authorizer's pods do not have.")
	customTCP = registry.Define("custom_tcp_port", finding.Error,
		"A CUSTOM policy without ports selects a workload with a TCP port.",
		"Raw TCP causes a Check without a token, and every connection is denied.",
		"Name the HTTP ports in the policy: see manifests/istio/tcp.")
	guardedNoPolicy = registry.Define("guarded_without_policy", finding.Error,
		"A workload has the label meshpass.dev/guarded, and no CUSTOM policy selects it; or the label is mistyped, an annotation, or not on the pods.",
		"No request is asked about: every workload of the mesh can call it.",
		"Apply manifests/istio, or correct the value of the label: true, open, tcp or observe.")
	mtlsNotStrict = registry.Define("mtls_not_strict", finding.Error,
		"A port of a guarded workload, or of an authorizer with tls.mode mesh, accepts plaintext.",
		"A request in plaintext names no caller and no callee: it is denied (no_callee), or a rule without callers allows it. A Check in plaintext has the client's name that the client writes.",
		"Set PeerAuthentication to STRICT for the namespace, and remove exceptions of the port.")
	peerConflict = registry.Define("peer_authentication_conflict", finding.Warning,
		"Several PeerAuthentications of one level have different modes.",
		"Istio uses the oldest one: the order of creation decides whether plaintext is accepted.",
		"Keep one of them.")
	portExcluded = registry.Define("port_not_intercepted", finding.Error,
		"A port of a guarded workload, of an authorizer with tls.mode mesh, or one of Tyk's gateway that a policy closes, is excluded from interception.",
		"Requests to this port go past the sidecar: without mutual TLS, without a Check and past the policy. A Check that does so has the client's name that the client writes.",
		"Remove the port or the interface from the annotation.")
	notInjected = registry.Define("guarded_not_injected", finding.Error,
		"A guarded workload, or an authorizer with tls.mode mesh, has no sidecar.",
		"No proxy asks about its requests. Without its sidecar, an authorizer takes the client's name that a client writes.",
		"Label the namespace istio-injection: enabled or istio.io/rev, or remove what excludes the pod.")
	revisionUnknown = registry.Define("revision_unknown", finding.Error,
		"A guarded workload names a revision of Istio for which the input has no MeshConfig.",
		"No istiod injects a sidecar, or one does whose MeshConfig lacks the providers.",
		"Write an existing revision, or add the providers to the MeshConfig of that revision.")
	plainClient = registry.Define("client_plaintext", finding.Error,
		"Mutual TLS is off for callers of a guarded host or of the authorizer: by a DestinationRule, by enableAutoMtls, or by a label of the pods.",
		"Callers send plaintext: a STRICT workload closes the connection.",
		"Remove trafficPolicy.tls, or set mode: ISTIO_MUTUAL.")
	portUncovered = registry.Define("port_without_check", finding.Error,
		"A port of a guarded workload is in no rule of its CUSTOM policies, and no DENY policy closes it.",
		"Requests to this port pass without a Check.",
		"Write the port of the pods, not the Service's, into the policy, or close it with a DENY policy as in manifests/istio/tcp.")
	customSelectsNothing = registry.Define("custom_selects_nothing", finding.Error,
		"The selector of a CUSTOM policy has no workload, and resembles the labels of one.",
		"The policy applies to nothing: no request is asked about.",
		"Write labels of the pods, not of the Deployment or the Service.")
	probeNotRewritten = registry.Define("probe_not_rewritten", finding.Error,
		"A guarded workload has probes over HTTP or gRPC on a guarded port, and Istio does not rewrite them.",
		"The kubelet has neither a certificate nor a token: the sidecar rejects the probe, and the pod never becomes ready or restarts again and again.",
		"Remove sidecar.istio.io/rewriteAppHTTPProbers: \"false\", or probe a port that is excluded from interception.")
	callerNotAdmitted = registry.Define("caller_not_admitted", finding.Error,
		"ALLOW or DENY policies of Istio on a guarded workload keep out a caller that its document names, or everyone.",
		"Envoy answers the caller with 403 (RBAC: access denied), whatever the document decides.",
		"Add the caller's principal to a rule of the ALLOW policies, or remove it from the DENY policy. A DENY policy closes single ports, paths or callers.")
	gatewayLabelled = registry.Define("gateway_guarded", finding.Error,
		"The pods of a gateway, of Istio or of Tyk, have the label meshpass.dev/guarded.",
		"Requests from outside of the mesh have neither a certificate nor a token: every one of them is denied.",
		"Remove the label. Before a gateway of Istio, use manifests/istio/ingress or gateway-api, whose listener needs no caller; Tyk's gateway has documents for the edge.")
	tlsBehindSidecar = registry.Define("tls_behind_sidecar", finding.Error,
		"The traffic of an authorizer with tls.mode mtls or server passes its own sidecar.",
		"The sidecar terminates mutual TLS, and the authorizer gets plaintext where it expects TLS: every Check fails, and failOpen decides.",
		"Set traffic.sidecar.istio.io/includeInboundPorts: \"\" on the pods, as manifests/components/certificate does; or use tls.mode mesh.")
	ingressUncaptured = registry.Define("sidecar_ingress_not_captured", finding.Error,
		"A Sidecar has an ingress listener with captureMode: NONE for a guarded workload whose traffic is intercepted.",
		"Envoy itself listens on the port, with mutual TLS. It forwards intercepted requests there in plaintext after the Check, and closes the connection: callers get 503.",
		"Remove captureMode. The workload listens on defaultEndpoint, or on the port itself.")
	portUnnamed = registry.Define("port_protocol_unknown", finding.Warning,
		"A port of a guarded workload has no protocol in its name.",
		"Istio guesses the protocol from the first bytes. What it takes for TCP has no path and no token, and is denied.",
		"Name the port http, http2 or grpc, or set appProtocol.")
)

func (c *checker) checkPolicies() {
	for _, policy := range c.policies {
		c.checkPolicy(policy)
	}
	for _, o := range c.OfKind(objects.Security, "AuthorizationPolicy") {
		if provider := o.Spec().Find("provider"); provider != nil && !model.IsCustom(o) {
			c.report.Add(customInvalid, provider, "provider has a meaning with action: CUSTOM only")
		}
	}
}

// forbiddenSources and forbiddenKeys are conditions that Istio rejects for CUSTOM (pkg/config/validation).
var (
	forbiddenSources = []string{"namespaces", "notNamespaces", "principals", "notPrincipals", "requestPrincipals", "notRequestPrincipals", "serviceAccounts", "notServiceAccounts", "trustDomains", "notTrustDomains"}
	forbiddenKeys    = []string{"source.namespace", "source.principal", "source.serviceAccount", "source.trustDomain", "request.auth."}
)

func (c *checker) checkPolicy(policy *objects.Object) {
	spec := policy.Spec()
	rules := spec.Find("rules").Entries()
	if len(rules) == 0 {
		c.report.Add(customInvalid, spec, "it has no rules, and matches no request")
	}
	if spec.FindPath("provider", "name").String() == "" {
		c.report.Add(customInvalid, spec, "it names no provider")
	}
	for _, rule := range rules {
		for _, from := range rule.Find("from").Entries() {
			for _, m := range from.Find("source").Members() {
				if slices.Contains(forbiddenSources, m.Key) {
					c.report.Add(customInvalid, m, "CUSTOM cannot have from.source.%s", m.Key)
				}
			}
		}
		for _, to := range rule.Find("to").Entries() {
			for _, key := range []string{"ports", "notPorts"} {
				for _, n := range to.FindPath("operation", key).Entries() {
					if port := toInt(n.String()); port < 1 || port > 65535 {
						c.invalid[policy] = true
						c.report.Add(customInvalid, n, "%s: want a number of a port of the pods, not %q", key, n.String())
					}
				}
			}
		}
		for _, when := range rule.Find("when").Entries() {
			key := when.Find("key").String()
			if slices.ContainsFunc(forbiddenKeys, func(each string) bool { return strings.HasPrefix(key, each) }) {
				c.report.Add(customInvalid, when, "CUSTOM cannot have a condition on %s", key)
			}
		}
	}
	if !spec.Find("selector").IsEmpty() && len(c.TargetRefs(policy)) > 0 {
		c.report.Add(customInvalid, spec.Find("selector"), "selector and targetRefs cannot be used together")
	}
	if dry := policy.Annotation("istio.io/dry-run"); dry.String() == "true" {
		c.report.Add(customDryRun, dry, "%s is a trial, which CUSTOM does not support", policy.Title())
	}
	c.checkConditions(policy, rules)
	c.checkSelector(policy)
	for _, w := range c.authorizers(policy) {
		if c.Selects(policy, w) && !w.IsBeside() {
			c.report.Add(customAuthorizer, policy.Root, "%s selects %s, which answers the Checks", policy.Title(), w.Title())
		}
	}
}

// checkSelector finds a selector that is mistyped: it has no pods, and pods of the namespace have the label with a value that resembles it.
func (c *checker) checkSelector(policy *objects.Object) {
	if slices.ContainsFunc(c.Workloads, func(w *model.Workload) bool { return c.Selects(policy, w) }) || len(c.TargetRefs(policy)) > 0 {
		return
	}
	for _, label := range model.SelectorOf(policy).Members() {
		for _, w := range c.Workloads {
			value, isThere := w.Labels[label.Key]
			if isThere && label.Key != model.GuardLabel && (w.Namespace == policy.Namespace || policy.Namespace == c.RootNamespace) && suggest.Nearest(label.String(), []string{value}) != "" {
				c.report.Add(customSelectsNothing, label, "%s selects no pods%s", policy.Title(), suggest.DidYouMean(label.String(), []string{value}))
				return
			}
		}
	}
}

// checkConditions finds a policy that leaves requests out. Ports are no condition on the request, and the server's name of mutual TLS is always there.
func (c *checker) checkConditions(policy *objects.Object, rules []*objects.Node) {
	if len(rules) == 0 || policy.Annotation("istio.io/dry-run").String() == "true" {
		return
	}
	for _, rule := range rules {
		if !isNarrow(rule) {
			return
		}
	}
	c.report.Add(customConditions, rules[0], "%s matches requests by their content, and lets the others pass without a Check", policy.Title())
}

func isNarrow(rule *objects.Node) bool {
	if !rule.Find("from").IsEmpty() {
		return true
	}
	for _, when := range rule.Find("when").Entries() {
		if key := when.Find("key").String(); key != "destination.port" && (key != "connection.sni" || !slices.Equal(when.Find("values").Texts(), []string{"*"})) {
			return true
		}
	}
	operations := rule.Find("to").Entries()
	for _, to := range operations {
		if !slices.ContainsFunc(to.Find("operation").Members(), func(m *objects.Node) bool { return m.Key != "ports" && m.Key != "notPorts" && !matchesAll(m) }) {
			return false
		}
	}
	return len(operations) > 0
}

// matchesAll reports a list with the pattern that every value matches.
func matchesAll(n *objects.Node) bool {
	return slices.Contains(n.Texts(), "*") || n.Key == "paths" && (slices.Contains(n.Texts(), "/*") || slices.Contains(n.Texts(), "/{**}"))
}

// authorizers gives the workloads that answer a policy's Checks.
func (c *checker) authorizers(policy *objects.Object) (all []*model.Workload) {
	p := c.ProviderOf(policy)
	if p != nil {
		if host, _ := c.findRegistered(p.Config.Find("service").String()); host != nil {
			all = c.WorkloadsOf(host)
		}
	}
	for _, w := range c.Workloads {
		if w.RunsAuthorizer() && !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	return all
}

func (c *checker) checkWorkloads() {
	c.checkLabelPlaces()
	hasPolicies := len(c.policies)+len(c.Meshes)+len(c.Authorizers) > 0
	for _, w := range c.Workloads {
		label := w.Labels[model.GuardLabel]
		if label != "" && (w.IsGateway() || c.isTykGateway(w)) {
			c.report.Add(gatewayLabelled, cmp.Or(findLabel(w, model.GuardLabel), w.Object.Root), "%s is a gateway and has the label %s: %s", w.Title(), model.GuardLabel, label)
			continue
		}
		if label != "" && len(c.CustomPolicies(w)) == 0 && !c.guardedByWaypoint(w) {
			if !hasPolicies {
				c.addNote("no CUSTOM policy, MeshConfig or authorizer is in the input: guarded workloads were not compared with policies")
				continue
			}
			c.report.Add(guardedNoPolicy, cmp.Or(findLabel(w, model.GuardLabel), w.Object.Root), "%s has the label %s: %s, and no CUSTOM policy selects it", w.Title(), model.GuardLabel, label)
			continue
		}
		if !c.IsGuarded(w) || c.IsAmbientWorkload(w) || w.IsGateway() { // a gateway takes requests from outside of the mesh
			continue
		}
		if c.InjectionOf(w) == model.NotInjected {
			c.report.Add(notInjected, w.Object.Root, "%s is guarded and gets no sidecar", w.Title())
			continue
		}
		c.checkRevision(w)
		c.checkPorts(w)
		c.checkCoveredPorts(w)
		c.checkVisibility(w)
		if mode := w.Labels["security.istio.io/tlsMode"]; mode == "disabled" {
			c.report.Add(plainClient, w.Object.Root, "%s has the label security.istio.io/tlsMode: disabled, by which callers send plaintext", w.Title())
		}
		c.checkInterception(w, c.guardedPorts(w))
		c.checkProbes(w)
		c.checkAdmission(w)
		c.checkMutualTLS(w)
	}
	c.checkAuthorizers()
	c.checkDestinationRules()
}

// checkAuthorizers checks that no client goes past the sidecar of an authorizer with tls.mode mesh: it takes the client's name from a header.
func (c *checker) checkAuthorizers() {
	for _, a := range c.Authorizers {
		for _, w := range c.AuthorizerWorkloads(a) {
			if a.Mode == "mtls" || a.Mode == "server" {
				c.checkOwnTLS(w, a)
			}
			if w.Labels["security.istio.io/tlsMode"] == "disabled" && (a.Mode == "mesh" || a.Mode == "mtls") {
				c.report.Add(plainClient, w.Object.Root, "%s has the label security.istio.io/tlsMode: disabled, by which callers send plaintext", w.Title())
			}
			if a.Mode != "mesh" || w.IsBeside() {
				continue
			}
			if c.IsAmbientWorkload(w) && w.PodSpec != nil {
				c.report.Add(notInjected, w.Object.Root, "%s is an authorizer with tls.mode mesh in ambient mode, where ztunnel names no client", w.Title())
				continue
			}
			if c.InjectionOf(w) == model.NotInjected {
				c.report.Add(notInjected, w.Object.Root, "%s is an authorizer with tls.mode mesh and gets no sidecar", w.Title())
				continue
			}
			var ports []int
			for _, l := range a.Listeners {
				ports = append(ports, l.Port)
				if mode, at := c.mutualTLSMode(w, l.Port); mode != "STRICT" {
					c.report.Add(mtlsNotStrict, cmp.Or(at, w.Object.Root), "port %d of %s is a listener of an authorizer with tls.mode mesh, and its mutual TLS is %s", l.Port, w.Title(), mode)
				}
			}
			c.checkInterception(w, ports)
			c.checkClientNames(w)
		}
	}
}

// checkOwnTLS finds listeners whose TLS another proxy terminates before the authorizer does.
func (c *checker) checkOwnTLS(w *model.Workload, a *model.AuthorizerConfig) {
	if c.InjectionOf(w) != model.Injected || w.PodSpec == nil || w.Annotation("sidecar.istio.io/interceptionMode").String() == "NONE" || w.ProxyConfig("interceptionMode") == "NONE" {
		return
	}
	excluded := portsOf(c.setting(w, "excludeInboundPorts", "excludeInboundPorts"))
	included := c.setting(w, "includeInboundPorts", "includeInboundPorts")
	all := included == nil || strings.Contains(included.String(), "*")
	for _, l := range a.Listeners {
		port := strconv.Itoa(l.Port)
		if !slices.Contains(excluded, port) && (all || slices.Contains(portsOf(included), port)) {
			c.report.Add(tlsBehindSidecar, cmp.Or(included, w.Object.Root), "port %s of %s passes the sidecar, and tls.mode is %s", port, w.Title(), a.Mode)
		}
	}
}

// portsOf are the ports of an annotation.
func portsOf(n *objects.Node) []string {
	return strings.Split(strings.ReplaceAll(n.String(), " ", ""), ",")
}

// checkLabelPlaces finds the label on an object where it does nothing: Istio's policies select pods.
func (c *checker) checkLabelPlaces() {
	for _, o := range c.Set.Objects {
		isTemplate := o.Group == objects.Apps || o.Group == objects.Batch || o.Group == objects.Argo
		if o.Labels[model.GuardLabel] == "" || !isTemplate && (o.Group != objects.Core || o.Kind == "Pod") {
			continue
		}
		if !slices.ContainsFunc(c.Workloads, func(w *model.Workload) bool { return w.Object == o && w.Labels[model.GuardLabel] != "" }) {
			c.report.Add(guardedNoPolicy, o.Root.FindPath("metadata", "labels", model.GuardLabel), "%s has the label %s, and its pods do not", o.Title(), model.GuardLabel)
		}
	}
	for _, w := range c.Workloads {
		if n := w.Annotation(model.GuardLabel); n != nil && w.Labels[model.GuardLabel] == "" {
			c.report.Add(guardedNoPolicy, n, "%s has %s as annotation, and policies select by labels", w.Title(), model.GuardLabel)
		}
		for label := range w.Labels {
			if label != model.GuardLabel && w.Labels[model.GuardLabel] == "" && suggest.Nearest(label, []string{model.GuardLabel}) != "" {
				c.report.Add(guardedNoPolicy, cmp.Or(findLabel(w, label), w.Object.Root), "%s has the label %s%s", w.Title(), label, suggest.DidYouMean(label, []string{model.GuardLabel}))
			}
		}
	}
}

// otherPorts are names of ports that serve no users, and that policies leave out.
var otherPorts = regexp.MustCompile(`metrics|prom|health|probe|status|admin|debug`)

// checkCoveredPorts finds HTTP ports that no CUSTOM policy asks about.
func (c *checker) checkCoveredPorts(w *model.Workload) {
	policies := slices.DeleteFunc(c.CustomPolicies(w), func(o *objects.Object) bool { return o.Spec().Find("rules").IsEmpty() || c.invalid[o] })
	if len(policies) == 0 || w.RunsAuthorizer() {
		return
	}
	for _, port := range c.PortsOf(w) {
		isHTTP := port.Protocol == model.HTTP || port.Protocol == model.HTTP2
		if !isHTTP || otherPorts.MatchString(port.Name) || c.isClosed(w, port.Number) ||
			slices.ContainsFunc(policies, func(o *objects.Object) bool { return coversPort(o, port.Number) }) {
			continue
		}
		c.report.Add(portUncovered, port.Node, "port %d (%s) of %s is in no rule of %s", port.Number, port.Name, w.Title(), policies[0].Title())
	}
}

// isClosed reports a DENY policy without conditions on callers that has the port.
func (c *checker) isClosed(w *model.Workload, port int) bool {
	return slices.ContainsFunc(c.OfKind(objects.Security, "AuthorizationPolicy"), func(o *objects.Object) bool {
		return o.Spec().Find("action").String() == "DENY" && c.Selects(o, w) && coversPort(o, port)
	})
}

// findLabel gives a label of the pods as a value.
func findLabel(w *model.Workload, label string) *objects.Node {
	var found *objects.Node
	w.Object.Root.Walk(func(n *objects.Node) bool {
		if n.Key == label && n.Parent().Key == "labels" {
			found = n
		}
		return true
	})
	return found
}

func (c *checker) checkRevision(w *model.Workload) {
	if len(c.Meshes) == 0 || w.PodSpec == nil || c.InjectionOf(w) != model.Injected {
		return
	}
	if slices.ContainsFunc(c.MeshesOf(w), func(mesh *model.Mesh) bool { return mesh.IsOf(c.RevisionOf(w)) }) {
		return
	}
	c.report.Add(revisionUnknown, w.Object.Root, "%s is of revision %s", w.Title(), cmp.Or(w.Revision, "default"))
}

// checkPorts compares the ports of a workload with the rules of its CUSTOM policies.
func (c *checker) checkPorts(w *model.Workload) {
	for _, port := range c.PortsOf(w) {
		for _, policy := range c.CustomPolicies(w) {
			if !coversPort(policy, port.Number) {
				continue
			}
			switch port.Protocol {
			case model.TCP:
				c.report.Add(customTCP, port.Node, "port %d (%s) of %s is TCP, and %s asks about every connection to it", port.Number, port.Name, w.Title(), policy.Title())
			case model.Auto:
				c.report.Add(portUnnamed, port.Node, "port %d (%s) of %s has no protocol", port.Number, cmp.Or(port.Name, "without name"), w.Title())
			case model.HTTP, model.HTTP2, model.UDP:
			}
		}
	}
	for _, listener := range c.sidecarOf(w).Find("ingress").Entries() {
		port := listener.Find("port")
		if mode := listener.Find("captureMode"); mode.String() == "NONE" && w.PodSpec != nil {
			c.report.Add(ingressUncaptured, mode, "the Sidecar of %s has captureMode NONE for port %s", w.Title(), port.Find("number").String())
		}
		for _, policy := range c.CustomPolicies(w) {
			if model.ProtocolOf(port) == model.TCP && coversPort(policy, port.Find("number").Int()) {
				c.report.Add(customTCP, port, "a Sidecar makes port %s of %s TCP, and %s asks about every connection to it", port.Find("number").String(), w.Title(), policy.Title())
			}
		}
	}
}

// coversPort reports whether a policy asks about a port.
func coversPort(policy *objects.Object, number int) bool {
	text := strconv.Itoa(number)
	for _, rule := range policy.Spec().Find("rules").Entries() {
		operations := rule.Find("to").Entries()
		if len(operations) == 0 && !excludesPort(rule, text) {
			return true
		}
		for _, to := range operations {
			ports, not := to.FindPath("operation", "ports"), to.FindPath("operation", "notPorts")
			if (ports.IsEmpty() || slices.Contains(ports.Texts(), text)) && !slices.Contains(not.Texts(), text) && !excludesPort(rule, text) {
				return true
			}
		}
	}
	return false
}

// excludesPort reports a condition on destination.port that a port does not meet, or one that raw TCP without a server name does not meet.
func excludesPort(rule *objects.Node, port string) bool {
	for _, when := range rule.Find("when").Entries() {
		if when.Find("key").String() == "destination.port" && (!when.Find("values").IsEmpty() && !slices.Contains(when.Find("values").Texts(), port) || slices.Contains(when.Find("notValues").Texts(), port)) {
			return true
		}
	}
	return false
}

// guardedPorts are the ports of a workload about which its policies ask.
func (c *checker) guardedPorts(w *model.Workload) (all []int) {
	var served []int
	for _, p := range c.PortsOf(w) {
		served = append(served, p.Number)
	}
	if len(served) == 0 {
		for _, container := range w.Containers() {
			for _, p := range container.Find("ports").Entries() {
				served = append(served, p.Find("containerPort").Int())
			}
		}
	}
	for _, port := range served {
		if !slices.Contains(all, port) && slices.ContainsFunc(c.CustomPolicies(w), func(policy *objects.Object) bool { return coversPort(policy, port) }) {
			all = append(all, port)
		}
	}
	return all
}

// checkProbes finds probes of the kubelet that reach the sidecar as they are.
func (c *checker) checkProbes(w *model.Workload) {
	switched := w.Annotation("sidecar.istio.io/rewriteAppHTTPProbers")
	if switched == nil {
		for _, mesh := range c.MeshesOf(w) {
			switched = mesh.FindValue("sidecarInjectorWebhook", "rewriteAppHTTPProbe")
		}
	}
	if switched.String() != "false" {
		return
	}
	excluded := portsOf(c.setting(w, "excludeInboundPorts", "excludeInboundPorts"))
	for _, container := range w.Containers() {
		for _, kind := range []string{"readinessProbe", "livenessProbe", "startupProbe"} {
			probe := cmp.Or(container.FindPath(kind, "httpGet", "port"), container.FindPath(kind, "grpc", "port"))
			port := probe.Int()
			if port == 0 {
				port = w.FindContainerPort(probe.String())
			}
			if port != 0 && !slices.Contains(excluded, strconv.Itoa(port)) {
				c.report.Add(probeNotRewritten, switched, "the %s of %s asks port %d, and Istio does not rewrite it", kind, w.Title(), port)
				return
			}
		}
	}
}

// checkAdmission compares the callers of documents with the policies of Istio on a guarded workload. Conditions on requests are taken for met in
// ALLOW policies, and for not met in DENY policies.
func (c *checker) checkAdmission(w *model.Workload) {
	var allowing, denying []*objects.Object
	for _, o := range c.OfKind(objects.Security, "AuthorizationPolicy") {
		if !c.Selects(o, w) || o.Annotation("istio.io/dry-run").String() == "true" {
			continue
		}
		switch o.Spec().Find("action").String() {
		case "", "ALLOW":
			allowing = append(allowing, o)
		case "DENY":
			denying = append(denying, o)
		}
	}
	if rule := c.findDenial(w, denying, namesEveryone); rule != nil {
		c.report.Add(callerNotAdmitted, rule, "%s denies every request to %s", rule.Place().Object, w.Title())
		return
	}
	if len(allowing) > 0 && !slices.ContainsFunc(allowing, func(o *objects.Object) bool { return len(o.Spec().Find("rules").Entries()) > 0 }) {
		c.report.Add(callerNotAdmitted, cmp.Or(allowing[0].Spec(), allowing[0].Root), "no ALLOW policy of %s has a rule: %s denies every request to it", w.Title(), allowing[0].Title())
		return
	}
	for _, d := range c.DocumentsFor(w) {
		for _, caller := range c.calls.callers[d] {
			if caller != w {
				c.checkCaller(w, d, caller, allowing, denying)
			}
		}
	}
}

func (c *checker) checkCaller(w *model.Workload, d *model.Document, caller *model.Workload, allowing, denying []*objects.Object) {
	admitted := slices.ContainsFunc(allowing, func(o *objects.Object) bool {
		return slices.ContainsFunc(o.Spec().Find("rules").Entries(), func(rule *objects.Node) bool { return c.namesSource(rule, caller) })
	})
	if len(allowing) > 0 && !admitted {
		last := allowing[len(allowing)-1]
		c.report.Add(callerNotAdmitted, cmp.Or(last.Spec(), last.Root), "no ALLOW policy of %s admits %s, which document %s lets call it", w.Title(), caller.Identity(), d.Name)
	}
	if rule := c.findDenial(w, denying, func(rule *objects.Node) bool { return c.deniesCaller(rule, caller) }); rule != nil {
		c.report.Add(callerNotAdmitted, rule, "%s denies %s, which document %s lets call %s", rule.Place().Object, caller.Identity(), d.Name, w.Title())
	}
}

// findDenial gives a rule of DENY policies for certain callers, if such rules close all guarded ports of a workload. Ports by whose names no users
// are served do not count.
func (c *checker) findDenial(w *model.Workload, policies []*objects.Object, names func(rule *objects.Node) bool) (found *objects.Node) {
	if len(policies) == 0 {
		return nil
	}
	serves := c.PortsOf(w)
	ports := slices.DeleteFunc(c.guardedPorts(w), func(number int) bool {
		return slices.ContainsFunc(serves, func(p model.Port) bool { return p.Number == number && otherPorts.MatchString(p.Name) })
	})
	if len(ports) == 0 {
		ports = []int{0} // not known
	}
	for _, port := range ports {
		var closing *objects.Node
		for _, o := range policies {
			for _, rule := range o.Spec().Find("rules").Entries() {
				if names(rule) && closesPort(rule, port) {
					closing = rule
				}
			}
		}
		if closing == nil {
			return nil
		}
		found = closing
	}
	return found
}

// closesPort reports a rule of a DENY policy that matches each request to a port, whatever the request carries. 0 is a port that is not known.
func closesPort(rule *objects.Node, port int) bool {
	text := strconv.Itoa(port)
	conditions := rule.Find("when").Entries()
	if excludesPort(rule, text) || slices.ContainsFunc(conditions, func(when *objects.Node) bool { return port == 0 || when.Find("key").String() != "destination.port" }) {
		return false
	}
	operations := rule.Find("to").Entries()
	return len(operations) == 0 || slices.ContainsFunc(operations, func(to *objects.Node) bool {
		return !slices.ContainsFunc(to.Find("operation").Members(), func(m *objects.Node) bool {
			switch {
			case m.IsEmpty():
				return false
			case m.Key == "ports":
				return !slices.Contains(m.Texts(), text)
			case m.Key == "notPorts":
				return port == 0 || slices.Contains(m.Texts(), text)
			}
			return strings.HasPrefix(m.Key, "not") || !matchesAll(m)
		})
	})
}

// namesEveryone reports a rule without a condition on callers: none, or a source that all callers with a certificate meet.
func namesEveryone(rule *objects.Node) bool {
	sources := rule.Find("from").Entries()
	return len(sources) == 0 || slices.ContainsFunc(sources, func(from *objects.Node) bool {
		return !slices.ContainsFunc(from.Find("source").Members(), func(m *objects.Node) bool {
			return !m.IsEmpty() && !(slices.Contains([]string{"principals", "namespaces"}, m.Key) && slices.Contains(m.Texts(), "*"))
		})
	})
}

// callerLists are the conditions of a source on the workload that calls. The others are conditions on the request.
var callerLists = []string{"principals", "notPrincipals", "namespaces", "notNamespaces", "serviceAccounts", "notServiceAccounts"}

// deniesCaller reports a rule that has a workload among its callers, whatever its requests carry.
func (c *checker) deniesCaller(rule *objects.Node, w *model.Workload) bool {
	sources := rule.Find("from").Entries()
	return len(sources) == 0 || slices.ContainsFunc(sources, func(from *objects.Node) bool {
		source := from.Find("source")
		return model.AdmitsSource(source, c.Domains().Local, w) && !slices.ContainsFunc(source.Members(), func(m *objects.Node) bool { return !m.IsEmpty() && !slices.Contains(callerLists, m.Key) })
	})
}

// namesSource reports a rule that has a workload among its callers, or has no condition on callers.
func (c *checker) namesSource(rule *objects.Node, w *model.Workload) bool {
	sources := rule.Find("from")
	return sources.IsEmpty() || slices.ContainsFunc(sources.Entries(), func(from *objects.Node) bool { return model.AdmitsSource(from.Find("source"), c.Domains().Local, w) })
}

// checkInterception finds ports whose traffic goes past the sidecar, and pods where all of it does.
func (c *checker) checkInterception(w *model.Workload, ports []int) {
	if mode := w.Annotation("sidecar.istio.io/interceptionMode"); mode.String() == "NONE" {
		c.report.Add(portExcluded, mode, "%s has interception mode NONE", w.Title())
	} else if w.ProxyConfig("interceptionMode") == "NONE" {
		c.report.Add(portExcluded, w.Annotation("proxy.istio.io/config"), "%s has interception mode NONE", w.Title())
	} else if mode.IsEmpty() && w.ProxyConfig("interceptionMode") == nil {
		for _, mesh := range c.MeshesOf(w) {
			if n := mesh.Find("defaultConfig", "interceptionMode"); n.String() == "NONE" {
				c.report.Add(portExcluded, n, "the mesh has interception mode NONE, also for %s", w.Title())
			}
		}
	}
	if n := c.excludedInterfaces(w); n != nil {
		c.report.Add(portExcluded, n, "the network interfaces %s of %s are excluded from interception", n.String(), w.Title())
	}
	c.checkInterceptedPorts(w, ports)
}

// checkInterceptedPorts finds ports that annotations, or the injector's settings, exclude.
func (c *checker) checkInterceptedPorts(w *model.Workload, ports []int) {
	excluded := c.setting(w, "excludeInboundPorts", "excludeInboundPorts")
	for _, text := range strings.Split(excluded.String(), ",") {
		if port := toInt(text); excluded != nil && slices.Contains(ports, port) {
			c.report.Add(portExcluded, excluded, "port %d of %s is excluded from interception", port, w.Title())
		}
	}
	included := c.setting(w, "includeInboundPorts", "includeInboundPorts")
	if included == nil || strings.Contains(included.String(), "*") {
		return
	}
	listed := portsOf(included)
	for _, port := range ports {
		if !slices.Contains(listed, strconv.Itoa(port)) {
			c.report.Add(portExcluded, included, "port %d of %s is not among the intercepted ports %q", port, w.Title(), included.String())
		}
	}
}

// checkMutualTLS finds ports that accept plaintext.
func (c *checker) checkMutualTLS(w *model.Workload) {
	ports := c.PortsOf(w)
	if len(ports) == 0 {
		ports = []model.Port{{}}
	}
	for _, port := range ports {
		if port.Number != 0 && !slices.ContainsFunc(c.CustomPolicies(w), func(o *objects.Object) bool { return coversPort(o, port.Number) }) {
			continue
		}
		mode, at := c.mutualTLSMode(w, port.Number)
		if mode == "STRICT" {
			continue
		}
		if at == nil {
			at = w.Object.Root
		}
		if port.Number == 0 {
			c.report.Add(mtlsNotStrict, at, "%s is guarded, and its mutual TLS is %s", w.Title(), mode)
			continue
		}
		c.report.Add(mtlsNotStrict, at, "port %d of %s is guarded, and its mutual TLS is %s", port.Number, w.Title(), mode)
	}
}

// mutualTLSMode finds the mode of a port, as istiod composes it: of the mesh, the namespace, the workload and the port. A selector in the root
// namespace, and ports without a selector, have no effect.
func (c *checker) mutualTLSMode(w *model.Workload, port int) (mode string, at *objects.Node) {
	mode = "PERMISSIVE"
	levels := [3][]*objects.Object{}
	for _, o := range c.OfKind(objects.Security, "PeerAuthentication") {
		selects := !model.SelectorOf(o).IsEmpty()
		switch {
		case o.Namespace == c.RootNamespace && !selects:
			levels[0] = append(levels[0], o)
		case o.Namespace == w.Namespace && !selects:
			levels[1] = append(levels[1], o)
		case o.Namespace == w.Namespace && o.Namespace != c.RootNamespace && c.Selects(o, w):
			levels[2] = append(levels[2], o)
		}
	}
	for _, level := range levels {
		counts := c.oldest(level)
		if counts == nil {
			continue
		}
		if n := counts.Spec().FindPath("mtls", "mode"); n.String() != "" && n.String() != "UNSET" {
			mode, at = n.String(), n
		}
	}
	for _, o := range levels[2] {
		if n := o.Spec().FindPath("portLevelMtls", strconv.Itoa(port), "mode"); n.String() != "" && n.String() != "UNSET" {
			mode, at = n.String(), n
		}
	}
	return mode, at
}

// oldest gives the object of a level that counts. Istio uses the oldest one. Without times of creation, as in files, it is not known which one
// that is if their modes differ.
func (c *checker) oldest(level []*objects.Object) *objects.Object {
	if len(level) == 0 {
		return nil
	}
	found := level[0]
	for _, o := range level[1:] {
		created, other := found.Root.FindPath("metadata", "creationTimestamp").String(), o.Root.FindPath("metadata", "creationTimestamp").String()
		if created != "" && other != "" { // RFC 3339, in UTC
			if other < created {
				found = o
			}
			continue
		}
		if mode, next := modeOf(found), modeOf(o); mode != next {
			c.report.Add(peerConflict, o.Root, "%s and %s have different modes (%s, %s)", found.Title(), o.Title(), mode, next)
			if next == "STRICT" {
				found = o
			}
		}
	}
	return found
}

func modeOf(o *objects.Object) string {
	return cmp.Or(o.Spec().FindPath("mtls", "mode").String(), "UNSET")
}

// checkDestinationRules finds what makes callers send plaintext to a guarded workload, or to the authorizer. A rule for the host itself counts
// before one with a wildcard.
func (c *checker) checkDestinationRules() {
	rules, exact := c.OfKind(objects.Networking, "DestinationRule"), map[*model.Host]bool{}
	for _, o := range rules {
		for _, h := range c.FindHosts(o.Spec().Find("host").String(), o.Namespace) {
			exact[h] = true
		}
	}
	mutual := map[*model.Host]bool{}
	for _, o := range rules {
		host := o.Spec().Find("host").String()
		hosts := slices.DeleteFunc(c.MatchHosts(host, o.Namespace), func(h *model.Host) bool {
			return !c.needsMutualTLS(h) || strings.HasPrefix(host, "*") && exact[h]
		})
		if len(hosts) == 0 {
			continue
		}
		check := func(policy *objects.Node) {
			for _, n := range append([]*objects.Node{policy}, policy.Find("portLevelSettings").Entries()...) {
				if mode := n.FindPath("tls", "mode"); mode.String() == "DISABLE" || mode.String() == "SIMPLE" || mode.String() == "MUTUAL" {
					c.report.Add(plainClient, mode, "callers of %s use TLS mode %s", host, mode.String())
				}
			}
		}
		check(o.Spec().Find("trafficPolicy"))
		for _, subset := range o.Spec().Find("subsets").Entries() {
			check(subset.Find("trafficPolicy"))
		}
		for _, h := range hosts {
			mutual[h] = mutual[h] || o.Spec().FindPath("trafficPolicy", "tls", "mode").String() == "ISTIO_MUTUAL"
		}
	}
	for _, mesh := range c.Meshes {
		auto := mesh.Find("enableAutoMtls")
		for _, h := range c.Hosts {
			if auto.IsFalse() && c.needsMutualTLS(h) && !mutual[h] {
				c.report.Add(plainClient, auto, "mutual TLS is not automatic, and no DestinationRule sets ISTIO_MUTUAL for %s", h.Name)
				break
			}
		}
	}
}

// needsMutualTLS reports a host that leads to a guarded workload, or to the authorizer in another pod.
func (c *checker) needsMutualTLS(h *model.Host) bool {
	return slices.ContainsFunc(c.WorkloadsOf(h), func(w *model.Workload) bool { return c.IsGuarded(w) || w.RunsAuthorizer() && !w.IsBeside() })
}

func toInt(text string) int {
	number, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return 0
	}
	return number
}
