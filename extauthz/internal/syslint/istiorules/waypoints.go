package istiorules

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

var (
	waypointNoCaller = registry.Define("waypoint_without_xfcc", finding.Error,
		"A waypoint that asks the authorizer lacks the annotation ambient.istio.io/xfcc-include-client-identity.",
		"A Check names no caller: every request is denied (bad_principal).",
		"Set the annotation to \"true\" in spec.infrastructure.annotations of the Gateway.")
	waypointBypass = registry.Define("waypoint_bypass", finding.Error,
		"Workloads behind a waypoint accept requests that do not come from it.",
		"A caller that addresses a pod goes past the waypoint, and so past every Check.",
		"Apply an ALLOW policy for the waypoint's principal alone, as manifests/istio/waypoint/guard.yaml.")
	waypointUnused = registry.Define("waypoint_unused", finding.Error,
		"A CUSTOM policy targets a waypoint that no namespace, Service or workload uses.",
		"ztunnel sends requests straight to the pods, without a Check.",
		"Label the namespace istio.io/use-waypoint: NAME.")
	ambientSelector = registry.Define("ambient_selector", finding.Error,
		"A CUSTOM policy without targetRefs applies to workloads in ambient mode.",
		"ztunnel does not support CUSTOM, and a waypoint ignores policies with a selector: no request is asked about.",
		"Target the waypoint: targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: …}].")
	gatewaySelector = registry.Define("gateway_selector", finding.Error,
		"A CUSTOM policy selects a gateway of the Gateway API by its labels.",
		"Istio applies policies with targetRefs to these gateways: the selector may have no effect.",
		"Write targetRefs with the Gateway in place of the selector.")
	targetUnknown = registry.Define("target_ref_unknown", finding.Error,
		"A CUSTOM policy targets a Gateway, Service or GatewayClass that does not exist in its namespace, or a kind or group that policies cannot target.",
		"The policy applies to nothing: no request is asked about.",
		"Write the name of an object in the policy's own namespace.")
)

func (c *checker) checkWaypoints() {
	for _, policy := range c.policies {
		refs := c.TargetRefs(policy)
		if len(refs) == 0 {
			c.checkSelectorTargets(policy)
		}
		for _, ref := range refs {
			c.checkTarget(policy, ref)
			c.checkTargetDenials(policy, ref)
		}
		c.checkServers(policy)
	}
}

// targetGroups are the kinds that a policy can target (security.istio.io PolicyTargetReference), with their groups.
var targetGroups = map[string]string{"Gateway": "gateway.networking.k8s.io", "GatewayClass": "gateway.networking.k8s.io", "Service": "", "ServiceEntry": "networking.istio.io"}

// checkServers finds ports of gateways whose connections the gateway passes on as bytes.
func (c *checker) checkServers(policy *objects.Object) {
	report := func(o *objects.Object, at *objects.Node, port int) {
		if coversPort(policy, port) {
			c.report.Add(customTCP, at, "port %d of %s passes connections on as bytes, and %s asks about each of them", port, o.Title(), policy.Title())
		}
	}
	for _, o := range c.OfKind(objects.Networking, "Gateway") {
		if !c.selectsGateway(policy, o) {
			continue
		}
		for _, server := range o.Spec().Find("servers").Entries() {
			protocol, mode := strings.ToUpper(server.FindPath("port", "protocol").String()), server.FindPath("tls", "mode")
			switch {
			case strings.HasSuffix(mode.String(), "PASSTHROUGH"):
				report(o, mode, server.FindPath("port", "number").Int())
			case slices.Contains([]string{"TCP", "TLS", "MONGO", "MYSQL", "REDIS"}, protocol):
				report(o, server.FindPath("port", "protocol"), server.FindPath("port", "number").Int())
			}
		}
	}
	for _, ref := range c.TargetRefs(policy) {
		o := c.FindGateway(policy.Namespace, ref.Find("name").String())
		if o == nil || model.IsWaypoint(o) {
			continue
		}
		for _, listener := range o.Spec().Find("listeners").Entries() {
			if protocol := listener.Find("protocol"); protocol.String() == "TCP" || protocol.String() == "TLS" {
				report(o, protocol, listener.Find("port").Int())
			}
		}
	}
}

// selectsGateway reports whether a policy with a selector selects the pods of a Gateway of Istio, as far as the labels in its own selector show.
func (c *checker) selectsGateway(policy, gateway *objects.Object) bool {
	wanted, labels := model.SelectorOf(policy).TextMap(), gateway.Spec().Find("selector").TextMap()
	if len(wanted) == 0 || len(c.TargetRefs(policy)) > 0 || policy.Namespace != c.RootNamespace && policy.Namespace != gateway.Namespace {
		return false
	}
	for label, value := range wanted {
		if labels[label] != value {
			return false
		}
	}
	return true
}

