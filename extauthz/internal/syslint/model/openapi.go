package model

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
	"github.com/meshpass/meshpass/internal/gateway/settings"
)

// readOpenAPI reads an OpenAPI document with x-tyk-api-gateway (apidef/oas of Tyk 5.8).
func readOpenAPI(document *objects.Node, c *objects.Content, o *objects.Object) *API {
	root := document.Find("x-tyk-api-gateway")
	a := newAPI(OpenAPI, root, c, o)
	a.Document = document
	get := root.FindFold
	on := func(keys ...string) *objects.Node {
		n := get(keys...)
		if n.FindFold("enabled").IsTrue() {
			return n.FindFold("enabled")
		}
		return nil
	}
	a.ID, a.Name = get("info", "id").String(), get("info", "name").String()
	if a.ID == "" && o != nil {
		a.ID = o.Name
	}
	a.ListenPath, a.StripsPath = get("server", "listenPath", "value"), get("server", "listenPath", "strip").IsTrue()
	if on("server", "customDomain") != nil {
		a.Domain = get("server", "customDomain", "name")
	}
	auth := get("server", "authentication")
	a.Keyless, a.AuthNode = !auth.FindFold("enabled").IsTrue(), auth.FindFold("enabled")
	a.MutualTLS = on("server", "clientCertificates") != nil
	a.Active, a.Internal = get("info", "state", "active"), get("info", "state", "internal").IsTrue()
	a.ContextVars = on("middleware", "global", "contextVariables") != nil
	a.Driver, a.Protocol = get("middleware", "global", "pluginConfig", "driver"), get("server", "protocol")
	if on("middleware", "global", "pluginConfig", "bundle") != nil {
		a.Bundle = get("middleware", "global", "pluginConfig", "bundle", "path")
	}
	if get("middleware", "global", "cors", "optionsPassthrough").IsTrue() { // Tyk reads it without cors.enabled too
		a.Options = get("middleware", "global", "cors", "optionsPassthrough")
	}
	if cache := on("middleware", "global", "cache"); cache != nil && (get("middleware", "global", "cache", "cacheAllSafeRequests").IsTrue() ||
		slices.ContainsFunc(get("middleware", "operations").Members(), func(op *objects.Node) bool { return op.FindFold("cache", "enabled").IsTrue() })) {
		a.Cache = cache
	}
	a.Detailed = on("server", "detailedActivityLogs")
	a.Discovery = on("upstream", "serviceDiscovery")
	a.IgnoreCase = on("middleware", "global", "ignoreCase") != nil
	a.readOpenHooks()
	a.readOpenTargets()
	a.readOpenMethods(auth)
	a.readOperations()
	global := get("middleware", "global")
	a.addOpenHeaders(global)
	if on("info", "versioning") != nil {
		for _, v := range get("info", "versioning", "versions").Entries() {
			if id := v.FindFold("id"); id.String() != "" && id.String() != a.ID {
				a.Children = append(a.Children, id)
			}
		}
	}
	data := global.FindFold("pluginConfig", "data")
	a.Narrowing, a.DataDisabled = data.FindFold("value").Find(settings.NarrowingKey), !data.FindFold("enabled").IsTrue()
	a.OptionalUser = !a.DataDisabled && a.Narrowing.Find("identity").String() == "optional"
	a.Org, a.BaseIdentity, a.NotVersioned = get("info", "orgId"), get("server", "authentication", "baseIdentityProvider"), true
	a.setPort(get("server", "port"))
	a.addExpiry(get("info", "expiration"))
	a.KeepsHost = on("upstream", "preserveHostHeader")
	return a
}

// addObject reads what an object of Tyk Operator adds to its document: a domain, policies and versions.
func (a *API) addObject() {
	if a.Object == nil {
		return
	}
	spec := a.Object.Spec()
	if domain := spec.Find("customDomain"); domain.Find("enabled").IsTrue() {
		a.Domain = domain.Find("name")
	}
	a.MutualTLS = a.MutualTLS || spec.Find("clientCertificate").Find("enabled").IsTrue()
	a.addObjectPolicies(spec.Find("jwtAuth"))
	versioning := a.Object.Spec().Find("versioning")
	if !versioning.Find("enabled").IsTrue() {
		return
	}
	for _, v := range versioning.Find("versions").Entries() {
		ref := v.Find("tykOasApiDefinitionRef")
		if ref.Find("name") != nil {
			ref = ref.Find("name")
		}
		if ref.String() != "" {
			a.Children = append(a.Children, ref)
		}
	}
}

func (a *API) addObjectPolicies(auth *objects.Node) {
	for _, ref := range auth.Find("defaultPoliciesRef").Entries() {
		a.DefaultPolicies = append(a.DefaultPolicies, ref.Find("name"))
		a.PolicyIDs = append(a.PolicyIDs, ref.Find("name"))
	}
	mappings := auth.FindPath("scopes", "scopeToPolicyMapping").Entries()
	for _, mapping := range mappings {
		a.PolicyIDs, a.Scopes = append(a.PolicyIDs, mapping.FindPath("policyRef", "name")), append(a.Scopes, mapping.Find("scope").String())
	}
	for i, m := range a.Methods {
		a.Methods[i].Grants = m.Grants || m.Name == "jwt" && (len(mappings) > 0 || !auth.Find("defaultPoliciesRef").IsEmpty())
	}
}

