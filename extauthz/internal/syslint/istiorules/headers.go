package istiorules

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/shared/identity"
)

const (
	headersBreak = "A removed token makes the next hop deny (token_missing). A header that is set here can be one that a client chose: a workload takes it for the authorizer's."
	headersFix   = "Leave Txn-Token and X-Meshpass-* alone; the authorizer removes and sets them."
)

var (
	headerRequestAuthentication = registry.Define("header_request_authentication", finding.Error,
		"A RequestAuthentication consumes or writes a header of ours.", headersBreak,
		"Set forwardOriginalToken: true where fromHeaders names Txn-Token, and write claims into headers with other names.")
	headerEnvoyFilter = registry.Define("header_envoy_filter", finding.Error,
		"An EnvoyFilter removes or sets a header of ours.", headersBreak, headersFix)
	extAuthzPatched = registry.Define("ext_authz_patched", finding.Error,
		"An EnvoyFilter removes or changes the filter that asks the authorizer.",
		"Requests pass without a Check, or a failed Check lets them pass.",
		"Remove the patch. For exceptions, write public entries into documents.")
	headerVirtualService = registry.Define("header_virtual_service", finding.Error,
		"A VirtualService removes or sets a header of ours on the way to a workload of the mesh.", headersBreak, headersFix)
	headerWasm = registry.Define("header_wasm", finding.Warning,
		"The configuration of a WebAssembly plugin, in a WasmPlugin or an EnvoyFilter, names a header of ours.",
		"lint does not see what its code does. "+headersBreak,
		"Make sure that the plugin only reads the header, and accept the finding in a baseline; otherwise remove the header from its configuration.")
	headerRoute = registry.Define("header_route_filter", finding.Error,
		"A filter of an HTTPRoute or GRPCRoute removes or sets a header of ours.", headersBreak, headersFix)
)

// reservedText finds a name of ours inside of code or a pattern.
var reservedText = regexp.MustCompile(`(?i)txn[^a-z0-9]{1,2}token|x[^a-z0-9]{1,2}meshpass`)

func (c *checker) checkHeaders() {
	c.checkRequestAuthentications()
	for _, o := range c.OfKind(objects.Extensions, "WasmPlugin") {
		if model.SelectorOf(o).Find("istio").String() != "egressgateway" {
			c.checkWasm(o, o.Spec().Find("pluginConfig"))
			c.checkWasm(o, o.Spec().FindPath("vmConfig", "env"))
		}
	}
	for _, o := range c.OfKind(objects.Networking, "EnvoyFilter") {
		for _, patch := range o.Spec().Find("configPatches").Entries() {
			c.checkPatch(o, patch)
			c.checkAuthzPatch(o, patch)
		}
	}
	for _, o := range c.OfKind(objects.Networking, "VirtualService") {
		for _, http := range o.Spec().Find("http").Entries() {
			inMesh := false
			for _, route := range http.Find("route").Entries() {
				here := c.isInMesh(route.FindPath("destination", "host").String(), o.Namespace)
				inMesh = inMesh || here
				c.checkHeaderRules(headerVirtualService, route.FindPath("headers", "request"), here)
			}
			c.checkHeaderRules(headerVirtualService, http.FindPath("headers", "request"), inMesh)
		}
	}
	for _, kind := range []string{"HTTPRoute", "GRPCRoute"} {
		for _, o := range c.OfKind(objects.GatewayAPI, kind) {
			for _, rule := range o.Spec().Find("rules").Entries() {
				c.checkFilters(rule)
				for _, backend := range rule.Find("backendRefs").Entries() {
					c.checkFilters(backend)
				}
			}
		}
	}
}

// isInMesh reports a host that is a Service, by the registry or by the form of its name.
func (c *checker) isInMesh(host, namespace string) bool {
	hosts := c.FindHosts(host, namespace)
	for _, h := range hosts {
		if h.Object.Kind == "Service" || h.Object.Spec().Find("location").String() == "MESH_INTERNAL" {
			return true
		}
	}
	return len(hosts) == 0 && (!strings.Contains(host, ".") || strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".svc."+c.ClusterDomain))
}

// checkHeaderRules checks the sections set, add and remove. A removal on the way out of the mesh is what protects a token.
func (c *checker) checkHeaderRules(rule *finding.Rule, n *objects.Node, inMesh bool) {
	for _, section := range []string{"set", "add"} {
		for _, m := range n.Find(section).Members() {
			if identity.IsReservedHeader(m.Key) {
				c.report.Add(rule, m, "it writes the header %s", m.Key)
			}
		}
	}
	for _, m := range n.Find("remove").Entries() {
		if inMesh && identity.IsReservedHeader(m.String()) {
			c.report.Add(rule, m, "it removes the header %s", m.String())
		}
	}
}