// checkSelectorTargets finds workloads that a policy with a selector does not reach.
func (c *checker) checkSelectorTargets(policy *objects.Object) {
	if label := model.SelectorOf(policy).Find("gateway.networking.k8s.io/gateway-name"); label != nil {
		c.report.Add(gatewaySelector, label, "%s selects the gateway %s", policy.Title(), label.String())
	}
	if policy.Namespace != c.RootNamespace && c.IsAmbient(policy.Namespace) {
		c.report.Add(ambientSelector, policy.Root, "%s is in the ambient namespace %s", policy.Title(), policy.Namespace)
		return
	}
	for _, w := range c.Workloads {
		if c.IsAmbientWorkload(w) && c.Selects(policy, w) && w.Labels["gateway.networking.k8s.io/gateway-name"] == "" && c.InjectionOf(w) != model.Injected && !c.guardedByWaypoint(w) {
			c.report.Add(ambientSelector, policy.Root, "%s selects %s in the ambient namespace %s", policy.Title(), w.Title(), w.Namespace)
		}
	}
}

func (c *checker) checkTarget(policy *objects.Object, ref *objects.Node) {
	kind, name, group := ref.Find("kind").String(), ref.Find("name").String(), ref.Find("group").String()
	wanted, known := targetGroups[kind]
	switch {
	case !known:
		c.report.Add(targetUnknown, ref, "%s targets the kind %q, which no policy can target", policy.Title(), kind)
		return
	case group != wanted && !(kind == "Service" && group == "core"):
		c.report.Add(targetUnknown, ref, "%s targets a %s of the group %q: want %q", policy.Title(), kind, group, wanted)
		return
	}
	if namespace := ref.Find("namespace"); namespace.String() != "" && namespace.String() != policy.Namespace {
		c.report.Add(targetUnknown, namespace, "%s targets the namespace %s: a target is in the policy's own namespace", policy.Title(), namespace.String())
		return
	}
	switch kind {
	case "Gateway":
		if o := c.FindGateway(policy.Namespace, name); o != nil {
			if model.IsWaypoint(o) {
				c.checkWaypoint(o)
			}
		} else if c.knowsGateways(policy.Namespace, name) {
			c.report.Add(targetUnknown, ref, "%s targets Gateway %s/%s, which is not there", policy.Title(), policy.Namespace, name)
		}
	case "Service":
		if o := c.findService(policy.Namespace, name); o == nil && len(c.OfKind(objects.Core, "Service")) > 0 {
			c.report.Add(targetUnknown, ref, "%s targets Service %s/%s, which is not there", policy.Title(), policy.Namespace, name)
		} else if o != nil {
			if waypoint := c.waypointOfService(o); waypoint != nil {
				c.checkWaypoint(waypoint)
			}
		}
	case "GatewayClass":
		if policy.Namespace != c.RootNamespace {
			c.report.Add(targetUnknown, ref, "%s targets a GatewayClass outside the root namespace %s, where it has no effect", policy.Title(), c.RootNamespace)
		}
		for _, o := range c.OfKind(objects.GatewayAPI, "Gateway") {
			if model.IsWaypoint(o) && o.Spec().Find("gatewayClassName").String() == name {
				c.checkWaypoint(o)
			}
		}
	}
}

// checkTargetDenials finds DENY policies that close what a CUSTOM policy targets.
func (c *checker) checkTargetDenials(policy *objects.Object, ref *objects.Node) {
	for _, o := range c.OfKind(objects.Security, "AuthorizationPolicy") {
		if o.Spec().Find("action").String() != "DENY" || o.Namespace != policy.Namespace || o.Annotation("istio.io/dry-run").String() == "true" {
			continue
		}
		isSame := slices.ContainsFunc(c.TargetRefs(o), func(other *objects.Node) bool {
			return other.Find("kind").String() == ref.Find("kind").String() && other.Find("name").String() == ref.Find("name").String()
		})
		for _, rule := range o.Spec().Find("rules").Entries() {
			if isSame && namesEveryone(rule) && closesPort(rule, 0) {
				c.report.Add(callerNotAdmitted, rule, "%s denies every request at %s %s", o.Title(), ref.Find("kind").String(), ref.Find("name").String())
			}
		}
	}
}

// knowsGateways reports whether the Gateways of a namespace are in the input, or one of this name of another namespace.
func (c *checker) knowsGateways(namespace, name string) bool {
	return slices.ContainsFunc(c.OfKind(objects.GatewayAPI, "Gateway"), func(o *objects.Object) bool {
		return o.Namespace == namespace || o.Name == name || c.KnowsNamespace(namespace)
	})
}

func (c *checker) findService(namespace, name string) *objects.Object {
	for _, o := range c.OfKind(objects.Core, "Service") {
		if o.Namespace == namespace && o.Name == name {
			return o
		}
	}
	return nil
}

func (c *checker) waypointOfService(o *objects.Object) *objects.Object {
	name, namespace := c.WaypointOf(o)
	return c.FindGateway(namespace, name)
}

