package model

import (
	"net/url"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
	"github.com/meshpass/meshpass/internal/gateway/settings"
)

// Form is a form of API definitions.
type Form string

// The forms.
const (
	Classic Form = "classic"
	OpenAPI Form = "oas"
)

// API is an API definition of Tyk, in either form.
type API struct {
	Form         Form
	ID, Name     string
	Root         *objects.Node // the classic definition, or x-tyk-api-gateway
	Document     *objects.Node // the OpenAPI document
	Content      *objects.Content
	Object       *objects.Object // of Tyk Operator; nil: a file
	Namespace    string
	FromFile     bool // Tyk loads it from its folder
	IsPair       bool // a classic file that has an OpenAPI form beside it
	Pair         *API // the other form of the same API; nil: absent
	ListenPath   *objects.Node
	StripsPath   bool
	Domain       *objects.Node // nil: absent, or disabled
	Keyless      bool
	AuthNode     *objects.Node // for findings about keyless access
	MutualTLS    bool
	Active       *objects.Node
	Internal     bool
	ContextVars  bool
	Driver       *objects.Node
	Bundle       *objects.Node // nil: no bundle is active
	Protocol     *objects.Node
	Options      *objects.Node // options_passthrough, if it is active
	Cache        *objects.Node // if the response cache is active
	Detailed     *objects.Node // if detailed recording is active
	Discovery    *objects.Node // if a discovery service is active
	GraphQL      *objects.Node // if GraphQL has data sources of its own
	Targets      []Target
	Hooks        hooks.Listed
	HookNodes    map[hooks.List][]*objects.Node
	AuthSources  []*objects.Node // names of headers, cookies and parameters with credentials
	Headers      []HeaderChange
	Templates    []*objects.Node // texts that may name context variables
	Endpoints    []Endpoint
	Children     []*objects.Node // ids of APIs that are versions of this one
	Methods      []Method
	PolicyIDs    []*objects.Node // policies that the definition gives to callers
	Scopes       []string        // of callers that it maps to policies
	IgnoreCase   bool
	OptionalUser bool // config_data.meshpass.identity: optional

	Narrowing       *objects.Node // config_data.meshpass; nil: absent
	DataDisabled    bool          // of config_data
	Org             *objects.Node
	Port            *objects.Node   // of its own listener; nil: it is that of the gateway
	KeepsHost       *objects.Node   // if the client's Host goes to the upstream
	Expires         []*objects.Node // times after which Tyk denies requests
	Versions        []*objects.Node // of the old form, by name
	NotVersioned    bool
	VersionData     *objects.Node // of the old form
	Unused          []Unused
	DefaultPolicies []*objects.Node // that each caller with a JWT has together
	ClientIDs       []*objects.Node // of OpenID Connect: base64 of a client, with the policy as value
	BaseIdentity    *objects.Node
}

// Unused is a part of a definition that Tyk does not read.
type Unused struct {
	Node *objects.Node
	Why  string
}

// Target is a URL that an API may send requests to.
type Target struct {
	What string // the member
	Text string // the URL as Tyk reads it
	Node *objects.Node
}

// URL parses the target; nil: it is no URL.
func (t Target) URL() *url.URL {
	u, err := url.Parse(t.Text)
	if err != nil {
		return nil
	}
	return u
}

// HasVariableHost reports a target whose host Tyk fills in with each request, such as http://$1/.
func (t Target) HasVariableHost() bool {
	_, rest, _ := strings.Cut(t.Text, "://")
	authority, _, _ := strings.Cut(rest, "/")
	return strings.Contains(authority, "$")
}

// IsInternal reports a target that is another API of the gateway.
func (t Target) IsInternal() bool { return strings.HasPrefix(t.Text, "tyk://") }

// HeaderChange is a header that the definition adds or removes.
type HeaderChange struct {
	Name     *objects.Node // with the name as value, or as key
	Text     string
	Value    string // of an added header
	Response bool
}

// EndpointKind is what a definition does with requests to an endpoint.
type EndpointKind string

// The kinds of endpoints.
const (
	Ignored   EndpointKind = "ignored"
	Allowed   EndpointKind = "allowed"
	Blocked   EndpointKind = "blocked"
	Mocked    EndpointKind = "mock response"
	Rewritten EndpointKind = "URL rewriting"
	Other     EndpointKind = "endpoint"
)

