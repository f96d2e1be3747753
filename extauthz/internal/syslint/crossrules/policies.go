package crossrules

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

var (
	claimUnmapped = registry.Define("claim_not_mapped", finding.Error,
		"A rule or an identity header reads a claim that no mapping of the plugin writes, or a rule compares one with a value that no token has.",
		"No token has the claim: an allow rule never matches, and a deny rule always does. The header is never set.",
		"Add the claim to the mappings of the plugin's file, or correct its name.")
	scopeUngranted = registry.Define("scope_not_granted", finding.Error,
		"A rule asks for a scope that no mapping and no Tyk policy grants.",
		"The rule never matches.",
		"Grant the scope in scopes.byPolicy of the plugin's file, or map the provider's scopes.")
	tykPolicyUnknown = registry.Define("tyk_policy_unknown", finding.Error,
		"A definition, a key or the plugin's file names a Tyk policy that does not exist.",
		"Tyk answers the callers with 500 (policy not found), or scopes of the policy are never granted.",
		"Write the id of a policy.")
	rightsUnknown = registry.Define("tyk_policy_api_unknown", finding.Error,
		"A Tyk policy or key has rights for an API that no definition has, or for none at all.",
		"The right has no effect; a policy without any right is not valid, and Tyk answers its callers with 500.",
		"Write the api_id of a definition.")
	targetUnknown = registry.Define("target_unknown", finding.Error,
		"A document targets a workload, Service or API that does not exist.",
		"The document guards nothing. What it should guard has no document.",
		"Write ns/NAMESPACE/sa/ACCOUNT of the pods, service/NAMESPACE/NAME, or edge/API_ID.")
	callerUnknown = registry.Define("caller_unknown", finding.Error,
		"A rule names a caller that no workload of the input is, or that a Check of its targets cannot name.",
		"The rule never matches.",
		"Write ns/NAMESPACE/sa/ACCOUNT of the calling pods.")
	callerNotInjected = registry.Define("caller_not_injected", finding.Error,
		"A workload that a rule names as caller has no sidecar.",
		"It has no certificate: guarded workloads close its connections, or deny it as a caller without a name.",
		"Label its namespace istio-injection: enabled or istio.io/rev, or remove what excludes the pod.")
	guardedNoDocument = registry.Define("guarded_without_document", finding.Error,
		"A guarded workload, or a Service behind a waypoint that asks, has no document.",
		"Every request to it is denied: unguarded.",
		"Write an AccessPolicy that targets it.")
	documentUnguarded = registry.Define("document_unguarded", finding.Error,
		"A document targets a workload, Service, gateway or API about which nothing asks.",
		"Nothing asks about its requests: every workload of the mesh can call it.",
		"Label the pods meshpass.dev/guarded: \"true\"; for a Service or gateway apply manifests/istio/waypoint, ingress or gateway-api; for an API write edge into the plugin's file.")
	clientRejected = registry.Define("client_not_admitted", finding.Error,
		"The authorizer does not admit a guarded workload as client: by tls.clients, by the listener's clients, or by an AuthorizationPolicy before it.",
		"Every Check of its proxy fails, and failOpen decides.",
		"Add the workload to tls.clients and to the policy of the authorizer's pods.")
	listenerUnknown = registry.Define("listener_mismatch", finding.Error,
		"A provider asks a port on which the authorizer has no listener, or one for another kind of proxy.",
		"Every Check fails, or names the wrong caller and callee and is denied.",
		"Give each kind of proxy its listener: sidecars principal, waypoints xfcc, ingress gateways gateway/NAME.")
	gatewayNoCaller = registry.Define("gateway_document_missing", finding.Error,
		"An ingress gateway asks the authorizer, and no document targets it.",
		"Every request at the gateway is denied: unguarded.",
		"Write an AccessPolicy with the target gateway/NAME.")
)

