package tykapi

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

	"github.com/meshpass/meshpass/internal/redact"
	"github.com/meshpass/meshpass/shared/forward"
)

// targets is what Tyk reads when it decides, after the last hook, where a request goes. Targets that
// are written in the definition are checked when the API is first used; these depend on the request.
type targets struct {
	internal  bool // target_url is another API of this gateway
	rewrites  bool // URL rewriting may name another host
	keepsHost bool // the client's Host goes upstream, and proxies route by it
	ownProxy  bool // proxy_url takes the place of the environment's proxy
}

// EnvironmentProxy is how Tyk finds the proxy of an API without proxy_url. Tests replace it, because
// the standard library reads the environment only once.
var EnvironmentProxy = http.ProxyFromEnvironment

// internalHeader is in the form of [http.Header], so that a look-up makes no other text.
var internalHeader = http.CanonicalHeaderKey(apidef.TykInternalApiHeader)

// internalScheme starts the URLs of APIs of this gateway.
const internalScheme = "tyk"

// targetsOf rejects a definition with a target that tokens must not be sent to. It reports all such
// targets together.
func targetsOf(d *apidef.APIDefinition, upstreams forward.Hosts) (targets, error) {
	var wrong []error
	check := func(what, target string) {
		if u, err := url.Parse(target); err != nil || !upstreams.Admit(u) {
			wrong = append(wrong, fmt.Errorf("%s %s: the host is not in upstreams", what, redact.URL(target)))
		}
	}
	t := targets{
		internal: schemeOf(d.Proxy.TargetURL) == internalScheme, rewrites: hasRewrites(d),
		keepsHost: d.Proxy.PreserveHostHeader, ownProxy: d.Proxy.Transport.ProxyURL != "",
	}
	checkTarget := func(what, target string) {
		check(what, target)
		if u, err := url.Parse(target); err == nil {
			if proxy := t.plaintextProxy(u); proxy != nil {
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
		wrong = append(wrong, errors.New("service_discovery: the hosts that it will name cannot be checked"))
	}
	if d.GraphQL.Enabled && d.GraphQL.ExecutionMode != apidef.GraphQLExecutionModeProxyOnly && d.GraphQL.ExecutionMode != apidef.GraphQLExecutionModeSubgraph {
		wrong = append(wrong, errors.New("graphql: its data sources have targets of their own"))
	}
	return t, errors.Join(wrong...)
}

// plaintextProxy is the proxy of the gateway's environment (HTTP_PROXY, NO_PROXY) that could read a
// request to the target; nil: no proxy could. A proxy cannot read encrypted requests.
func (t targets) plaintextProxy(target *url.URL) *url.URL {
	if t.ownProxy || target.Scheme != "http" && target.Scheme != "ws" {
		return nil
	}
	plain := *target
	plain.Scheme = "http" // as Tyk sends a WebSocket
	proxy, err := EnvironmentProxy(&http.Request{URL: &plain})
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

// findDestination repeats Tyk's own decision where the request goes. An internal request goes through the
// chain of another API, which signs for itself. hosts are those that must be in upstreams. The URL that
// Tyk sets for a request that reenters the chain is not one of them.
func (t targets) findDestination(r *http.Request, reenters bool) (hosts []*url.URL, internal bool) {
	target := r.URL
	if rewritten, _ := r.Context().Value(ctx.UrlRewriteTarget).(*url.URL); rewritten != nil && !reenters {
		target = rewritten
	}
	// Tyk treats each of these as an internal request, also if the client wrote the header.
	if t.internal || target.Scheme == internalScheme || r.Header.Get(internalHeader) != "" {
		return nil, true
	}
	if t.rewrites && r.Context().Value(ctx.RetainHost) == true {
		hosts = append(hosts, target)
		if proxy := t.plaintextProxy(target); proxy != nil {
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