// Endpoint is a pattern of paths.
type Endpoint struct {
	Kind    EndpointKind
	Pattern string
	Node    *objects.Node // the pattern, or the operation
	Regex   bool          // the pattern is a regular expression by itself, as in URL rewriting
}

// Method is a way of an API to authenticate callers.
type Method struct {
	Name    string // as in the plugin's file: jwt, oidc, apiKeys, oauth, basic, hmac, mtls, custom, external
	Node    *objects.Node
	Issuers []*objects.Node // of providers, and sources of their keys
	Grants  bool            // of jwt and oidc: the definition gives Tyk policies to callers
}

// Title names the API.
func (a *API) Title() string {
	if a.ID == "" {
		return a.Name
	}
	return a.ID
}

// Runs reports whether a hook of ours runs in its own list.
func (a *API) Runs(hook string) bool {
	return slices.Contains(a.Hooks.Working()[hooks.ListOf[hook]], hook)
}

// ListsHooks reports whether the definition names a hook that protects an API, in any list.
func (a *API) ListsHooks() bool {
	for _, entries := range a.Hooks {
		for _, e := range entries {
			if _, ours := hooks.ListOf[e.Name]; ours && !e.Disabled {
				return true
			}
		}
	}
	return false
}

// IsCanary reports whether the canary answers every request of the API: by its hook, or by a setting, as with a bundle.
func (a *API) IsCanary() bool {
	if a.Narrowing.Find("canary").IsTrue() && !a.DataDisabled && (a.Bundle != nil || a.Runs(hooks.Strip)) {
		return true
	}
	return a.Driver.String() == hooks.Driver && slices.ContainsFunc(a.Hooks[hooks.Pre], func(e hooks.Entry) bool { return e.Name == hooks.Canary && !e.Disabled && e.Path != "" })
}

// ListenPathText is the listen path; "/" if it is absent.
func (a *API) ListenPathText() string {
	if text := a.ListenPath.String(); text != "" {
		return text
	}
	return "/"
}

// hook adds an entry of a list.
func (a *API) addHook(list hooks.List, n *objects.Node, name, path string, disabled bool) {
	if n.IsEmpty() {
		return
	}
	a.Hooks[list] = append(a.Hooks[list], hooks.Entry{Name: n.FindFold(name).String(), Path: n.FindFold(path).String(), Disabled: disabled})
	a.HookNodes[list] = append(a.HookNodes[list], n)
}

func newAPI(form Form, root *objects.Node, c *objects.Content, o *objects.Object) *API {
	a := &API{Form: form, Root: root, Content: c, Object: o, Hooks: hooks.Listed{}, HookNodes: map[hooks.List][]*objects.Node{}}
	switch {
	case o != nil:
		a.Namespace = o.Namespace
	case c != nil:
		a.Namespace, a.FromFile = c.Namespace, true
	}
	return a
}

// readClassic reads a classic definition (apidef.APIDefinition of Tyk 5.8).
func readClassic(root *objects.Node, c *objects.Content, o *objects.Object) *API {
	a := newAPI(Classic, root, c, o)
	get := root.FindFold
	a.ID, a.Name = get("api_id").String(), get("name").String()
	if o != nil && a.ID == "" {
		a.ID = o.Name
	}
	a.IsPair = get("is_oas").IsTrue()
	a.ListenPath, a.StripsPath = get("proxy", "listen_path"), get("proxy", "strip_listen_path").IsTrue()
	if domain := get("domain"); domain.String() != "" && !get("domain_disabled").IsTrue() {
		a.Domain = domain
	}
	a.Keyless, a.MutualTLS = get("use_keyless").IsTrue(), get("use_mutual_tls_auth").IsTrue()
	a.AuthNode = get("use_keyless")
	a.Active, a.Internal = get("active"), get("internal").IsTrue()
	a.ContextVars = get("enable_context_vars").IsTrue()
	a.Driver, a.Protocol = get("custom_middleware", "driver"), get("protocol")
	if bundle := get("custom_middleware_bundle"); bundle.String() != "" && !get("custom_middleware_bundle_disabled").IsTrue() {
		a.Bundle = bundle
	}
	if get("CORS", "options_passthrough").IsTrue() { // Tyk reads it without CORS.enable too
		a.Options = get("CORS", "options_passthrough")
	}
	if get("cache_options", "enable_cache").IsTrue() && (get("cache_options", "cache_all_safe_requests").IsTrue() || cachesEndpoints(get("version_data", "versions"))) {
		a.Cache = get("cache_options", "enable_cache")
	}
	if get("enable_detailed_recording").IsTrue() {
		a.Detailed = get("enable_detailed_recording")
	}
	if get("proxy", "service_discovery", "use_discovery_service").IsTrue() {
		a.Discovery = get("proxy", "service_discovery", "use_discovery_service")
	}
	if mode := get("graphql", "execution_mode").String(); get("graphql", "enabled").IsTrue() && mode != "proxyOnly" && mode != "subgraph" {
		a.GraphQL = get("graphql", "enabled")
	}
	a.readClassicHooks()
	a.readClassicTargets()
	a.readClassicMethods()
	a.readClassicVersions()
	a.Narrowing, a.DataDisabled = get("config_data").Find(settings.NarrowingKey), get("config_data_disabled").IsTrue()
	a.OptionalUser = a.Narrowing.Find("identity").String() == "optional" && !a.DataDisabled
	a.Org, a.BaseIdentity = get("org_id"), get("base_identity_provided_by")
	a.setPort(get("listen_port"))
	a.addExpiry(get("expiration"))
	if keeps := get("proxy", "preserve_host_header"); keeps.IsTrue() {
		a.KeepsHost = keeps
	}
	return a
}