// checkGrants compares the claims and scopes that rules read with what the plugins write.
func (c *checker) checkGrants() {
	if len(c.Plugins) == 0 {
		if len(c.Documents) > 0 {
			c.Set.AddNote("no configuration of the plugin is in the input: claims and scopes of documents were not looked up")
		}
		return
	}
	members, scopes, anyScope := map[string]bool{}, map[string]bool{}, false
	for _, p := range c.Plugins {
		for _, name := range p.Config.Members() {
			members[name] = true
		}
		for _, idp := range p.Config.IDPs {
			anyScope = anyScope || len(idp.Scopes) > 0
		}
		for _, scope := range grantedScopes(p) {
			scopes[scope] = true
		}
	}
	for _, a := range c.APIs {
		for _, scope := range a.Scopes {
			scopes[scope] = true
		}
	}
	for _, d := range c.Documents {
		for _, r := range d.Compiled.Rules() {
			at := ruleNode(d, r)
			for _, name := range tctxMembers(r) {
				if root, _, _ := strings.Cut(name, "."); !members[name] && !members[root] && !slices.Contains(ownMembers, root) || c.isDropped("claims", root) && !slices.Contains(ownMembers, root) {
					c.report.Add(claimUnmapped, at, "rule %s/%s reads claims.tctx.%s, which no mapping writes%s", d.Name, r.Spec().Name, name, suggest.DidYouMean(name, slices.Sorted(maps.Keys(members))))
				}
			}
			for _, name := range rctxMembers(r) {
				if name != "ip" && name != "auth_time" {
					c.report.Add(claimUnmapped, at, "rule %s/%s reads claims.rctx.%s, and tokens have rctx.ip and rctx.auth_time alone", d.Name, r.Spec().Name, name)
				}
			}
			for _, condition := range r.Conditions() {
				if wanted, isScopes := condition.(policy.Scopes); isScopes {
					for _, scope := range wanted {
						switch near := suggest.DidYouMean(scope, slices.Sorted(maps.Keys(scopes))); {
						case c.isDropped("scopes", scope):
							c.report.Add(scopeUngranted, at, "rule %s/%s asks for the scope %s, which config_data.meshpass.scopes of all APIs leave out", d.Name, r.Spec().Name, scope)
						case scopes[scope]:
						case anyScope && near != "" && !c.asksElsewhere(d, scope):
							c.report.Add(scopeUngranted, at, "rule %s/%s asks for the scope %s, which no Tyk policy grants and no other document has%s", d.Name, r.Spec().Name, scope, near)
						case !anyScope:
							c.report.Add(scopeUngranted, at, "rule %s/%s asks for the scope %s, which nothing grants%s", d.Name, r.Spec().Name, scope, suggest.DidYouMean(scope, slices.Sorted(maps.Keys(scopes))))
						}
					}
				}
			}
		}
	}
}

// asksElsewhere reports a rule of another document that asks for the same scope. Where a provider's scopes are mapped, any scope may be granted.
func (c *checker) asksElsewhere(d *model.Document, scope string) bool {
	return slices.ContainsFunc(c.Documents, func(other *model.Document) bool {
		return other != d && slices.ContainsFunc(other.Compiled.Rules(), func(r *policy.Rule) bool {
			return slices.ContainsFunc(r.Conditions(), func(condition policy.Condition) bool {
				scopes, isScopes := condition.(policy.Scopes)
				return isScopes && slices.Contains(scopes, scope)
			})
		})
	})
}

// ownMembers are the members of tctx that every token of the plugin has.
var ownMembers = []string{"api", "auth", "org", "sid"}

// tctxMembers are the members of tctx without which a rule cannot match, or is undecided.
func tctxMembers(r *policy.Rule) []string { return membersBelow(r, "tctx.") }

// rctxMembers are those of rctx.
func rctxMembers(r *policy.Rule) []string { return membersBelow(r, "rctx.") }