func (c *checker) checkFilters(n *objects.Node) {
	for _, filter := range n.Find("filters").Entries() {
		modifier := filter.Find("requestHeaderModifier")
		for _, section := range []string{"set", "add"} {
			for _, m := range modifier.Find(section).Entries() {
				if name := m.Find("name"); identity.IsReservedHeader(name.String()) {
					c.report.Add(headerRoute, name, "it writes the header %s", name.String())
				}
			}
		}
		for _, m := range modifier.Find("remove").Entries() {
			if identity.IsReservedHeader(m.String()) {
				c.report.Add(headerRoute, m, "it removes the header %s", m.String())
			}
		}
	}
}

func (c *checker) checkRequestAuthentications() {
	for _, o := range c.OfKind(objects.Security, "RequestAuthentication") {
		for _, rule := range o.Spec().Find("jwtRules").Entries() {
			forwards := rule.Find("forwardOriginalToken").IsTrue()
			for _, header := range rule.Find("fromHeaders").Entries() {
				if name := header.Find("name"); identity.IsReservedHeader(name.String()) && !forwards {
					c.report.Add(headerRequestAuthentication, name, "Envoy removes the header %s, because forwardOriginalToken is not set", name.String())
				}
			}
			if n := rule.Find("outputPayloadToHeader"); identity.IsReservedHeader(n.String()) {
				c.report.Add(headerRequestAuthentication, n, "it writes the header %s", n.String())
			}
			for _, claim := range rule.Find("outputClaimToHeaders").Entries() {
				if n := claim.Find("header"); identity.IsReservedHeader(n.String()) {
					c.report.Add(headerRequestAuthentication, n, "it writes the header %s", n.String())
				}
			}
		}
	}
}

// checkPatch looks for names of ours in what a patch adds to Envoy's configuration.
func (c *checker) checkPatch(o *objects.Object, patch *objects.Node) {
	value := patch.FindPath("patch", "value")
	if isEgressFilter(o, patch) {
		return
	}
	value.Walk(func(n *objects.Node) bool {
		switch {
		case strings.HasPrefix(n.Find("name").String(), "meshpass."), n.Key == "request_trailers_mutations", n.Key == "response_mutations",
			n.Key == "response_headers_to_add", n.Key == "response_headers_to_remove", n.Key == "xds_matcher", n.Find("xds_matcher") != nil:
			return false // ours; answers; or with a condition on the host
		}
		if n.Kind != objects.Text {
			return true
		}
		switch {
		case n.Key == "value" && n.Parent() != nil && n.Parent().Key == "configuration": // of a plugin, as text
			c.checkWasm(o, n)
		case n.Key == "header" && n.Parent().Find("remove").IsTrue() && identity.IsReservedHeader(n.String()):
			c.report.Add(headerEnvoyFilter, n, "%s removes the header %s", o.Title(), n.String())
		case isConsumed(n) && identity.IsReservedHeader(n.String()):
			c.report.Add(headerEnvoyFilter, n, "%s consumes or writes the header %s", o.Title(), n.String())
		case isHeaderName(n) && identity.IsReservedHeader(n.String()):
			c.report.Add(headerEnvoyFilter, n, "%s changes the header %s", o.Title(), n.String())
		case isPattern(n) && reservedText.MatchString(n.String()), isPattern(n) && matchesReserved(n.String()):
			c.report.Add(headerEnvoyFilter, n, "%s changes headers that match %q", o.Title(), n.String())
		case isLua(n) && changesReserved(n.String()):
			c.report.Add(headerEnvoyFilter, n, "the Lua code of %s changes a header of ours", o.Title())
		}
		return true
	})
}

// checkWasm looks for names of ours in the configuration of a WebAssembly plugin: as texts, as members, or inside of longer texts.
func (c *checker) checkWasm(o *objects.Object, config *objects.Node) {
	config.Walk(func(n *objects.Node) bool {
		if text := n.String(); n != config && identity.IsReservedHeader(n.Key) || n.Kind == objects.Text && (identity.IsReservedHeader(text) || reservedText.MatchString(text)) {
			c.report.Add(headerWasm, n, "the plugin of %s has a header of ours in its configuration", o.Title())
			return false
		}
		return true
	})
}