// cachesEndpoints reports an endpoint whose answers are cached. Without one, and without cache_all_safe_requests, the cache is on and unused.
func cachesEndpoints(versions *objects.Node) bool {
	return slices.ContainsFunc(versions.Members(), func(v *objects.Node) bool {
		advanced := v.FindFold("extended_paths", "advance_cache_config").Entries()
		return !v.FindFold("extended_paths", "cache").IsEmpty() || slices.ContainsFunc(advanced, func(n *objects.Node) bool { return !n.FindFold("disabled").IsTrue() })
	})
}

func (a *API) setPort(n *objects.Node) {
	if n.Int() != 0 {
		a.Port = n
	}
}

// addExpiry adds a time; Tyk reads "" and -1 as never.
func (a *API) addExpiry(n *objects.Node) {
	if text := n.String(); text != "" && text != "-1" {
		a.Expires = append(a.Expires, n)
	}
}

// readManifest reads the manifest of a bundle, whose hooks replace those of a definition.
func readManifest(c *objects.Content) *API {
	a := newAPI(Classic, c.Root, c, nil)
	a.Driver = c.Root.Find("custom_middleware").Find("driver")
	a.readClassicHooks()
	return a
}

func (a *API) readClassicHooks() {
	section := a.Root.FindFold("custom_middleware")
	for list, key := range map[hooks.List]string{hooks.Pre: "pre", hooks.PostAuth: "post_key_auth", hooks.Post: "post", hooks.Response: "response"} {
		for _, n := range section.FindFold(key).Entries() {
			a.addHook(list, n, "name", "path", n.FindFold("disabled").IsTrue())
		}
	}
	check := section.FindFold("auth_check")
	if check.FindFold("name").String() != "" {
		a.addHook(hooks.AuthCheck, check, "name", "path", check.FindFold("disabled").IsTrue())
	}
}

func (a *API) readClassicTargets() {
	proxy := a.Root.FindFold("proxy")
	a.addTarget("proxy_url", proxy.FindFold("transport", "proxy_url"))
	list := proxy.FindFold("target_list").Entries()
	if !proxy.FindFold("enable_load_balancing").IsTrue() {
		a.addTarget("target_url", proxy.FindFold("target_url"))
		return
	}
	for _, n := range list {
		a.addTarget("target_list", n)
	}
}

func (a *API) addTarget(what string, n *objects.Node) {
	text := strings.TrimSpace(n.String())
	if text == "" {
		return
	}
	if what == "target_list" && !strings.Contains(text, "://") {
		text = "http://" + text
	}
	a.Targets = append(a.Targets, Target{What: what, Text: text, Node: n})
}