func (c *checker) checkWaypoint(o *objects.Object) {
	const annotation = "ambient.istio.io/xfcc-include-client-identity"
	class := ""
	for _, each := range c.OfKind(objects.GatewayAPI, "GatewayClass") {
		if each.Name == o.Spec().Find("gatewayClassName").String() {
			class = each.Annotations[annotation]
		}
	}
	own := o.Spec().FindPath("infrastructure", "annotations").Find(annotation)
	if own.String() != "true" && o.Annotations[annotation] != "true" && class != "true" {
		at := o.Root
		if own != nil {
			at = own
		}
		c.report.Add(waypointNoCaller, at, "%s has no annotation %s: \"true\"", o.Title(), annotation)
	}
	if n := o.Root.FindPath("metadata", "labels", "istio.io/waypoint-for"); n.String() == "none" || n.String() == "workload" {
		c.report.Add(waypointUnused, n, "%s handles no requests to Services: istio.io/waypoint-for is %s", o.Title(), n.String())
	}
	used := c.namespacesBehind(o)
	if len(used) == 0 {
		if c.Namespaces[o.Namespace] == nil {
			c.addNote("the namespace of a waypoint is not in the input: its use was not looked up")
		} else if !c.isUsedByService(o) {
			c.report.Add(waypointUnused, o.Root, "nothing has the label %s: %s", model.UseWaypoint, o.Name)
		}
		return
	}
	for _, namespace := range used {
		c.checkBypass(o, namespace)
		c.checkOptOuts(namespace)
	}
}

// checkOptOuts finds Services and workloads of a namespace behind a waypoint that do not use it, or are not in ambient mode.
func (c *checker) checkOptOuts(namespace string) {
	for _, o := range c.OfKind(objects.Core, "Service") {
		if n := o.Root.FindPath("metadata", "labels", model.UseWaypoint); o.Namespace == namespace && n.String() == "none" {
			c.report.Add(waypointBypass, n, "%s does not use the waypoint of its namespace", o.Title())
		}
	}
	for _, w := range c.Workloads {
		if w.Namespace == namespace && (w.Labels["istio.io/dataplane-mode"] == "none" || w.Labels[model.UseWaypoint] == "none") {
			c.report.Add(waypointBypass, w.Object.Root, "%s does not use the waypoint of its namespace, by a label of its pods", w.Title())
		}
	}
}

// namespacesBehind gives the namespaces whose workloads use a waypoint.
func (c *checker) namespacesBehind(o *objects.Object) (all []string) {
	for _, namespace := range c.Namespaces {
		if namespace.Labels[model.UseWaypoint] == o.Name && cmp.Or(namespace.Labels[model.UseWaypoint+"-namespace"], namespace.Name) == o.Namespace {
			all = append(all, namespace.Name)
		}
	}
	slices.Sort(all)
	return all
}

func (c *checker) isUsedByService(o *objects.Object) bool {
	for _, service := range c.OfKind(objects.Core, "Service") {
		if service.Labels[model.UseWaypoint] == o.Name {
			return true
		}
	}
	return slices.ContainsFunc(c.Workloads, func(w *model.Workload) bool { return w.Labels[model.UseWaypoint] == o.Name })
}

// checkBypass looks for the policy that admits the waypoint alone, and for others that admit more.
func (c *checker) checkBypass(waypoint *objects.Object, namespace string) {
	principal := "/ns/" + waypoint.Namespace + "/sa/" + waypoint.Name
	guarded := false
	for _, o := range c.OfKind(objects.Security, "AuthorizationPolicy") {
		action := o.Spec().Find("action").String()
		if o.Namespace != namespace && o.Namespace != c.RootNamespace || action != "" && action != "ALLOW" || len(c.TargetRefs(o)) > 0 {
			continue
		}
		for _, rule := range o.Spec().Find("rules").Entries() {
			if !admitsOnly(rule, principal) {
				if model.SelectorOf(o).IsEmpty() {
					c.report.Add(waypointBypass, rule, "%s admits callers other than the waypoint %s", o.Title(), waypoint.Title())
				}
				guarded = guarded || model.SelectorOf(o).IsEmpty()
			}
		}
		guarded = guarded || model.SelectorOf(o).IsEmpty()
	}
	if !guarded {
		c.report.Add(waypointBypass, waypoint.Root, "no ALLOW policy of namespace %s admits the principal of %s alone", namespace, waypoint.Title())
	}
}

// admitsOnly reports a rule whose callers are all the one principal.
func admitsOnly(rule *objects.Node, principal string) bool {
	sources := rule.Find("from").Entries()
	for _, from := range sources {
		principals := from.FindPath("source", "principals").Texts()
		if len(principals) == 0 || slices.ContainsFunc(principals, func(text string) bool { return !strings.HasSuffix("/"+text, principal) || strings.Contains(text, "*") }) {
			return false
		}
	}
	return len(sources) > 0
}

// guardedByWaypoint reports a workload behind a waypoint that a CUSTOM policy targets.
func (c *checker) guardedByWaypoint(w *model.Workload) bool {
	name := cmp.Or(w.Labels[model.UseWaypoint], c.NamespaceLabel(w.Namespace, model.UseWaypoint))
	if name == "" {
		return false
	}
	return slices.ContainsFunc(c.policies, func(o *objects.Object) bool { return len(c.TargetRefs(o)) > 0 && o.Namespace == w.Namespace })
}
