package tykrules

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
	"github.com/meshpass/meshpass/internal/redact"
	"github.com/meshpass/meshpass/shared/identity"
)

var (
	versionUnknown = registry.Define("tyk_version_unknown", finding.Error,
		"A version of an API names an API that no definition has.",
		"Requests of this version are answered with an error.",
		"Write the id of an API, or remove the version.")
	optionsPassthrough = registry.Define("tyk_options_passthrough", finding.Error,
		"An API in front of our hosts has options_passthrough.",
		"Tyk runs no authentication and no hook for OPTIONS: a client's own Txn-Token reaches the host.",
		"Switch CORS.options_passthrough off; Tyk answers preflight requests itself.")
	keyless = registry.Define("tyk_keyless", finding.Error,
		"A keyless API forwards to a guarded host.",
		"Tyk does not call SignIdentity: no request has a token, and every hop denies it.",
		"Authenticate callers, or allow the requests in the document's public section and list StripIdentity alone.")
	ignoredEndpoint = registry.Define("tyk_ignored_endpoint", finding.Error,
		"An API in front of guarded hosts has endpoints without authentication.",
		"There is no session: the plugin denies these requests (no_session), and the endpoint never works.",
		"Remove the endpoint from the list, or use a keyless API of its own with a public entry in the document.")
	contextVars = registry.Define("tyk_context_variables", finding.Error,
		"An API authenticates by JWT or OpenID Connect, and its context variables are off.",
		"The plugin cannot read verified claims and denies every request (claims_unavailable).",
		"Set enable_context_vars: true, or contextVariables.enabled in OpenAPI form.")
	authHeader = registry.Define("tyk_auth_header", finding.Error,
		"An API reads credentials from a header, cookie or parameter with a name of ours.",
		"StripIdentity removes the header before Tyk reads it: every caller gets 401.",
		"Use another header, such as Authorization.")
	transforms = registry.Define("tyk_header_transform", finding.Error,
		"An API adds or removes a header of ours, or copies one.",
		"GuardUpstream removes such headers afterwards, so the transform does nothing. Where the hook does not run, they reach the workload as if the authorizer had set them.",
		"Leave Txn-Token and X-Meshpass-* out of transforms and templates.")
	responseCache = registry.Define("tyk_response_cache", finding.Error,
		"An API with our hooks uses Tyk's response cache.",
		"The cache does not distinguish issuers or claims: a user can get the answer of another tenant. The plugin denies every request.",
		"Switch the cache off, or list the API in allow.responseCache of the plugin's file.")
	detailedRecording = registry.Define("tyk_detailed_recording", finding.Error,
		"Detailed recording is on for an API with our hooks.",
		"Records of Tyk would hold tokens. The plugin denies every request.",
		"Switch it off, or list the API in allow.detailedRecording of the plugin's file.")
	upstreamOutside = registry.Define("tyk_upstream_outside", finding.Error,
		"An API with our hooks sends requests to a host, or through a proxy, that is not in upstreams of the plugin's file.",
		"The plugin denies every request (upstream_refused), so that no token leaves the mesh.",
		"Correct the target, or add the host to upstreams. Exclude hosts of the mesh from HTTP_PROXY by NO_PROXY.")
	dynamicDiscovery = registry.Define("tyk_dynamic_discovery", finding.Error,
		"An API with our hooks finds its hosts by service discovery or GraphQL data sources.",
		"The hosts cannot be checked against upstreams: the plugin denies every request.",
		"Write the Service's name as target.")
	inactiveServed = registry.Define("tyk_inactive_served", finding.Error,
		"A definition in a file has active: false.",
		"Tyk serves it all the same: only the Dashboard leaves inactive APIs out.",
		"Remove the file, or set internal: true.")
	domainIgnored = registry.Define("tyk_domain_ignored", finding.Error,
		"An API has a domain, and the gateway does not have enable_custom_domains.",
		"The API answers on every host.",
		"Set enable_custom_domains: true, or remove the domain.")
	sessionUnsupported = registry.Define("tyk_session_unsupported", finding.Error,
		"An API authenticates in a way that names no user for a token.",
		"The plugin denies every request (session_unsupported).",
		"Set jwt_source, use one method or base_identity_provided_by, and leave external OAuth.")
)

// checkAccess checks how requests get past authentication.
func (c *checker) checkAccess(a *model.API) {
	ours := c.leadsToUs(a)
	if a.Options != nil && (ours || a.ListsHooks()) {
		c.report.Add(optionsPassthrough, a.Options, "API %s passes OPTIONS on", a.Title())
	}
	if a.Keyless && !a.MutualTLS && !a.IsCanary() && c.leadsToGuarded(a) && !c.hasPublicEntry(a) {
		c.report.Add(keyless, at(a, a.AuthNode), "API %s is keyless and leads to a guarded host", a.Title())
	}
	if !a.Keyless && (ours || a.ListsHooks()) && !c.mayLackIdentity(a) {
		for _, e := range a.Endpoints {
			if e.Kind == model.Ignored {
				c.report.Add(ignoredEndpoint, e.Node, "API %s: requests to %s are not authenticated", a.Title(), e.Pattern)
			}
		}
	}
	if !a.ListsHooks() || a.Bundle != nil {
		return
	}
	for _, m := range a.Methods {
		if (m.Name == "jwt" || m.Name == "oidc") && !a.ContextVars {
			c.report.Add(contextVars, m.Node, "API %s has no context variables", a.Title())
			break
		}
	}
	c.checkMethods(a)
}