func (a *API) readClassicMethods() {
	get := a.Root.FindFold
	scopes := !get("jwt_scope_to_policy_mapping").IsEmpty() || !get("scopes", "jwt", "scope_to_policy").IsEmpty() || !get("scopes", "oidc", "scope_to_policy").IsEmpty()
	add := func(flag *objects.Node, name string, issuers ...*objects.Node) {
		if flag.IsTrue() {
			grants := scopes || name != "jwt" || !get("jwt_default_policies").IsEmpty() || get("jwt_policy_field_name").String() != "" || get("jwt_client_base_field").String() != ""
			if name == "oidc" {
				grants = scopes || len(a.ClientIDs) > 0
			}
			a.Methods = append(a.Methods, Method{Name: name, Node: flag, Grants: grants, Issuers: slices.DeleteFunc(issuers, func(n *objects.Node) bool { return n.String() == "" })})
		}
	}
	if !a.Keyless {
		jwt := []*objects.Node{get("jwt_source")}
		for _, uri := range get("jwt_jwks_uris").Entries() {
			jwt = append(jwt, uri.FindFold("url"))
		}
		add(get("enable_jwt"), "jwt", jwt...)
		var issuers []*objects.Node
		for _, p := range get("openid_options", "providers").Entries() {
			issuers = append(issuers, p.FindFold("issuer"))
			a.PolicyIDs = append(a.PolicyIDs, p.FindFold("client_ids").Members()...)
			a.ClientIDs = append(a.ClientIDs, p.FindFold("client_ids").Members()...)
		}
		add(get("use_openid"), "oidc", issuers...)
		add(get("use_standard_auth"), "apiKeys")
		add(get("use_oauth2"), "oauth")
		add(get("use_basic_auth"), "basic")
		add(get("enable_signature_checking"), "hmac")
		add(get("enable_coprocess_auth"), "custom")
		add(get("use_go_plugin_auth"), "custom")
		add(get("custom_plugin_auth_enabled"), "custom")
		add(get("external_oauth", "enabled"), "external")
	} else if a.MutualTLS {
		a.Methods = append(a.Methods, Method{Name: "mtls", Node: get("use_mutual_tls_auth")})
	}
	addSource := func(config *objects.Node) {
		if !config.FindFold("disable_header").IsTrue() {
			a.addSource(config.FindFold("auth_header_name"))
		}
		if config.FindFold("use_param").IsTrue() {
			a.addSource(config.FindFold("param_name"))
		}
		if config.FindFold("use_cookie").IsTrue() {
			a.addSource(config.FindFold("cookie_name"))
		}
		if config.FindFold("validate_signature").IsTrue() {
			a.addSource(config.FindFold("signature", "header"))
		}
	}
	addSource(get("auth"))
	for _, config := range get("auth_configs").Members() {
		addSource(config)
	}
	a.DefaultPolicies = get("jwt_default_policies").Entries()
	a.PolicyIDs = append(a.PolicyIDs, a.DefaultPolicies...)
	for _, mapping := range []*objects.Node{get("jwt_scope_to_policy_mapping"), get("scopes", "jwt", "scope_to_policy"), get("scopes", "oidc", "scope_to_policy")} {
		for _, n := range mapping.Members() {
			a.PolicyIDs, a.Scopes = append(a.PolicyIDs, n), append(a.Scopes, n.Key)
		}
	}
}

func (a *API) addSource(n *objects.Node) {
	if n.String() != "" {
		a.AuthSources = append(a.AuthSources, n)
	}
}

// readClassicVersions reads what each version changes. Tyk ignores extended_paths without use_extended_paths.
func (a *API) readClassicVersions() {
	data := a.Root.FindFold("version_data")
	a.VersionData = data
	a.Versions, a.NotVersioned = data.FindFold("versions").Members(), data.FindFold("not_versioned").IsTrue()
	for _, v := range a.Versions {
		a.addExpiry(v.FindFold("expires"))
		a.findUnusedLists(v)
		if target := v.FindFold("override_target"); target.String() != "" {
			a.Targets = append(a.Targets, Target{What: "override_target of version " + v.Key, Text: target.String(), Node: target})
		}
		if !v.FindFold("global_headers_disabled").IsTrue() {
			a.addHeaders(v.FindFold("global_headers"), v.FindFold("global_headers_remove"), false)
		}
		if !v.FindFold("global_response_headers_disabled").IsTrue() {
			a.addHeaders(v.FindFold("global_response_headers"), v.FindFold("global_response_headers_remove"), true)
		}
		a.IgnoreCase = a.IgnoreCase || v.FindFold("ignore_endpoint_case").IsTrue()
		if v.FindFold("use_extended_paths").IsTrue() {
			a.readExtendedPaths(v.FindFold("extended_paths"))
			continue
		}
		for kind, key := range map[EndpointKind]string{Ignored: "ignored", Allowed: "white_list", Blocked: "black_list"} {
			for _, n := range v.FindFold("paths", key).Entries() {
				a.Endpoints = append(a.Endpoints, Endpoint{Kind: kind, Pattern: n.String(), Node: n})
			}
		}
	}
	if a.Root.FindFold("definition", "enabled").IsTrue() {
		for _, n := range a.Root.FindFold("definition", "versions").Members() {
			if n.String() != a.ID {
				a.Children = append(a.Children, n)
			}
		}
	}
}

