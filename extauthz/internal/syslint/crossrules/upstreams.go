package crossrules

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/forward"
)

var (
	upstreamUnknown = registry.Define("upstream_unknown", finding.Error,
		"The target of an API, or an address of the authorizer's configuration, is no Service of the input, or a port that its Service does not have.",
		"Every request of the API fails: 500 or 503. Keys, revocations or spans do not arrive.",
		"Write NAME.NAMESPACE.svc.cluster.local and a port of the Service.")
	upstreamProtocol = registry.Define("upstream_protocol", finding.Error,
		"The target of an API is https and the port of its Service plain HTTP, or the other way round.",
		"Every request of the API fails: the workload, or its sidecar, gets bytes of the other protocol.",
		"Write http for Services of the mesh: sidecars encrypt.")
	upstreamUnused = registry.Define("upstream_unused", finding.Warning,
		"An entry of upstreams of the plugin's file has no host that an API leads to.",
		"Nothing needs it: an API that is changed later could send tokens there.",
		"Remove the entry, or correct it.")
	pluginAPIUnknown = registry.Define("plugin_api_unknown", finding.Error,
		"A list of APIs in the plugin's file names an API that no definition is.",
		"The permission has no effect, and a later API with this id has it.",
		"Write the api_id of a definition, or remove the entry.")
	clientAudience = registry.Define("client_audience_unmapped", finding.Warning,
		"Tyk admits a client of OpenID Connect that is not among the audiences of its provider in the plugin's file, or whose id is no base64.",
		"The plugin denies its tokens, unless they have another audience too; Tyk never matches an id that is no base64.",
		"Write the client into audiences of the provider under idps, or remove it from the definition.")
	keyWithoutSubject = registry.Define("key_without_subject", finding.Error,
		"A Tyk key does not have the metadata that names its user, and neither do its policies.",
		"The plugin denies every request with this key (subject_unknown).",
		"Write the field that subject of the plugin's file names into meta_data.")
)

// forwarded are the schemes of targets that are written in the definition.
var forwarded = []string{"http", "https", "h2c", "ws", "wss"}

// checkUpstreams looks the targets of APIs up among the Services, and the entries of upstreams among the targets.
func (c *checker) checkUpstreams() {
	used := map[string]bool{}
	dynamic := false
	for _, a := range c.ServedAPIs() {
		if a.IsCanary() {
			continue
		}
		g := c.GatewayOf(a)
		dynamic = dynamic || a.Discovery != nil || a.GraphQL != nil || a.KeepsHost != nil || a.Bundle != nil
		for _, t := range a.Targets {
			t.Text = g.Resolve(t.Text)
			u := t.URL()
			if u == nil || !slices.Contains(forwarded, u.Scheme) || t.HasVariableHost() {
				dynamic = dynamic || !t.IsInternal()
				continue
			}
			used[t.Text] = true
			if t.What != "proxy_url" {
				c.checkTargetHost(a, t, u)
			}
		}
	}
	if dynamic || len(used) == 0 {
		return
	}
	for _, p := range c.Plugins {
		for i, n := range p.Root.Find("upstreams").Entries() {
			if i < len(p.Config.UpstreamHosts) && !admitsAny(p.Config.UpstreamHosts[i:i+1], used) {
				c.report.Add(upstreamUnused, n, "no API leads to %s", n.String())
			}
		}
	}
}

func admitsAny(hosts forward.Hosts, targets map[string]bool) bool {
	for text := range targets {
		if u, err := url.Parse(text); err == nil && hosts.Admit(u) {
			return true
		}
	}
	return false
}