// methodOfBase has the values of base_identity_provided_by.
var methodOfBase = map[string]string{
	"auth_token": "apiKeys", "jwt_claim": "jwt", "oidc_user": "oidc", "oauth_key": "oauth", "basic_auth_user": "basic", "hmac_key": "hmac", "custom_auth": "custom",
}

func (c *checker) checkMethods(a *model.API) {
	names := map[string]bool{}
	for _, m := range a.Methods {
		names[m.Name] = true
		switch {
		case m.Name == "external":
			c.report.Add(sessionUnsupported, m.Node, "API %s: external OAuth leaves nothing that identifies the caller", a.Title())
		case m.Name == "jwt" && len(m.Issuers) == 0:
			c.report.Add(sessionUnsupported, m.Node, "API %s: without jwt_source a token is verified with the secret of a key that it names itself", a.Title())
		}
	}
	base := methodOfBase[a.BaseIdentity.String()]
	switch {
	case len(names) < 2:
	case names["jwt"] && names["oidc"]:
		c.report.Add(sessionUnsupported, a.Methods[1].Node, "API %s authenticates by JWT and by OpenID Connect: Tyk mixes the claims of both tokens", a.Title())
	case a.BaseIdentity.String() == "":
		c.report.Add(sessionUnsupported, a.Methods[1].Node, "API %s has several methods of authentication, and no base identity", a.Title())
	case !names[base]:
		c.report.Add(sessionUnsupported, a.BaseIdentity, "API %s takes the identity from %s, which is not among its methods", a.Title(), a.BaseIdentity.String())
	case names["custom"] && base != "custom" && base != "apiKeys":
		c.report.Add(sessionUnsupported, a.BaseIdentity, "API %s: the session of an authentication plugin replaces that of %s", a.Title(), a.BaseIdentity.String())
	}
}

// leadsToGuarded reports a target that is a guarded workload of the input, or without workloads a host in upstreams.
func (c *checker) leadsToGuarded(a *model.API) bool {
	if len(c.GuardedWorkloads()) == 0 {
		return c.leadsToUs(a)
	}
	return slices.ContainsFunc(a.Targets, func(t model.Target) bool {
		u := t.URL()
		return u != nil && c.IsGuardedHost(u.Hostname(), a.Namespace)
	})
}

// hasPublicEntry reports a document with public entries or optional identity for a workload of the API's targets.
func (c *checker) hasPublicEntry(a *model.API) bool {
	for _, t := range a.Targets {
		u := t.URL()
		if u == nil {
			continue
		}
		for _, h := range c.FindHosts(u.Hostname(), a.Namespace) {
			for _, w := range c.WorkloadsOf(h) {
				for _, d := range c.DocumentsFor(w) {
					if !d.Spec().Find("public").IsEmpty() || d.Spec().Find("identity").String() == "optional" {
						return true
					}
				}
			}
		}
	}
	return false
}

// contextHeader is a reference to a header of the request in a template.
var contextHeader = regexp.MustCompile(`(?i)tyk_context\.headers_(txn[_-]token|x[_-]meshpass[_a-z0-9-]*)|request[_.]?headers?.{0,4}(txn-token|x-meshpass-)|headers_(Txn_Token|X_Meshpass)`)

func (c *checker) checkHeaders(a *model.API) {
	for _, n := range a.AuthSources {
		if identity.IsReservedHeader(n.String()) {
			c.report.Add(authHeader, n, "API %s reads credentials from %s", a.Title(), n.String())
		}
	}
	if !c.leadsToUs(a) && !a.ListsHooks() {
		return
	}
	for _, h := range a.Headers {
		if h.Response {
			continue // no hop reads answers
		}
		switch {
		case identity.IsReservedHeader(h.Text):
			c.report.Add(transforms, h.Name, "API %s changes the header %s", a.Title(), h.Text)
		case contextHeader.MatchString(h.Value):
			c.report.Add(transforms, h.Name, "API %s copies a header of ours into %s", a.Title(), h.Text)
		}
	}
	for _, n := range a.Templates {
		if contextHeader.MatchString(n.String()) {
			c.report.Add(transforms, n, "API %s: a template reads a header of ours", a.Title())
		}
	}
	for _, list := range []*objects.Node{a.Root.FindFold("tag_headers"), a.Root.FindFold("middleware", "global", "trafficLogs", "tagHeaders")} {
		for _, n := range list.Entries() {
			if identity.IsReservedHeader(n.String()) {
				c.report.Add(transforms, n, "API %s writes the header %s into analytics", a.Title(), n.String())
			}
		}
	}
	for _, path := range [][]string{{"upstream_auth", "basic_auth", "header", "name"}, {"upstream", "authentication", "basicAuth", "header", "name"}, {"upstream", "authentication", "oauth", "clientCredentials", "header", "name"}} {
		if n := a.Root.FindFold(path...); identity.IsReservedHeader(n.String()) {
			c.report.Add(transforms, n, "API %s writes its own credential into %s", a.Title(), n.String())
		}
	}
}