func (a *API) readOpenHooks() {
	global := a.Root.FindFold("middleware", "global")
	for list, keys := range map[hooks.List][]string{
		hooks.Pre: {"prePlugins", "prePlugin"}, hooks.PostAuth: {"postAuthenticationPlugins", "postAuthenticationPlugin"},
		hooks.Post: {"postPlugins", "postPlugin"}, hooks.Response: {"responsePlugins", "responsePlugin"},
	} {
		entries := global.FindFold(keys[0]).Entries()
		if len(entries) == 0 { // the deprecated form
			entries = global.FindFold(keys[1], "plugins").Entries()
		}
		for _, n := range entries {
			a.addHook(list, n, "functionName", "path", !n.FindFold("enabled").IsTrue())
		}
	}
	if check := a.Root.FindFold("server", "authentication", "custom", "config"); check.FindFold("functionName").String() != "" {
		a.addHook(hooks.AuthCheck, check, "functionName", "path", !check.FindFold("enabled").IsTrue())
	}
}

func (a *API) readOpenTargets() {
	upstream := a.Root.FindFold("upstream")
	if upstream.FindFold("proxy", "enabled").IsTrue() {
		a.addTarget("proxy_url", upstream.FindFold("proxy", "url"))
	}
	if upstream.FindFold("loadBalancing", "enabled").IsTrue() {
		for _, n := range upstream.FindFold("loadBalancing", "targets").Entries() {
			a.addTarget("target_list", n.FindFold("url"))
		}
		return
	}
	a.addTarget("upstream.url", upstream.FindFold("url"))
}

func (a *API) addOpenHeaders(n *objects.Node) {
	for key, response := range map[string]bool{"transformRequestHeaders": false, "transformResponseHeaders": true} {
		transform := n.FindFold(key)
		if !transform.FindFold("enabled").IsTrue() {
			continue
		}
		for _, h := range transform.FindFold("add").Entries() {
			a.Headers = append(a.Headers, HeaderChange{Name: h.FindFold("name"), Text: h.FindFold("name").String(), Value: h.FindFold("value").String(), Response: response})
		}
		for _, h := range transform.FindFold("remove").Entries() {
			a.Headers = append(a.Headers, HeaderChange{Name: h, Text: h.String(), Response: response})
		}
	}
}

// readOpenMethods reads the security schemes, which have the names of the document's own.
func (a *API) readOpenMethods(auth *objects.Node) {
	if a.Keyless {
		if a.MutualTLS {
			a.Methods = append(a.Methods, Method{Name: "mtls", Node: a.Root.FindFold("server", "clientCertificates", "enabled")})
		}
		return
	}
	for _, scheme := range auth.FindFold("securitySchemes").Members() {
		if !scheme.FindFold("enabled").IsTrue() {
			continue
		}
		declared := a.Document.FindPath("components", "securitySchemes", scheme.Key)
		m := Method{Node: scheme.FindFold("enabled"), Name: methodOfScheme(scheme, declared), Grants: true}
		a.findUnusedScheme(scheme, declared, m)
		if m.Name == "jwt" {
			m.Grants = !scheme.FindFold("defaultPolicies").IsEmpty() || scheme.FindFold("policyFieldName").String() != "" || scheme.FindFold("clientBaseField").String() != "" ||
				!scheme.FindFold("scopes", "scopeToPolicyMapping").IsEmpty()
			m.Issuers = append(m.Issuers, scheme.FindFold("source"))
			for _, uri := range scheme.FindFold("jwksURIs").Entries() {
				m.Issuers = append(m.Issuers, uri.FindFold("url"))
			}
			m.Issuers = slices.DeleteFunc(m.Issuers, func(n *objects.Node) bool { return n.String() == "" })
			a.DefaultPolicies = append(a.DefaultPolicies, scheme.FindFold("defaultPolicies").Entries()...)
			a.PolicyIDs = append(a.PolicyIDs, scheme.FindFold("defaultPolicies").Entries()...)
			a.addScopePolicies(scheme)
		}
		a.Methods = append(a.Methods, m)
		a.addOpenSources(scheme)
		if declared.FindFold("type").String() == "apiKey" {
			a.addSource(declared.FindFold("name"))
		}
	}
	if oidc := auth.FindFold("oidc"); oidc.FindFold("enabled").IsTrue() {
		m := Method{Name: "oidc", Node: oidc.FindFold("enabled")}
		for _, p := range oidc.FindFold("providers").Entries() {
			m.Issuers = append(m.Issuers, p.FindFold("issuer"))
			for _, mapping := range p.FindFold("clientToPolicyMapping").Entries() {
				a.PolicyIDs = append(a.PolicyIDs, mapping.FindFold("policyId"))
				a.ClientIDs = append(a.ClientIDs, mapping.FindFold("clientId"))
			}
		}
		m.Grants = len(a.ClientIDs) > 0 || !oidc.FindFold("scopes", "scopeToPolicyMapping").IsEmpty()
		a.addScopePolicies(oidc)
		a.addOpenSources(oidc)
		a.Methods = append(a.Methods, m)
	}
	for key, name := range map[string]string{"hmac": "hmac", "custom": "custom"} {
		if n := auth.FindFold(key); n.FindFold("enabled").IsTrue() {
			a.Methods = append(a.Methods, Method{Name: name, Node: n.FindFold("enabled")})
			a.addOpenSources(n)
		}
	}
}