// findUnusedLists finds lists of endpoints that Tyk does not read: use_extended_paths chooses between two forms.
func (a *API) findUnusedLists(v *objects.Node) {
	form, why := "extended_paths", "use_extended_paths is not true"
	if v.FindFold("use_extended_paths").IsTrue() {
		form, why = "paths", "use_extended_paths is true"
	}
	for _, list := range v.FindFold(form).Members() {
		if !list.IsEmpty() {
			a.Unused = append(a.Unused, Unused{list, why})
		}
	}
}

func (a *API) addHeaders(add, remove *objects.Node, response bool) {
	for _, n := range add.Members() {
		a.Headers = append(a.Headers, HeaderChange{Name: n, Text: n.Key, Value: n.String(), Response: response})
	}
	for _, n := range remove.Entries() {
		a.Headers = append(a.Headers, HeaderChange{Name: n, Text: n.String(), Response: response})
	}
}

func (a *API) readExtendedPaths(paths *objects.Node) {
	for _, list := range paths.Members() {
		key := strings.ToLower(list.Key)
		for _, n := range list.Entries() {
			if n.Kind == objects.Text { // cache
				a.Endpoints = append(a.Endpoints, Endpoint{Kind: Other, Pattern: n.String(), Node: n})
				continue
			}
			if n.FindFold("disabled").IsTrue() || n.FindFold("enabled").IsFalse() {
				continue
			}
			kind := map[string]EndpointKind{"ignored": Ignored, "white_list": Allowed, "black_list": Blocked, "mock_response": Mocked, "url_rewrites": Rewritten}[key]
			if kind == "" {
				kind = Other
			}
			if path := n.FindFold("path"); path != nil {
				a.Endpoints = append(a.Endpoints, Endpoint{Kind: kind, Pattern: path.String(), Node: path})
			}
			switch key {
			case "transform_headers", "transform_response_headers":
				a.addHeaders(n.FindFold("add_headers"), n.FindFold("delete_headers"), key != "transform_headers")
			case "transform":
				a.Templates = append(a.Templates, n.FindFold("template_data", "template_source"))
			case "url_rewrites":
				a.addRewrite(n, "match_pattern", "rewrite_to")
			case "go_plugin":
				a.addHook(hooks.Endpoints, n, "func_name", "plugin_path", n.FindFold("disabled").IsTrue())
			}
		}
	}
}

func (a *API) addRewrite(n *objects.Node, pattern, to string) {
	if p := n.FindFold(pattern); p.String() != "" {
		a.Endpoints = append(a.Endpoints, Endpoint{Kind: Rewritten, Pattern: p.String(), Node: p, Regex: true})
	}
	add := func(target *objects.Node) {
		if strings.Contains(target.String(), "://") {
			a.Targets = append(a.Targets, Target{What: "rewrite_to", Text: target.String(), Node: target})
		}
	}
	add(n.FindFold(to))
	a.Templates = append(a.Templates, n.FindFold(to))
	for _, trigger := range n.FindFold("triggers").Entries() {
		add(trigger.FindFold(to))
		a.Templates = append(a.Templates, trigger.FindFold(to))
		trigger.Walk(func(n *objects.Node) bool {
			isPattern := strings.EqualFold(n.Key, "match_rx") || strings.EqualFold(n.Key, "pattern")
			if isPattern && n.String() != "" {
				a.Endpoints = append(a.Endpoints, Endpoint{Kind: Rewritten, Pattern: n.String(), Node: n, Regex: true})
			}
			return true
		})
	}
}
