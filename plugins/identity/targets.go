package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/ctx"
)

// targets is what Tyk asks when it decides, after the last hook, where a request
// goes. The targets that stand in the definition are checked when the API is
// first seen; these can only be judged with the request.
type targets struct {
	internal  bool // target_url is another API of this gateway
	rewrites  bool // URL rewriting may name another host
	keepsHost bool // the client's Host goes upstream, and proxies route by it
	ownProxy  bool // proxy_url takes the place of the environment's proxy
}

// environmentProxy is whom Tyk asks where an API has no proxy_url.
var environmentProxy = http.ProxyFromEnvironment

// internalScheme starts the URLs of APIs of this gateway.
const internalScheme = "tyk"

// targetsOf refuses a definition with a target that tokens must not go to: all
// such targets are reported together.
func (c *config) targetsOf(d *apidef.APIDefinition) (targets, error) {
	var wrong []error
	check := func(what, target string) {
		if u, err := url.Parse(target); err != nil || !c.upstreams.Admit(u) {
			wrong = append(wrong, fmt.Errorf("%s %s: the host is not in upstreams", what, redacted(target)))
		}
	}
	t := targets{
		internal: schemeOf(d.Proxy.TargetURL) == internalScheme, rewrites: hasRewrites(d),
		keepsHost: d.Proxy.PreserveHostHeader, ownProxy: d.Proxy.Transport.ProxyURL != "",
	}
	checkTarget := func(what, target string) {
		check(what, target)
		if u, err := url.Parse(target); err == nil {
			if proxy := t.readerBefore(u); proxy != nil {
				check("the environment's proxy for "+what, proxy.String())
			}
		}
	}
	if !t.internal && !d.Proxy.EnableLoadBalancing {
		checkTarget("target_url", d.Proxy.TargetURL)
	}
	if d.Proxy.EnableLoadBalancing {
		for _, target := range d.Proxy.Targets {
			checkTarget("target_list", withScheme(target))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.VersionData.Versions)) {
		if target := d.VersionData.Versions[name].OverrideTarget; target != "" {
			checkTarget("override_target of version "+name, target)
		}
	}
	if proxy := d.Proxy.Transport.ProxyURL; proxy != "" {
		check("proxy_url", proxy)
	}
	if d.Proxy.ServiceDiscovery.UseDiscoveryService {
		wrong = append(wrong, errors.New("service_discovery: whom it will name cannot be checked"))
	}
	if d.GraphQL.Enabled && d.GraphQL.ExecutionMode != apidef.GraphQLExecutionModeProxyOnly && d.GraphQL.ExecutionMode != apidef.GraphQLExecutionModeSubgraph {
		wrong = append(wrong, errors.New("graphql: its data sources have targets of their own"))
	}
	return t, errors.Join(wrong...)
}

// readerBefore is the proxy of the gateway's environment (HTTP_PROXY, NO_PROXY) that
// would read a request to the target; nil: none. What is encrypted it passes on blindly.
func (t targets) readerBefore(target *url.URL) *url.URL {
	if t.ownProxy || target.Scheme != "http" && target.Scheme != "ws" {
		return nil
	}
	plain := *target
	plain.Scheme = "http" // as Tyk sends a WebSocket
	proxy, err := environmentProxy(&http.Request{URL: &plain})
	if err != nil {
		return nil // a proxy that is no URL: Tyk cannot send the request either
	}
	return proxy
}

func hasRewrites(d *apidef.APIDefinition) bool {
	for _, version := range d.VersionData.Versions {
		if slices.ContainsFunc(version.ExtendedPaths.URLRewrite, func(m apidef.URLRewriteMeta) bool { return !m.Disabled }) {
			return true
		}
	}
	return false
}

// leads follows Tyk's own decision. An internal request goes through another
// API's chain, which signs for itself; hosts are those that must be in upstreams.
func (t targets) leads(r *http.Request) (hosts []*url.URL, internal bool) {
	target := r.URL
	if rewritten, _ := r.Context().Value(ctx.UrlRewriteTarget).(*url.URL); rewritten != nil && !callsMCP(r) {
		target = rewritten
	}
	// Tyk takes either for an internal request, whoever wrote it.
	if t.internal || target.Scheme == internalScheme || r.Header.Get(apidef.TykInternalApiHeader) != "" {
		return nil, true
	}
	if t.rewrites && r.Context().Value(ctx.RetainHost) == true {
		hosts = append(hosts, target)
		if proxy := t.readerBefore(target); proxy != nil {
			hosts = append(hosts, proxy)
		}
	}
	if t.keepsHost {
		hosts = append(hosts, &url.URL{Scheme: "http", Host: r.Host})
	}
	return hosts, false
}

// withScheme reads an entry of a load-balancing list as Tyk does.
func withScheme(target string) string {
	if target = strings.TrimSpace(target); !strings.Contains(target, "://") {
		return "http://" + target
	}
	return target
}

func schemeOf(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return u.Scheme
}

// redacted is for logs: a target may hold a password.
func redacted(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}