func membersBelow(r *policy.Rule, claim string) []string {
	names := map[string]bool{}
	add := func(name string) {
		if rest, found := strings.CutPrefix(name, claim); found {
			names[rest] = true
		}
	}
	if e := r.Expression(); e != nil {
		for name := range e.Reads().Claims {
			if e.Members().Unguarded[name] || e.Members().Assured[name] { // otherwise the expression can hold without the claim
				add(name)
			}
		}
	}
	for _, condition := range r.Conditions() {
		if claim, isClaim := condition.(*policy.Claim); isClaim {
			add(claim.Name())
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func grantedScopes(p *model.Plugin) (all []string) {
	for _, block := range p.Root.Members() {
		for _, list := range block.FindPath("scopes", "byPolicy").Members() {
			all = append(all, list.Texts()...)
		}
	}
	return all
}

// ruleNode is the rule as it is written; the document, for a public entry.
func ruleNode(d *model.Document, r *policy.Rule) *objects.Node {
	for _, n := range d.Spec().Find("rules").Entries() {
		if n.Find("name").String() == r.Spec().Name {
			return n
		}
	}
	return d.Root
}

// checkCallers finds callers that rules name and that have no certificate of the mesh.
func (c *checker) checkCallers() {
	for _, w := range c.Workloads {
		if w.PodSpec == nil || c.IsAmbient(w.Namespace) || c.IsGuarded(w) || c.InjectionOf(w) != model.NotInjected || !runsAlways(w) && c.sharesAccount(w) {
			continue
		}
		for _, d := range c.Documents {
			for _, rule := range d.Spec().Find("rules").Entries() {
				for _, caller := range rule.FindPath("from", "workloads").Entries() {
					pattern, err := c.Domains().ParsePattern(caller.String())
					if err == nil && pattern.Literal() != "" && pattern.Match(identity.Workload(w.Identity())) && rule.Find("effect").String() == "allow" {
						c.report.Add(callerNotInjected, w.Object.Root, "%s gets no sidecar, and rule %s/%s names it as caller", w.Title(), d.Name, rule.Find("name").String())
					}
				}
			}
		}
	}
}

// sharesAccount reports another workload with the account of a job, which may be the caller that is meant.
func (c *checker) sharesAccount(job *model.Workload) bool {
	return slices.ContainsFunc(c.Workloads, func(w *model.Workload) bool { return w != job && w.Identity() == job.Identity() })
}

// checkNames looks targets and callers up.
func (c *checker) checkNames() {
	for _, d := range c.Documents {
		for _, target := range d.Spec().FindPath("targets", "workloads").Entries() {
			c.checkTarget(d, target)
		}
		for _, rule := range d.Spec().Find("rules").Entries() {
			for _, caller := range rule.FindPath("from", "workloads").Entries() {
				c.checkCaller(caller, d.Name+"/"+rule.Find("name").String(), caller.String())
			}
		}
	}
}

// checkCaller looks up a caller that a rule names.
func (c *checker) checkCaller(at *objects.Node, rule, text string) {
	if (c.complete || c.knowsNamespace(text)) && !c.isRequester(text) && !c.existsWorkload(text) {
		c.report.Add(callerUnknown, at, "rule %s names the caller %s, which no workload is%s", rule, text, suggest.DidYouMean(text, c.identities()))
	}
}

// hasWorkloads reports an input with guarded workloads and an authorizer, which is then taken for complete.
func (c *checker) hasWorkloads() bool {
	switch {
	case len(c.Documents) == 0:
	case len(c.GuardedWorkloads()) == 0 && !c.hasWaypoints():
		c.Set.AddNote("no guarded workload is in the input: targets and callers of documents were not looked up")
	case len(c.Authorizers) == 0:
		c.Set.AddNote("no authorizer is in the input: targets and callers of documents were looked up in the namespaces of its workloads alone")
	default:
		return true
	}
	return false
}

// hasWaypoints reports a policy that targets a waypoint, whose workloads have no label.
func (c *checker) hasWaypoints() bool {
	return slices.ContainsFunc(c.AskingPolicies(), func(o *objects.Object) bool {
		return slices.ContainsFunc(c.GatewayPods(o), func(w *model.Workload) bool { return model.IsWaypoint(w.Object) })
	})
}

func (c *checker) checkTarget(d *model.Document, target *objects.Node) {
	text := target.String()
	switch {
	case strings.HasPrefix(text, "edge/") && !strings.Contains(text, "*"):
		if len(c.APIs) > 0 && c.FindAPI(strings.TrimPrefix(text, "edge/")) == nil {
			var ids []string
			for _, a := range c.APIs {
				ids = append(ids, "edge/"+a.ID)
			}
			c.report.Add(targetUnknown, target, "document %s targets %s, and no definition has this id%s", d.Name, text, suggest.DidYouMean(text, ids))
		}
	case strings.HasPrefix(text, "service/"):
		switch o := c.findService(text); {
		case !c.complete || strings.Contains(text, "*"):
		case o == nil:
			c.report.Add(targetUnknown, target, "document %s targets %s, which is not there%s", d.Name, text, suggest.DidYouMean(text, c.serviceNames()))
		case model.IsHeadless(o):
			c.report.Add(targetUnknown, target, "document %s targets %s, which is headless: a waypoint cannot name it", d.Name, text)
		}
	case strings.HasPrefix(text, "gateway/"):
		if len(c.Authorizers) > 0 && !strings.Contains(text, "*") && !c.existsGateway(text) {
			c.report.Add(targetUnknown, target, "document %s targets %s, and no listener has this callee", d.Name, text)
		}
	case (c.complete || c.knowsNamespace(text)) && !c.existsWorkload(text):
		c.report.Add(targetUnknown, target, "document %s targets %s, which no workload is%s", d.Name, text, suggest.DidYouMean(text, c.identities()))
	}
}

// isRequester reports a gateway of Tyk that an authorizer accepts tokens from. It can run in another cluster of the mesh.
func (c *checker) isRequester(text string) bool {
	return slices.ContainsFunc(c.Authorizers, func(a *model.AuthorizerConfig) bool {
		return slices.ContainsFunc(a.Trust, func(entry model.Trust) bool { return slices.Contains(entry.Requesters.Texts(), text) })
	})
}

// knowsNamespace reports whether the input has workloads in the namespace of a name.
func (c *checker) knowsNamespace(text string) bool {
	rest, found := strings.CutPrefix(text, "ns/")
	namespace, _, _ := strings.Cut(rest, "/")
	return found && slices.ContainsFunc(c.Workloads, func(w *model.Workload) bool { return w.Namespace == namespace })
}

func (c *checker) identities() (all []string) {
	for _, w := range c.Workloads {
		all = append(all, w.Identity())
	}
	return all
}

// existsWorkload looks a pattern up among the workloads. Workloads of other trust domains are not in the input.
func (c *checker) existsWorkload(text string) bool {
	pattern, err := c.Domains().ParsePattern(text)
	if err != nil || strings.HasPrefix(text, "spiffe://") || text == "*" {
		return true
	}
	if c.isGatewayAccount(text) {
		return true
	}
	return slices.ContainsFunc(c.Workloads, func(w *model.Workload) bool { return pattern.Match(identity.Workload(w.Identity())) })
}

// isGatewayAccount reports the account of a gateway that Istio deploys, or of istioctl's ingress gateway.
func (c *checker) isGatewayAccount(text string) bool {
	for _, o := range c.OfKind(objects.GatewayAPI, "Gateway") {
		if text == c.PodsOfGateway(o).Identity() {
			return true
		}
	}
	return strings.HasPrefix(text, "ns/"+c.RootNamespace+"/sa/istio-") || c.Accounts[strings.Replace(strings.TrimPrefix(text, "ns/"), "/sa/", "/", 1)]
}

func (c *checker) findService(text string) *objects.Object {
	for _, o := range c.OfKind(objects.Core, "Service") {
		if text == serviceName(o) {
			return o
		}
	}
	return nil
}

// serviceName is the name of a Service in documents.
func serviceName(o *objects.Object) string { return "service/" + o.Namespace + "/" + o.Name }

func (c *checker) serviceNames() (all []string) {
	for _, o := range c.OfKind(objects.Core, "Service") {
		all = append(all, serviceName(o))
	}
	return all
}

func (c *checker) existsGateway(text string) bool {
	return slices.ContainsFunc(c.Authorizers, func(a *model.AuthorizerConfig) bool {
		return slices.ContainsFunc(a.Listeners, func(l model.Listener) bool { return l.Callee == text })
	})
}

// checkCoverage compares guarded workloads with documents, in both directions.
func (c *checker) checkCoverage() {
	guarded := c.GuardedWorkloads()
	if len(c.Documents) == 0 && !c.hasEmptyFolders() {
		if len(guarded) > 0 {
			c.Set.AddNote("no document is in the input: guarded workloads were not compared with documents")
		}
		return
	}
	shadow := slices.ContainsFunc(c.Authorizers, func(a *model.AuthorizerConfig) bool { return a.Shadow })
	for _, w := range guarded {
		if len(c.DocumentsFor(w)) == 0 && !shadow && w.Account != "" && !c.IsAmbient(w.Namespace) && !w.IsGateway() { // see gateway_document_missing
			c.report.Add(guardedNoDocument, w.Object.Root, "%s (%s) is guarded, and no document targets it", w.Title(), w.Identity())
		}
	}
	c.checkWaypointServices(shadow)
	c.checkOtherTargets()
	for _, d := range c.Documents {
		for i, p := range d.Compiled.Spec().Targets {
			if p.Literal() == "" {
				continue
			}
			targets := d.Spec().FindPath("targets", "workloads").Entries()
			for _, w := range c.Workloads {
				if p.Match(identity.Workload(w.Identity())) && !c.IsGuarded(w) && w.Labels[model.GuardLabel] == "" && i < len(targets) && !c.isBehindWaypoint(w) && runsAlways(w) {
					c.report.Add(documentUnguarded, targets[i], "document %s targets %s, and %s is not guarded", d.Name, p.String(), w.Title())
				}
			}
		}
	}
}

// checkWaypointServices finds Services behind a waypoint that asks, and without a document.
func (c *checker) checkWaypointServices(shadow bool) {
	policies := c.AskingPolicies()
	if shadow || !c.hasWaypoints() {
		return
	}
	for _, o := range c.OfKind(objects.Core, "Service") {
		name, namespace := c.WaypointOf(o)
		selector := o.Spec().Find("selector")
		if c.FindGateway(namespace, name) != nil && !selector.IsEmpty() && !model.IsHeadless(o) && c.isServiceGuarded(serviceName(o), policies) && len(c.documentsOf(serviceName(o))) == 0 {
			c.report.Add(guardedNoDocument, o.Root, "%s (%s) is behind a waypoint that asks, and no document targets it", o.Title(), serviceName(o))
		}
	}
}

// checkOtherTargets finds documents for Services without a waypoint, for gateways that ask nothing, and for APIs of a gateway that decides
// nothing.
func (c *checker) checkOtherTargets() {
	policies := c.AskingPolicies()
	for _, d := range c.Documents {
		for _, target := range d.Spec().FindPath("targets", "workloads").Entries() {
			text := target.String()
			switch {
			case strings.Contains(text, "*"):
			case strings.HasPrefix(text, "edge/"):
				if len(c.Plugins) > 0 && c.FindAPI(strings.TrimPrefix(text, "edge/")) != nil && !slices.ContainsFunc(c.Plugins, func(p *model.Plugin) bool { return !p.Root.Find("edge").IsEmpty() }) {
					c.report.Add(documentUnguarded, target, "document %s targets %s, and the plugin's file has no section edge", d.Name, text)
				} else if a := c.FindAPI(strings.TrimPrefix(text, "edge/")); a != nil && a.Bundle == nil && !c.decides(a) {
					c.report.Add(documentUnguarded, target, "document %s targets %s, and this API does not run SignIdentity, which decides", d.Name, text)
				}
			case strings.HasPrefix(text, "service/"):
				if len(policies) > 0 && c.findService(text) != nil && !c.isServiceGuarded(text, policies) {
					c.report.Add(documentUnguarded, target, "document %s targets %s, and no CUSTOM policy targets a waypoint of it", d.Name, text)
				}
			case strings.HasPrefix(text, "gateway/"):
				if c.existsGateway(text) && len(policies) > 0 && len(c.Meshes) > 0 && !c.isGatewayGuarded(text, policies) {
					c.report.Add(documentUnguarded, target, "document %s targets %s, and no CUSTOM policy of a gateway names a provider for its listener", d.Name, text)
				}
			}
		}
	}
}

// decides reports an API whose requests are decided at the edge.
func (c *checker) decides(a *model.API) bool {
	if a.Form == model.OpenAPI && a.Pair != nil {
		a = a.Pair
	}
	return a.Runs(hooks.Sign) && !a.Keyless || a.Keyless && a.MutualTLS && a.Runs(hooks.Guard)
}

// isServiceGuarded reports a policy that targets a Service, its waypoint, or the class of its waypoint. A Gateway that is not in the input is a fault
// of its own (target_ref_unknown, waypoint_unused).
func (c *checker) isServiceGuarded(text string, policies []*objects.Object) bool {
	service := c.findService(text)
	waypoint, namespace := c.WaypointOf(service)
	return slices.ContainsFunc(policies, func(o *objects.Object) bool {
		return slices.ContainsFunc(c.TargetRefs(o), func(ref *objects.Node) bool {
			name := ref.Find("name").String()
			switch ref.Find("kind").String() {
			case "Service":
				return o.Namespace == service.Namespace && name == service.Name
			case "Gateway":
				return o.Namespace == namespace && (name == waypoint || c.FindGateway(namespace, name) == nil || c.FindGateway(namespace, waypoint) == nil)
			}
			return o.Namespace == c.RootNamespace
		})
	})
}

// isGatewayGuarded reports a policy whose provider asks the listener of a gateway. Ports behind a Service may have other numbers.
func (c *checker) isGatewayGuarded(text string, policies []*objects.Object) bool {
	return slices.ContainsFunc(policies, func(o *objects.Object) bool {
		p := c.ProviderOf(o)
		if p == nil {
			return false
		}
		if applies, known := c.AppliesToGateway(o); known && !applies && len(c.TargetRefs(o)) == 0 {
			return false
		}
		ports := c.portsAsked(p)
		return slices.ContainsFunc(c.Authorizers, func(a *model.AuthorizerConfig) bool {
			return slices.ContainsFunc(a.Listeners, func(l model.Listener) bool { return l.Callee == text && slices.Contains(ports, l.Port) })
		})
	})
}

// runsAlways leaves out jobs, which serve nothing.
func runsAlways(w *model.Workload) bool { return w.Object.Kind != "Job" && w.Object.Kind != "CronJob" }

func (c *checker) isBehindWaypoint(w *model.Workload) bool {
	return w.Labels[model.UseWaypoint] != "" || c.NamespaceLabel(w.Namespace, model.UseWaypoint) != ""
}

// checkClients compares the proxies that ask with the clients that the authorizer admits.
func (c *checker) checkClients() {
	for _, a := range c.Authorizers {
		for _, w := range c.GuardedWorkloads() {
			if (a.Mode == "mesh" || a.Mode == "mtls") && !a.Clients.IsEmpty() && !matchesAny(a.Domains, a.Clients, identity.Workload(w.Identity())) {
				c.report.Add(clientRejected, a.Clients, "tls.clients %v does not admit %s (%s)", a.Clients.Texts(), w.Title(), w.Identity())
			}
			for _, l := range a.Listeners {
				if l.Caller != "xfcc" && !l.Clients.IsEmpty() && c.asks(w, l) && !matchesAny(a.Domains, l.Clients, identity.Workload(w.Identity())) {
					c.report.Add(clientRejected, l.Clients, "clients %v of the listener %s does not admit %s (%s)", l.Clients.Texts(), l.Node.Find("name").String(), w.Title(), w.Identity())
				}
			}
			if c.isFenced(w, a, c.askedPorts(a)) {
				c.report.Add(clientRejected, w.Object.Root, "the policies of the authorizer's pods do not admit %s (%s)", w.Title(), w.Identity())
			}
		}
		c.checkListeners(a)
		c.checkGatewayClients(a)
	}
}

// asks reports a workload whose sidecar asks a listener, by the port of its provider.
func (c *checker) asks(w *model.Workload, l model.Listener) bool {
	return slices.ContainsFunc(c.CustomPolicies(w), func(o *objects.Object) bool {
		p := c.ProviderOf(o)
		return p != nil && p.Config.Find("port").Int() == l.Port
	})
}

// checkGatewayClients looks for the gateways and waypoints that ask.
func (c *checker) checkGatewayClients(a *model.AuthorizerConfig) {
	if a.Mode != "mesh" && a.Mode != "mtls" {
		return
	}
	for _, o := range c.AskingPolicies() {
		p := c.ProviderOf(o)
		if p == nil {
			continue
		}
		clients := a.Clients
		for _, l := range a.Listeners {
			if l.Port == p.Config.Find("port").Int() && !l.Clients.IsEmpty() {
				clients = l.Clients
			}
		}
		for _, w := range c.gatewaysOf(o) {
			if !clients.IsEmpty() && !matchesAny(a.Domains, clients, identity.Workload(w.Identity())) {
				c.report.Add(clientRejected, clients, "%v does not admit the gateway %s, which asks because of %s", clients.Texts(), w.Identity(), o.Title())
			}
			if c.isFenced(w, a, c.portsAsked(p)) {
				c.report.Add(clientRejected, o.Root, "the policies of the authorizer's pods do not admit the gateway %s, which asks because of %s", w.Identity(), o.Title())
			}
		}
	}
}

// gatewaysOf gives the gateways that a policy applies to: those of the Gateway API, and that of istioctl's default profile.
func (c *checker) gatewaysOf(o *objects.Object) []*model.Workload {
	all := c.GatewayPods(o)
	if model.SelectorOf(o).Find("istio").String() == "ingressgateway" && o.Namespace == c.RootNamespace && !slices.ContainsFunc(c.Workloads, func(w *model.Workload) bool { return c.Selects(o, w) }) {
		all = append(all, &model.Workload{Object: o, Namespace: o.Namespace, Account: "istio-ingressgateway-service-account"})
	}
	return all
}

// portsAsked are the port of a provider, and the ports of the pods behind it.
func (c *checker) portsAsked(p *model.Provider) []int {
	ports := []int{p.Config.Find("port").Int()}
	for _, h := range c.FindHosts(p.Config.Find("service").String(), "") {
		for _, w := range c.WorkloadsOf(h) {
			if port := h.FindPort(ports[0]); port != nil {
				ports = append(ports, w.ResolvePort(port))
			}
		}
	}
	return ports
}

// isFenced reports whether ALLOW policies of Istio before the authorizer leave a workload out. They do nothing where no traffic passes the sidecar.
func (c *checker) isFenced(client *model.Workload, a *model.AuthorizerConfig, ports []int) bool {
	if a.Mode != "mesh" {
		return false
	}
	for _, w := range c.AuthorizerWorkloads(a) {
		restricted, admitted := false, false
		if slices.ContainsFunc(c.OfKind(objects.Security, "AuthorizationPolicy"), func(o *objects.Object) bool {
			return o.Spec().Find("action").String() == "DENY" && c.Selects(o, w) && slices.ContainsFunc(o.Spec().Find("rules").Entries(), func(rule *objects.Node) bool { return deniesChecks(rule, a) })
		}) {
			return true
		}
		for _, o := range c.OfKind(objects.Security, "AuthorizationPolicy") {
			if action := o.Spec().Find("action").String(); action != "" && action != "ALLOW" || !c.Selects(o, w) {
				continue
			}
			restricted = true
			for _, rule := range o.Spec().Find("rules").Entries() {
				admitted = admitted || admitsClient(rule, client, a.Domains.Local, ports)
			}
		}
		if restricted && !admitted {
			return true
		}
	}
	return false
}

// deniesChecks reports a rule of a DENY policy without conditions on callers that has a port of the listeners.
func deniesChecks(rule *objects.Node, a *model.AuthorizerConfig) bool {
	if !rule.Find("from").IsEmpty() || !rule.Find("when").IsEmpty() {
		return false
	}
	operations := rule.Find("to").Entries()
	return len(operations) == 0 || slices.ContainsFunc(operations, func(to *objects.Node) bool {
		operation := to.Find("operation")
		for _, m := range operation.Members() {
			if m.Key != "ports" && m.Key != "notPorts" {
				return false
			}
		}
		ports, not := operation.Find("ports").Texts(), operation.Find("notPorts").Texts()
		return slices.ContainsFunc(a.Listeners, func(l model.Listener) bool {
			number := strconv.Itoa(l.Port)
			return (len(ports) == 0 || slices.Contains(ports, number)) && !slices.Contains(not, number)
		})
	})
}

// askedPorts are the ports of the listeners, and those that providers ask: if they differ, that is a fault of its own.
func (c *checker) askedPorts(a *model.AuthorizerConfig) (all []int) {
	for _, l := range a.Listeners {
		all = append(all, l.Port)
	}
	for _, o := range c.AskingPolicies() {
		if p := c.ProviderOf(o); p != nil {
			all = append(all, p.Config.Find("port").Int())
		}
	}
	return all
}

// admitsClient reports whether a rule of an ALLOW policy has the Checks of a client. Conditions that the input does not decide are taken for met.
func admitsClient(rule *objects.Node, w *model.Workload, domain string, ports []int) bool {
	return matchesOne(rule.Find("to"), func(to *objects.Node) bool { return admitsCheck(to.Find("operation"), ports) }) &&
		matchesOne(rule.Find("from"), func(from *objects.Node) bool { return namesClient(from.Find("source"), w, domain) })
}

func matchesOne(list *objects.Node, matches func(*objects.Node) bool) bool {
	return list.IsEmpty() || slices.ContainsFunc(list.Entries(), matches)
}

// admitsCheck reports whether an operation has the Checks of Envoy.
func admitsCheck(operation *objects.Node, ports []int) bool {
	has := func(key, text string) bool {
		return model.Admits(operation, key, "not"+strings.ToUpper(key[:1])+key[1:], text)
	}
	return has("methods", "POST") && has("paths", "/envoy.service.auth.v3.Authorization/Check") &&
		slices.ContainsFunc(ports, func(port int) bool { return has("ports", strconv.Itoa(port)) })
}

// namesClient reports whether a source is a client. A Check has no token, so it has no request principal.
func namesClient(source *objects.Node, w *model.Workload, domain string) bool {
	return model.AdmitsSource(source, domain, w) && source.Find("requestPrincipals").IsEmpty()
}

// checkListeners compares the ports of providers with the listeners.
func (c *checker) checkListeners(a *model.AuthorizerConfig) {
	for _, o := range c.AskingPolicies() {
		p := c.ProviderOf(o)
		if p == nil || !p.GRPC {
			continue
		}
		for _, h := range c.FindHosts(p.Config.Find("service").String(), "") {
			switch {
			case h.Object.Kind == "Service" && h.Namespace == a.Content.Namespace:
				c.checkListener(a, o, p, h)
			case model.IsOnLoopback(h.Object):
				c.checkBeside(o, p)
			}
		}
	}
}

// checkBeside finds workloads whose own pod should have an authorizer.
func (c *checker) checkBeside(o *objects.Object, p *model.Provider) {
	for _, w := range c.Workloads {
		if w.PodSpec != nil && c.Selects(o, w) && !slices.ContainsFunc(w.Containers(), func(n *objects.Node) bool {
			return slices.Contains(append(n.Find("command").Texts(), n.Find("args").Texts()...), "serve")
		}) {
			c.report.Add(listenerUnknown, w.Object.Root, "provider %s asks in the pod itself, and no container of %s is an authorizer", p.Name, w.Title())
		}
	}
}

func (c *checker) checkListener(a *model.AuthorizerConfig, o *objects.Object, p *model.Provider, h *model.Host) {
	port := h.FindPort(p.Config.Find("port").Int())
	if port == nil {
		return
	}
	selected := c.WorkloadsOf(h)
	if own := c.AuthorizerWorkloads(a); len(own) > 0 && len(h.Selector) > 0 && len(selected) == 0 {
		c.report.Add(listenerUnknown, h.Object.Spec().Find("selector"), "%s, which provider %s asks, selects no pods, and the authorizer is %s", h.Object.Title(), p.Name, own[0].Title())
		return
	}
	number := port.Find("targetPort").Int()
	if port.Find("targetPort").IsEmpty() {
		number = port.Find("port").Int()
	} else if number == 0 {
		for _, w := range selected {
			number = max(number, namedPort(w, port.Find("targetPort").String()))
		}
		if number == 0 && len(selected) > 0 {
			c.report.Add(listenerUnknown, port.Find("targetPort"), "provider %s asks the port %s of the authorizer's pods, and no container has it", p.Name, port.Find("targetPort").String())
			return
		}
	}
	i := slices.IndexFunc(a.Listeners, func(l model.Listener) bool { return l.Port == number })
	at := p.Config.Find("port")
	if i < 0 {
		if number != 0 {
			c.report.Add(listenerUnknown, at, "provider %s asks port %d of the authorizer's pods, and no listener has it", p.Name, number)
		}
		return
	}
	listener := a.Listeners[i]
	waypoint := slices.ContainsFunc(c.TargetRefs(o), func(ref *objects.Node) bool {
		g := c.FindGateway(o.Namespace, ref.Find("name").String())
		return g != nil && model.IsWaypoint(g)
	})
	switch {
	case waypoint && listener.Caller != "xfcc":
		c.report.Add(listenerUnknown, at, "%s is for a waypoint, and asks the listener %s, whose caller is %s", o.Title(), listener.Node.Find("name").String(), listener.Caller)
	case !waypoint && len(c.TargetRefs(o)) == 0 && listener.Caller == "xfcc":
		c.report.Add(listenerUnknown, at, "%s is for sidecars, and asks the listener %s for waypoints", o.Title(), listener.Node.Find("name").String())
	case strings.HasPrefix(listener.Callee, "gateway/") && len(c.Documents) > 0 && len(c.documentsOf(listener.Callee)) == 0:
		c.report.Add(gatewayNoCaller, listener.Node, "the listener %s decides for %s, and no document targets it", listener.Node.Find("name").String(), listener.Callee)
	}
}

func (c *checker) documentsOf(callee string) []*model.Document {
	return slices.DeleteFunc(slices.Clone(c.Documents), func(d *model.Document) bool {
		return !slices.ContainsFunc(d.Compiled.Spec().Targets, func(p identity.Pattern) bool { return p.Match(identity.Workload(callee)) })
	})
}

func namedPort(w *model.Workload, name string) int {
	for _, container := range w.Containers() {
		for _, p := range container.Find("ports").Entries() {
			if p.Find("name").String() == name {
				return p.Find("containerPort").Int()
			}
		}
	}
	return 0
}

// checkTykPolicies looks policies and APIs of Tyk up.
func (c *checker) checkTykPolicies() {
	var ids []string
	for _, p := range c.Policies {
		ids = append(ids, p.ID)
		c.checkRights(p.Node, p.ID)
	}
	for _, key := range c.Set.ContentsOf(objects.TykKey) {
		c.checkRights(key.Root, key.Name)
	}
	if len(c.Policies) == 0 {
		return
	}
	unknown := func(n *objects.Node, id string) {
		if id != "" && c.FindPolicy(id) == nil {
			c.report.Add(tykPolicyUnknown, n, "no Tyk policy has the id %q%s", id, suggest.DidYouMean(id, ids))
		}
	}
	for _, a := range c.ServedAPIs() {
		for _, n := range a.PolicyIDs {
			unknown(n, n.String())
		}
	}
	for _, key := range c.Set.ContentsOf(objects.TykKey) {
		for _, n := range key.Root.Find("apply_policies").Entries() {
			unknown(n, n.String())
		}
	}
	for _, p := range c.Plugins {
		for _, block := range p.Root.Members() {
			for _, list := range block.FindPath("scopes", "byPolicy").Members() {
				unknown(list, list.Key)
			}
		}
	}
}

// checkRights looks the APIs of rights up. A policy without rights is not valid.
func (c *checker) checkRights(n *objects.Node, name string) {
	if len(c.APIs) == 0 {
		return
	}
	rights := n.Find("access_rights").Members()
	partitioned := n.FindPath("partitions", "quota").IsTrue() || n.FindPath("partitions", "rate_limit").IsTrue()
	if len(rights) == 0 && n.Find("access_rights_array").IsEmpty() && n.Find("apply_policies").IsEmpty() && !(partitioned && !n.FindPath("partitions", "acl").IsTrue()) {
		c.report.Add(rightsUnknown, n, "%s has no access_rights", name)
		return
	}
	for _, right := range rights {
		if c.FindAPI(right.Key) == nil {
			c.report.Add(rightsUnknown, right, "%s has rights for the API %q, which no definition has%s", name, right.Key, suggest.DidYouMean(right.Key, c.apiIDs()))
		}
	}
	for _, right := range n.Find("access_rights_array").Entries() {
		if right.Find("namespace") != nil && right.Find("name").String() != "" {
			c.checkObjectRight(name, right)
		}
	}
}

// checkObjectRight looks up the object of Tyk Operator that a right names, by its kind, its namespace and its name.
func (c *checker) checkObjectRight(policy string, right *objects.Node) {
	kind, namespace, name := right.Find("kind").String(), right.Find("namespace").String(), right.Find("name").String()
	if kind == "" {
		kind = "ApiDefinition"
	}
	if kind != "ApiDefinition" && kind != "TykOasApiDefinition" {
		return // kinds that are not read
	}
	var same []string
	for _, each := range []string{"ApiDefinition", "TykOasApiDefinition"} {
		for _, o := range c.OfKind(objects.Tyk, each) {
			if o.Name == name && o.Namespace == namespace && each == kind {
				return
			}
			if o.Name == name {
				same = append(same, o.Title())
			}
		}
	}
	hint := ""
	if len(same) > 0 {
		hint = "; there is " + strings.Join(same, ", ")
	}
	c.report.Add(rightsUnknown, right, "%s has rights for the %s %s/%s, which no definition is%s", policy, kind, namespace, name, hint)
}

func (c *checker) apiIDs() (all []string) {
	for _, a := range c.APIs {
		all = append(all, a.ID)
	}
	return all
}