// findUnusedScheme finds a scheme that Tyk does not apply, because the document does not require or declare it.
func (a *API) findUnusedScheme(scheme, declared *objects.Node, m Method) {
	var required *objects.Node
	if all := a.Document.Find("security").Entries(); len(all) > 0 {
		required = all[0].Find(scheme.Key)
	}
	why := ""
	switch {
	case m.Name == "apiKeys" && declared != nil && required == nil && strings.EqualFold(declared.Find("name").String(), "Authorization") && len(scheme.Parent().Items) == 1:
		return // what Tyk does without a scheme
	case declared == nil:
		why = "components.securitySchemes does not declare it"
	case required == nil:
		why = "the first entry of security does not name it"
	case m.Name == "jwt" && declared.Find("bearerFormat").String() != "JWT":
		why = "its bearerFormat is not JWT"
	default:
		return
	}
	a.Unused = append(a.Unused, Unused{scheme, why})
}

func (a *API) addScopePolicies(n *objects.Node) {
	for _, mapping := range n.FindFold("scopes", "scopeToPolicyMapping").Entries() {
		a.PolicyIDs, a.Scopes = append(a.PolicyIDs, mapping.FindFold("policyId")), append(a.Scopes, mapping.FindFold("scope").String())
	}
}

func (a *API) addOpenSources(n *objects.Node) {
	for _, key := range []string{"header", "cookie", "query"} {
		if source := n.FindFold(key); source.FindFold("enabled").IsTrue() {
			a.addSource(source.FindFold("name"))
		}
	}
	a.addSource(n.FindFold("signatureValidation", "header"))
}

func methodOfScheme(scheme, declared *objects.Node) string {
	kind, form := declared.FindFold("type").String(), strings.ToLower(declared.FindFold("scheme").String())
	switch {
	case kind == "apiKey":
		return "apiKeys"
	case kind == "http" && form == "basic":
		return "basic"
	case kind == "http" && form == "bearer":
		return "jwt"
	case kind == "oauth2" && scheme.FindFold("providers") != nil:
		return "external"
	case kind == "oauth2":
		return "oauth"
	case scheme.FindFold("signingMethod") != nil || scheme.FindFold("source") != nil:
		return "jwt"
	}
	return "apiKeys"
}

// readOperations reads the endpoints. An operation id belongs to the path and method of the document that has it.
func (a *API) readOperations() {
	paths := map[string]string{}
	for _, path := range a.Document.Find("paths").Members() {
		for _, method := range path.Members() {
			if id := method.Find("operationId").String(); id != "" {
				paths[id] = path.Key
			}
		}
	}
	for _, op := range a.Root.FindFold("middleware", "operations").Members() {
		pattern, known := paths[op.Key]
		if !known && !op.IsEmpty() {
			a.Unused = append(a.Unused, Unused{op, "no operation of the document has this operationId"})
		}
		for key, kind := range map[string]EndpointKind{"ignoreAuthentication": Ignored, "allow": Allowed, "block": Blocked, "mockResponse": Mocked} {
			if n := op.FindFold(key); n.FindFold("enabled").IsTrue() {
				a.Endpoints = append(a.Endpoints, Endpoint{Kind: kind, Pattern: pattern, Node: n})
			}
		}
		if n := op.FindFold("cache"); n.FindFold("enabled").IsTrue() && a.Root.FindFold("middleware", "global", "cache", "enabled").IsTrue() {
			a.Endpoints = append(a.Endpoints, Endpoint{Kind: Other, Pattern: pattern, Node: n})
		}
		a.addOpenHeaders(op)
		if n := op.FindFold("transformRequestBody"); n.FindFold("enabled").IsTrue() {
			a.Templates = append(a.Templates, n.FindFold("body"))
		}
		if n := op.FindFold("urlRewrite"); n.FindFold("enabled").IsTrue() {
			a.addRewrite(n, "pattern", "rewriteTo")
		}
		for _, n := range op.FindFold("postPlugins").Entries() {
			a.addHook(hooks.Endpoints, n, "functionName", "path", !n.FindFold("enabled").IsTrue())
		}
	}
}