// checkTargetHost looks a Service of the cluster up.
func (c *checker) checkTargetHost(a *model.API, t model.Target, u *url.URL) {
	if !strings.Contains(u.Hostname(), ".svc") && a.Namespace == "" && !strings.Contains(u.Hostname(), ".") {
		return
	}
	port := map[string]int{"https": 443, "wss": 443}[u.Scheme]
	if port == 0 {
		port = 80
	}
	if number, err := strconv.Atoi(u.Port()); err == nil {
		port = number
	}
	host := c.findAddress(t.Node, "API "+a.Title()+": "+t.What, u.Hostname(), a.Namespace, port)
	if host == nil {
		return
	}
	node := host.FindPort(port)
	name, _, _ := strings.Cut(strings.ToLower(node.Find("appProtocol").String()+node.Find("name").String()), "-")
	encrypted := u.Scheme == "https" || u.Scheme == "wss"
	switch protocol := model.ProtocolOf(node); {
	case encrypted && (protocol == model.HTTP || protocol == model.HTTP2):
		c.report.Add(upstreamProtocol, t.Node, "API %s: the target is %s, and port %d of %s is plain HTTP", a.Title(), u.Scheme, port, host.Object.Title())
	case !encrypted && (name == "https" || name == "tls"):
		c.report.Add(upstreamProtocol, t.Node, "API %s: the target is %s, and port %d of %s is %s", a.Title(), u.Scheme, port, host.Object.Title(), name)
	}
}

// findAddress looks a Service of the cluster and a port of it up. A namespace without Services in the input may have them elsewhere, unless the
// name resembles that of one.
func (c *checker) findAddress(at *objects.Node, what, host, namespace string, port int) *model.Host {
	hosts := c.FindHosts(host, namespace)
	name, namespace, isService := c.SplitServiceName(host, namespace)
	if !isService || len(c.Hosts) == 0 {
		return nil
	}
	if len(hosts) == 0 {
		full := name + "." + namespace + ".svc." + c.ClusterDomain
		var names []string
		known := false
		for _, h := range c.Hosts {
			names = append(names, h.Name)
			known = known || h.Namespace == namespace && h.Object.Kind == "Service"
		}
		if near := suggest.DidYouMean(full, names); known || near != "" {
			c.report.Add(upstreamUnknown, at, "%s %s is no Service%s", what, full, near)
		}
		return nil
	}
	i := slices.IndexFunc(hosts, func(h *model.Host) bool { return h.FindPort(port) != nil })
	if i < 0 {
		c.report.Add(upstreamUnknown, at, "%s: %s has no port %d%s", what, hosts[0].Object.Title(), port, describePorts(hosts[0].Ports))
		return nil
	}
	return hosts[i]
}

// checkAddresses looks up the Services of key sets, of Redis and of the collector of spans.
func (c *checker) checkAddresses() {
	for _, a := range c.Authorizers {
		for _, n := range []*objects.Node{a.Root.FindPath("revocation", "redis", "address"), a.Root.FindPath("tracing", "otlp", "endpoint")} {
			if host, port, err := net.SplitHostPort(n.String()); err == nil && strings.Contains(host, ".svc") {
				number, _ := strconv.Atoi(port)
				c.findAddress(n, n.Parent().Key+"."+n.Key, host, "", number)
			}
		}
		for _, t := range a.Trust {
			n := t.Node.FindPath("jwks", "url")
			if u, err := url.Parse(n.String()); err == nil && strings.Contains(u.Hostname(), ".svc") {
				port := map[string]int{"https": 443, "http": 80}[u.Scheme]
				if number, err := strconv.Atoi(u.Port()); err == nil {
					port = number
				}
				c.findAddress(n, "jwks.url", u.Hostname(), "", port)
			}
		}
	}
}