func (c *checker) checkCopies(a *model.API) {
	if !a.ListsHooks() || a.IsCanary() {
		return
	}
	if a.Cache != nil && !c.isPermitted(a, func(p *model.Plugin) []string { return p.Config.Allow.ResponseCache }) {
		c.report.Add(responseCache, a.Cache, "API %s uses the response cache", a.Title())
	}
	permitted := c.isPermitted(a, func(p *model.Plugin) []string { return p.Config.Allow.DetailedRecording })
	switch g := c.GatewayOf(a); {
	case permitted:
	case a.Detailed != nil:
		c.report.Add(detailedRecording, a.Detailed, "API %s records requests in detail", a.Title())
	case g.IsOn("enable_analytics") && g.IsOn("analytics_config.enable_detailed_recording"):
		c.report.Add(detailedRecording, g.At("analytics_config.enable_detailed_recording"), "the gateway records requests in detail")
	}
}

// checkTargets compares the targets with upstreams of the plugin's file.
func (c *checker) checkTargets(a *model.API) {
	if !a.Runs(hooks.Sign) && !a.Runs(hooks.Guard) || a.Bundle != nil {
		return
	}
	if a.Discovery != nil {
		c.report.Add(dynamicDiscovery, a.Discovery, "API %s finds its hosts by service discovery", a.Title())
	}
	if a.GraphQL != nil {
		c.report.Add(dynamicDiscovery, a.GraphQL, "API %s has GraphQL data sources", a.Title())
	}
	if len(c.Plugins) == 0 {
		c.Set.AddNote("no configuration of the plugin is in the input: targets were not compared with upstreams")
		return
	}
	g := c.GatewayOf(a)
	for _, t := range a.Targets {
		t.Text = g.Resolve(t.Text)
		if isReference(t.Text) || t.HasVariableHost() || t.IsInternal() {
			continue // a value of another store, a captured host, or another API
		}
		if u := t.URL(); u == nil || !c.admits(u) {
			c.report.Add(upstreamOutside, t.Node, "API %s: %s %s is not in upstreams", a.Title(), t.What, redact.URL(t.Text))
		} else if proxy, from := environmentProxy(a, g, u); proxy != nil && !c.admits(proxy) {
			c.report.Add(upstreamOutside, from, "API %s: the proxy %s of the environment is not in upstreams, and NO_PROXY does not have %s", a.Title(), redact.URL(proxy.String()), u.Hostname())
		}
	}
}

// environmentProxy gives the proxy that Tyk takes from its environment for plain HTTP; nil: it takes no proxy. An API with a proxy of its own takes that.
func environmentProxy(a *model.API, g *model.TykGateway, u *url.URL) (proxy *url.URL, from *objects.Node) {
	if g == nil || u.Scheme != "http" || slices.ContainsFunc(a.Targets, func(t model.Target) bool { return t.What == "proxy_url" }) {
		return nil, nil
	}
	value := func(name string) *objects.Node {
		if n := g.Variables.Value(name); n != nil {
			return n
		}
		return g.Variables.Value(strings.ToLower(name))
	}
	from = value("HTTP_PROXY")
	config := httpproxy.Config{HTTPProxy: from.String(), NoProxy: value("NO_PROXY").String()}
	proxy, err := config.ProxyFunc()(u)
	if err != nil {
		return nil, nil
	}
	return proxy, from
}

// isReference reports a value of another store: Tyk reads env, secrets, vault and consul.
func isReference(text string) bool {
	return slices.ContainsFunc([]string{"env://", "secrets://", "vault://", "consul://"}, func(scheme string) bool { return strings.HasPrefix(text, scheme) })
}

func (c *checker) admits(u *url.URL) bool {
	return slices.ContainsFunc(c.Plugins, func(p *model.Plugin) bool { return p.Config.UpstreamHosts.Admit(u) })
}

// checkServing checks whether Tyk serves the API as it is defined.
func (c *checker) checkServing(a *model.API) {
	g := c.GatewayOf(a)
	if a.FromFile && a.Active.IsFalse() && !a.Internal && !g.IsOn("use_db_app_configs") {
		c.report.Add(inactiveServed, a.Active, "API %s is inactive in a file", a.Title())
	}
	if a.Domain != nil && g != nil && !g.IsOn("enable_custom_domains") {
		c.report.Add(domainIgnored, a.Domain, "API %s answers on every host, and not only on %s", a.Title(), a.Domain.String())
	}
}

// quote bounds what a message repeats.
func quote(text string) string { return fmt.Sprintf("%.80q", text) }
