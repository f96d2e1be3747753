package tykrules

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/suggest"
)

var (
	partUnused = registry.Define("tyk_part_unused", finding.Error,
		"Tyk does not read a part of a definition: lists of endpoints of the other form, an operation that the document does not have, or a security scheme that it does not require.",
		"A block or allow list does nothing, or Tyk asks callers for another credential (an API key in Authorization) than the definition says.",
		"Set use_extended_paths: true beside extended_paths; correct the operationId; name the scheme in the first entry of security and in components.securitySchemes.")
	expired = registry.Define("tyk_expired", finding.Error,
		"The expiration of an API or of one of its versions is over, or cannot be read.",
		"Tyk denies every request with 403.",
		"Write a later time as 2006-01-02 15:04, or remove it.")
	versionByChance = registry.Define("tyk_version_by_chance", finding.Error,
		"An API has not_versioned: true and several versions.",
		"Tyk takes one of them by chance, for each request: lists and targets of the others do not apply.",
		"Keep one version, or set not_versioned: false and default_version.")
	versionMissing = registry.Define("tyk_version_missing", finding.Error,
		"An API of the classic form is versioned, and has no version for a request: no versions at all, a default_version that is not there, or neither a default nor a place where requests name one.",
		"Tyk denies these requests with 403. An API without version_data is one of them.",
		"Set version_data.not_versioned: true with one version, or default_version, or definition.location and key.")
	internalUnknown = registry.Define("tyk_internal_target_unknown", finding.Error,
		"A target tyk://NAME, or target_internal of an object, is no API of the input.",
		"Requests to it get an error.",
		"Write the id or the name of an API, or self.")
	certificateNever = registry.Define("tyk_certificate_without_tls", finding.Error,
		"An API asks clients for a certificate, and the gateway does not terminate TLS.",
		"The gateway sees no certificate: it denies every request with 403.",
		"Set http_server_options.use_ssl with a certificate, and let TLS reach the gateway, or use another method.")
	portClosed = registry.Define("tyk_port_closed", finding.Error,
		"An API has a port of its own that the gateway does not open, or the port of the control API.",
		"Tyk does not serve the API, or serves it where only the control API should be.",
		"Remove listen_port, or list the port in ports_whitelist.")
	keepsHost = registry.Define("tyk_preserve_host", finding.Error,
		"An API with our hooks sends the client's Host to the upstream.",
		"Proxies route by Host: the plugin denies every request whose Host is not in upstreams (upstream_refused).",
		"Switch preserve_host_header off.")
	narrowingInvalid = registry.Define("tyk_own_settings_invalid", finding.Error,
		"The settings of an API for the plugin (config_data.meshpass) are invalid, disabled, or wider than the plugin's file.",
		"The plugin denies every request of the API (config_invalid).",
		"Correct config_data.meshpass: see docs/configuration.md.")
)

// checkParts checks what Tyk reads of a definition, and what it does with it.
func (c *checker) checkParts(a *model.API) {
	for _, u := range a.Unused {
		c.report.Add(partUnused, u.Node, "API %s: Tyk does not read %s, because %s", a.Title(), u.Node.Key, u.Why)
	}
	for _, n := range a.Expires {
		if at, err := time.Parse("2006-01-02 15:04", n.String()); err != nil {
			c.report.Add(expired, n, "API %s: the time %s cannot be read", a.Title(), quote(n.String()))
		} else if at.Before(c.now) {
			c.report.Add(expired, n, "API %s has expired at %s", a.Title(), n.String())
		}
	}
	if a.NotVersioned && len(a.Versions) > 1 {
		c.report.Add(versionByChance, a.Versions[1], "API %s is not versioned and has %d versions", a.Title(), len(a.Versions))
	}
	c.checkVersionData(a)
	for _, t := range a.Targets {
		if name, found := strings.CutPrefix(t.Text, "tyk://"); found {
			name, _, _ = strings.Cut(name, "/")
			name, _, _ = strings.Cut(name, "?")
			if name != "self" && !strings.Contains(name, "$") && !c.isLoopName(name) {
				c.report.Add(internalUnknown, t.Node, "API %s: no API is called %s%s", a.Title(), quote(name), suggest.DidYouMean(name, c.apiIDs()))
			}
		}
	}
	c.checkObjectTargets(a)
	c.checkPort(a)
	if g := c.GatewayOf(a); a.MutualTLS && g != nil && g.Conf != nil && !g.IsOn("http_server_options.use_ssl") {
		c.report.Add(certificateNever, certificateNode(a), "API %s asks for a certificate", a.Title())
	}
	c.checkOwnSettings(a)
}

// checkObjectTargets looks up the objects that a definition of Tyk Operator names as targets.
func (c *checker) checkObjectTargets(a *model.API) {
	if a.Object == nil || a.Form != model.Classic {
		return
	}
	a.Root.Walk(func(n *objects.Node) bool {
		if n.Key != "target_internal" && n.Key != "rewrite_to_internal" {
			return true
		}
		target := n.Find("target")
		namespace := target.Find("namespace").String()
		if namespace == "" {
			namespace = a.Namespace
		}
		if name := target.Find("name").String(); name != "" && c.FindAPI(namespace+"/"+name) == nil {
			c.report.Add(internalUnknown, target, "API %s: no API is called %s/%s%s", a.Title(), namespace, name, suggest.DidYouMean(name, c.apiIDs()))
		}
		return false
	})
}