func describePorts(ports []*objects.Node) string {
	var all []string
	for _, p := range ports {
		all = append(all, cmp.Or(p.Find("port").String(), p.Find("number").String()))
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("; it has %s", strings.Join(all, ", "))
}

// checkPluginAPIs looks up the APIs that the plugin's file names in its permissions.
func (c *checker) checkPluginAPIs() {
	if len(c.APIs) == 0 {
		return
	}
	for _, p := range c.Plugins {
		for _, list := range p.Root.Find("allow").Members() {
			for _, n := range list.Entries() {
				if c.FindAPI(n.String()) == nil {
					c.report.Add(pluginAPIUnknown, n, "allow.%s names the API %s, which no definition is%s", list.Key, n.String(), suggest.DidYouMean(n.String(), c.apiIDs()))
				}
			}
		}
	}
}

// checkOpenIDClients compares the clients of OpenID Connect with the audiences of their provider.
func (c *checker) checkOpenIDClients() {
	for _, a := range c.ServedAPIs() {
		if !a.Runs(hooks.Sign) {
			continue
		}
		g := c.GatewayOf(a)
		for _, m := range a.Methods {
			for _, issuer := range m.Issuers {
				if m.Name != "oidc" {
					continue
				}
				audiences, known := c.audiencesOf(g.Resolve(issuer.String()))
				for _, n := range a.ClientIDs {
					if !isBelow(n, issuer.Parent()) {
						continue
					}
					id := n.String()
					if a.Form == model.Classic {
						id = n.Key
					}
					client, err := base64.StdEncoding.DecodeString(id)
					switch {
					case err != nil && a.Form == model.Classic:
						c.report.Add(clientAudience, n, "API %s: the client %q is no base64", a.Title(), id)
					case err != nil:
						client = []byte(id)
						fallthrough
					case known && !slices.Contains(audiences, string(client)):
						c.report.Add(clientAudience, n, "API %s admits the client %q, and the audiences of its provider are %v", a.Title(), client, audiences)
					}
				}
			}
		}
	}
}

func isBelow(n, ancestor *objects.Node) bool {
	for ; n != nil; n = n.Parent() {
		if n == ancestor {
			return true
		}
	}
	return false
}

// audiencesOf are those of all providers with an issuer, in any plugin's file.
func (c *checker) audiencesOf(issuer string) (audiences []string, known bool) {
	for _, p := range c.Plugins {
		for _, idp := range p.Config.IDPs {
			if strings.TrimSuffix(idp.Issuer, "/") == strings.TrimSuffix(issuer, "/") {
				audiences, known = append(audiences, idp.Audiences...), true
			}
		}
	}
	return audiences, known
}

// checkKeySubjects compares the metadata of keys with the field that names their user.
func (c *checker) checkKeySubjects() {
	for _, p := range c.Plugins {
		if p.Config.APIKeys == nil {
			continue
		}
		field, isMetadata := strings.CutPrefix(p.Config.APIKeys.Subject, settings.MetaPrefix)
		if !isMetadata {
			continue
		}
		for _, key := range c.Set.ContentsOf(objects.TykKey) {
			if c.opensSigningAPI(key.Root) && !c.hasMetadata(key.Root, field) {
				c.report.Add(keyWithoutSubject, cmp.Or(key.Root.Find("meta_data"), key.Root), "the key %s has no %s%s", key.Name, p.Config.APIKeys.Subject, c.nearMetadata(key.Root, field))
			}
		}
	}
}

// opensSigningAPI reports a key for an API with SignIdentity that authenticates by keys.
func (c *checker) opensSigningAPI(key *objects.Node) bool {
	var ids []string
	add := func(n *objects.Node) {
		for _, right := range n.Find("access_rights").Members() {
			ids = append(ids, right.Key)
		}
	}
	add(key)
	for _, id := range key.Find("apply_policies").Entries() {
		if p := c.FindPolicy(id.String()); p != nil {
			add(p.Node)
		}
	}
	return slices.ContainsFunc(ids, func(id string) bool {
		a := c.FindAPI(id)
		return a != nil && a.Runs(hooks.Sign) && (len(a.Methods) == 0 || slices.ContainsFunc(a.Methods, func(m model.Method) bool { return m.Name == "apiKeys" }))
	})
}

// hasMetadata reports a field of the key, or of a policy of it; a policy that is not in the input may have it.
func (c *checker) hasMetadata(key *objects.Node, field string) bool {
	if key.FindPath("meta_data", field) != nil {
		return true
	}
	return slices.ContainsFunc(key.Find("apply_policies").Entries(), func(id *objects.Node) bool {
		p := c.FindPolicy(id.String())
		return p == nil || p.Node.FindPath("meta_data", field) != nil
	})
}

func (c *checker) nearMetadata(key *objects.Node, field string) string {
	var names []string
	for _, n := range key.Find("meta_data").Members() {
		names = append(names, n.Key)
	}
	return suggest.DidYouMean(field, names)
}