// checkAuthzPatch finds patches of ext_authz, and of the filter before it that marks the requests to ask about.
func (c *checker) checkAuthzPatch(o *objects.Object, patch *objects.Node) {
	operation, value := patch.FindPath("patch", "operation"), patch.FindPath("patch", "value")
	target := patch.FindPath("match", "listener", "filterChain", "filter", "subFilter", "name").String()
	if target == "" {
		target = patch.FindPath("match", "listener", "filterChain", "filter", "name").String()
	}
	changes := slices.Contains([]string{"REMOVE", "MERGE", "REPLACE"}, operation.String())
	applyTo, cluster := patch.Find("applyTo").String(), patch.FindPath("match", "cluster")
	named := strings.Split(cluster.Find("name").String(), "|")
	service := cmp.Or(cluster.Find("service").String(), named[len(named)-1])
	switch {
	case operation.String() == "REMOVE" && applyTo == "HTTP_FILTER" && target == "", operation.String() == "REMOVE" && applyTo == "NETWORK_FILTER" && target == "":
		c.report.Add(extAuthzPatched, operation, "%s removes all filters of the matched listeners", o.Title())
	case operation.String() == "REMOVE" && applyTo == "CLUSTER" && (service == "" || c.isProviderService(service)):
		c.report.Add(extAuthzPatched, operation, "%s removes the cluster of the authorizer", o.Title())
	case changes && slices.Contains([]string{"envoy.filters.http.ext_authz", "envoy.filters.network.ext_authz", "envoy.filters.http.rbac", "envoy.filters.network.rbac"}, target):
		c.report.Add(extAuthzPatched, operation, "%s has %s for %s", o.Title(), operation.String(), target)
	default:
		value.Walk(func(n *objects.Node) bool {
			switch {
			case n.Parent() == nil || n.Parent().Key != "typed_per_filter_config" && n.Parent().Key != "typedPerFilterConfig":
			case n.Key == "envoy.filters.http.ext_authz" && n.Find("disabled").IsTrue():
				c.report.Add(extAuthzPatched, n, "%s disables ext_authz for a route", o.Title())
			case n.Key == "envoy.filters.http.rbac" && (n.Find("disabled").IsTrue() || n.Find("rbac").IsEmpty()):
				c.report.Add(extAuthzPatched, n, "%s disables the filter that marks requests for the Check", o.Title())
			}
			return true
		})
	}
}

// isProviderService reports the service of an extension provider.
func (c *checker) isProviderService(name string) bool {
	return slices.ContainsFunc(c.Meshes, func(mesh *model.Mesh) bool {
		return slices.ContainsFunc(mesh.Providers(), func(p *model.Provider) bool {
			_, host, qualified := strings.Cut(p.Config.Find("service").String(), "/")
			return p.IsExtAuthz() && (p.Config.Find("service").String() == name || qualified && host == name)
		})
	})
}

// isEgressFilter reports a patch of gateways that requests leave the mesh through.
func isEgressFilter(o *objects.Object, patch *objects.Node) bool {
	return patch.FindPath("match", "context").String() == "GATEWAY" && o.Spec().FindPath("workloadSelector", "labels").Find("istio").String() == "egressgateway"
}

// headerKeys are the members of Envoy's configuration that name a header to change.
var headerKeys = []string{"remove", "key", "request_headers_to_remove", "requestHeadersToRemove", "forward_payload_header", "forwardPayloadHeader", "header_to_metadata"}

func isHeaderName(n *objects.Node) bool {
	key := n.Key
	if n.Parent() != nil && n.Parent().Kind == objects.List {
		key = n.Parent().Key
	}
	return slices.Contains(headerKeys, key)
}

// isConsumed reports a header that a jwt_authn filter takes tokens from and removes, or that it writes a claim into.
func isConsumed(n *objects.Node) bool {
	list := n.Parent()
	if list == nil || list.Parent() == nil {
		return false
	}
	list = list.Parent() // of the entry
	switch {
	case n.Key == "name" && (list.Key == "from_headers" || list.Key == "fromHeaders"):
		return !list.Parent().Find("forward").IsTrue()
	case n.Key == "header_name" || n.Key == "headerName":
		return list.Key == "claim_to_headers" || list.Key == "claimToHeaders"
	}
	return false
}

func isPattern(n *objects.Node) bool {
	return n.Key == "regex" && n.Parent() != nil && (n.Parent().Key == "safe_regex" || n.Parent().Key == "safeRegex") ||
		slices.Contains([]string{"exact", "prefix"}, n.Key) && n.Parent() != nil && (n.Parent().Key == "key_matcher" || n.Parent().Key == "keyMatcher")
}

// matchesReserved reports a pattern that is written in another way and matches our names.
func matchesReserved(text string) bool {
	pattern, err := regexp.Compile("^(?i:" + text + ")$")
	return err == nil && (pattern.MatchString("txn-token") || pattern.MatchString("x-meshpass-user"))
}

func isLua(n *objects.Node) bool {
	return slices.Contains([]string{"inlineCode", "inline_code", "inline_string", "inlineString"}, n.Key)
}

// luaNamed is a change of a header whose name is in a variable.
var luaNamed = regexp.MustCompile(`(?i):\s*(remove|replace|add)\s*\(\s*[a-z_]`)

var luaChange = regexp.MustCompile(`(?i):\s*(remove|replace|add)\s*\(\s*["'](txn-token|x-meshpass-[a-z0-9-]*)["']`)

// changesReserved reports Lua code that changes a header of the request.
func changesReserved(code string) bool {
	code = regexp.MustCompile(`--[^\n]*`).ReplaceAllString(code, "")
	request := code
	if i := strings.Index(code, "function envoy_on_response"); i >= 0 {
		request = code[:i]
		if j := strings.Index(code, "function envoy_on_request"); j > i {
			request = code[j:]
		}
	}
	return luaChange.MatchString(request) || luaNamed.MatchString(request) && reservedText.MatchString(code)
}