// checkVersionData finds requests without a version. Tyk Operator adds version_data itself.
func (c *checker) checkVersionData(a *model.API) {
	if a.NotVersioned || a.Object != nil || a.Form != model.Classic {
		return
	}
	data := at(a, a.VersionData)
	fallback := a.VersionData.FindFold("default_version")
	switch {
	case len(a.Versions) == 0:
		c.report.Add(versionMissing, data, "API %s is versioned and has no versions", a.Title())
	case fallback.String() != "" && !slices.ContainsFunc(a.Versions, func(v *objects.Node) bool { return v.Key == fallback.String() }):
		c.report.Add(versionMissing, fallback, "API %s has no version %q", a.Title(), fallback.String())
	case fallback.String() == "" && a.Root.FindFold("definition", "location").String() == "":
		c.report.Add(versionMissing, data, "API %s: no request can name a version, and there is no default_version", a.Title())
	}
}

func certificateNode(a *model.API) *objects.Node {
	for _, path := range [][]string{{"use_mutual_tls_auth"}, {"server", "clientCertificates", "enabled"}} {
		if n := a.Root.FindFold(path...); n != nil {
			return n
		}
	}
	return a.Root
}

func (c *checker) apiIDs() (all []string) {
	for _, a := range c.apis {
		all = append(all, a.ID)
	}
	return all
}

var notInLoopName = regexp.MustCompile(`[^a-zA-Z0-9]+`)

// isLoopName reports an id, or a name as Tyk writes it in internal URLs.
func (c *checker) isLoopName(name string) bool {
	return c.FindAPI(name) != nil || slices.ContainsFunc(c.apis, func(a *model.API) bool {
		return strings.EqualFold(strings.Trim(notInLoopName.ReplaceAllString(a.Name, "-"), "-"), strings.Trim(name, "-")) || strings.EqualFold(notInLoopName.ReplaceAllString(a.Name, ""), name)
	})
}

// checkPort compares the port of an API with those that the gateway opens.
func (c *checker) checkPort(a *model.API) {
	g := c.GatewayOf(a)
	if a.Port == nil || g == nil || g.Conf == nil {
		return
	}
	listen, _ := g.Setting("listen_port")
	control, _ := g.Setting("control_api_port")
	switch port := a.Port.String(); {
	case port == listen:
	case port == control:
		c.report.Add(portClosed, a.Port, "API %s is on the port %s of the control API", a.Title(), port)
	case !g.IsOn("disable_ports_whitelist") && !isOpen(g, a):
		c.report.Add(portClosed, a.Port, "API %s is on the port %s, which ports_whitelist does not have", a.Title(), port)
	}
}

// isOpen reports a port of ports_whitelist. The environment writes it in a form of its own, which is not read here.
func isOpen(g *model.TykGateway, a *model.API) bool {
	protocol := a.Protocol.String()
	if protocol == "" {
		protocol = "http"
	}
	if text, at := g.Setting("ports_whitelist"); at != nil && text != "" {
		return true
	}
	list := g.Conf.FindFold("ports_whitelist", protocol)
	for _, n := range list.FindFold("ports").Entries() {
		if n.Int() == a.Port.Int() {
			return true
		}
	}
	return slices.ContainsFunc(list.FindFold("ranges").Entries(), func(r *objects.Node) bool {
		return r.FindFold("from").Int() <= a.Port.Int() && a.Port.Int() <= r.FindFold("to").Int()
	})
}

// checkOwnSettings checks config_data.meshpass with the plugin's own code.
func (c *checker) checkOwnSettings(a *model.API) {
	if !a.Runs(hooks.Sign) && !a.Runs(hooks.Guard) {
		return
	}
	if a.KeepsHost != nil && !c.isHostOfUpstreams(a) {
		c.report.Add(keepsHost, a.KeepsHost, "API %s sends the client's Host on", a.Title())
	}
	if a.Narrowing == nil {
		return
	}
	if a.DataDisabled {
		c.report.Add(narrowingInvalid, a.Narrowing, "API %s: config_data is disabled", a.Title())
		return
	}
	own, err := settings.ReadNarrowing(a.Narrowing.Plain())
	hasAudience := slices.ContainsFunc(a.Methods, func(m model.Method) bool { return m.Name == "jwt" || m.Name == "oidc" })
	for _, p := range c.Plugins {
		if err == nil && (p.Content.Namespace == "" || a.Namespace == "" || p.Content.Namespace == a.Namespace) {
			err = own.CheckWidening(p.Config, a.ID, hasAudience)
		}
	}
	if err != nil {
		c.report.Add(narrowingInvalid, a.Narrowing, "API %s: %s", a.Title(), strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

// isHostOfUpstreams reports an API that answers only on a host that is in upstreams.
func (c *checker) isHostOfUpstreams(a *model.API) bool {
	u := model.Target{Text: "http://" + a.Domain.String()}.URL()
	return a.Domain != nil && u != nil && c.admits(u)
}
