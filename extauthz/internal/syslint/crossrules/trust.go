package crossrules

import (
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/redact"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/identity"
)

var (
	issuerUntrusted = registry.Define("issuer_untrusted", finding.Error,
		"No entry of the authorizer's trust has the issuer of the plugin.",
		"Every token of this gateway is denied: issuer_unknown.",
		"Write the same URL into issuer of the plugin and trust[].issuer, byte for byte.")
	audienceDiffers = registry.Define("audience_mismatch", finding.Error,
		"The plugin signs for another audience than the authorizer accepts.",
		"Every token of this gateway is denied: audience_mismatch.",
		"Write the same text into audience of both files.")
	lifetimeTooLong = registry.Define("lifetime_mismatch", finding.Error,
		"The plugin's tokens live longer than the authorizer accepts.",
		"Every token of this gateway is denied: lifetime_too_long.",
		"Set lifetime of the plugin to at most maxLifetime of the trust entry.")
	requesterUnknown = registry.Define("gateway_not_requester", finding.Error,
		"The gateway's workload in the plugin's file is not among the requesters of its issuer.",
		"Every token of this gateway is denied: issuer_not_entitled.",
		"Add the workload to trust[].requesters.")
	gatewayAccount = registry.Define("gateway_account_mismatch", finding.Error,
		"The plugin names another workload than the service account of Tyk's pods.",
		"Rules that name the gateway as caller do not match its certificate, or its tokens name another requester.",
		"Write spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT of the pods into workload of the plugin's file.")
	namespaceNotAllowed = registry.Define("subject_namespace_not_allowed", finding.Error,
		"The plugin signs subjects of a namespace that its issuer may not assert.",
		"Tokens of these users are denied: issuer_not_entitled.",
		"Add the namespace to trust[].subjects, or remove the mapping.")
	domainDiffers = registry.Define("trust_domain_mismatch", finding.Error,
		"Trust domains of Istio, of the authorizer and of the plugin do not agree.",
		"Workloads of the mesh are taken for workloads of another mesh: no rule with ns/… matches.",
		"Write the mesh's trustDomain into trustDomains.local and into workload of the plugin's file.")
	keyUnknown = registry.Define("key_not_published", finding.Error,
		"A signing key of the gateway is not in the key set of the authorizer.",
		"Tokens with this key are denied: kid_unknown.",
		"Publish the key before it signs: `meshpass keys publish`.")
	keyExcluded = registry.Define("key_algorithm_excluded", finding.Error,
		"A key of a key set has an algorithm that algorithms of its trust entry does not have.",
		"Tokens with this key are denied: algorithm_refused.",
		"Add the algorithm to trust[].algorithms, or sign with a key of another algorithm.")
	backstopDiffers = registry.Define("backstop_mismatch", finding.Error,
		"A RequestAuthentication for Txn-Token names another issuer or audience than the plugin, lacks a published key, or is missing.",
		"While the authorizer cannot be asked, valid tokens are denied, or nothing requires one.",
		"Write issuer and audience of the plugin into the RequestAuthentication.")
	providerNotMapped = registry.Define("identity_provider_unmapped", finding.Error,
		"An API accepts tokens of an identity provider, or a kind of session, that the plugin's file does not map.",
		"The plugin denies every request of these callers: issuer_unknown, or session_unsupported.",
		"Add the provider to idps (with its source in jwtSources), or the block of the kind of session.")
)

func (c *checker) checkTrust() {
	for _, p := range c.Plugins {
		for _, a := range c.Authorizers {
			c.comparePlugin(p, a)
		}
		c.checkAccount(p)
		c.checkBackstop(p)
		c.checkProviders(p)
	}
	c.checkKeys()
	c.checkRequiredTokens()
}

// checkRequiredTokens finds policies that require a verified token where nothing verifies one.
func (c *checker) checkRequiredTokens() {
	for _, o := range c.OfKind(objects.Security, "AuthorizationPolicy") {
		var required *objects.Node
		for _, rule := range o.Spec().Find("rules").Entries() {
			for _, from := range rule.Find("from").Entries() {
				if n := from.FindPath("source", "requestPrincipals"); !n.IsEmpty() {
					required = n
				}
			}
		}
		if action := o.Spec().Find("action").String(); required == nil || action != "" && action != "ALLOW" {
			continue
		}
		for _, w := range c.GuardedWorkloads() {
			if c.Selects(o, w) && !slices.ContainsFunc(c.OfKind(objects.Security, "RequestAuthentication"), func(r *objects.Object) bool { return c.Selects(r, w) }) {
				c.report.Add(backstopDiffers, required, "%s requires a token of %s, and no RequestAuthentication verifies one", o.Title(), w.Title())
			}
		}
	}
}

func (c *checker) comparePlugin(p *model.Plugin, a *model.AuthorizerConfig) {
	i := slices.IndexFunc(a.Trust, func(t model.Trust) bool { return t.Issuer.String() == p.Config.Issuer })
	if i < 0 {
		var issuers []string
		for _, t := range a.Trust {
			issuers = append(issuers, t.Issuer.String())
		}
		c.report.Add(issuerUntrusted, nodeOf(p, "issuer"), "the issuer %s has no trust entry%s", p.Config.Issuer, suggest.DidYouMean(p.Config.Issuer, issuers))
		return
	}
	t := a.Trust[i]
	if t.Audience.String() != p.Config.Audience {
		c.report.Add(audienceDiffers, nodeOf(p, "audience"), "the plugin signs for %s, and the authorizer accepts %s", p.Config.Audience, t.Audience.String())
	}
	if t.MaxLifetime > 0 && p.Config.Lifetime > t.MaxLifetime {
		c.report.Add(lifetimeTooLong, nodeOf(p, "lifetime"), "tokens live for %s, and maxLifetime is %s", p.Config.Lifetime, t.MaxLifetime)
	}
	if workload, err := a.Domains.ParseWorkload(p.Config.Workload); err == nil && t.Requesters != nil && !matchesAny(a.Domains, t.Requesters, workload) && !slices.Contains(t.Requesters.Texts(), p.Config.Workload) {
		c.report.Add(requesterUnknown, nodeOf(p, "workload"), "%s is not among the requesters %v", workload, t.Requesters.Texts())
	}
	for _, n := range namespacesOf(p) {
		if t.Subjects != nil && !slices.Contains(t.Subjects.Texts(), n.name) {
			c.report.Add(namespaceNotAllowed, n.node, "the namespace %s is not among the subjects %v of the issuer", n.name, t.Subjects.Texts())
		}
	}
}

func nodeOf(p *model.Plugin, key string) *objects.Node {
	if n := p.Root.Find(key); n != nil {
		return n
	}
	return p.Root
}

// matchesAny reports whether a list of patterns names a workload.
func matchesAny(domains identity.TrustDomains, list *objects.Node, w identity.Workload) bool {
	return slices.ContainsFunc(list.Texts(), func(text string) bool {
		pattern, err := domains.ParsePattern(text)
		return err == nil && pattern.Match(w)
	})
}

type namespace struct {
	name string
	node *objects.Node
}

// namespacesOf are the namespaces of subjects that the plugin signs.
func namespacesOf(p *model.Plugin) (all []namespace) {
	for i, idp := range p.Config.IDPs {
		n := p.Root
		if entries := p.Root.Find("idps").Entries(); i < len(entries) {
			n = entries[i]
		}
		all = append(all, namespace{idp.Alias, n})
	}
	for _, kind := range settings.SessionKinds {
		if p.Config.SessionMapping(kind) != nil {
			all = append(all, namespace{kind.Namespace, nodeOf(p, kind.Block)})
		}
	}
	return all
}

// checkAccount compares the plugin's workload with the pods of Tyk that mount its file.
func (c *checker) checkAccount(p *model.Plugin) {
	for _, g := range c.Gateways {
		w := g.Workload
		if w == nil || p.Content.Namespace != "" && p.Content.Namespace != w.Namespace {
			continue
		}
		if !strings.HasSuffix(p.Config.Workload, "/ns/"+w.Namespace+"/sa/"+w.Account) {
			c.report.Add(gatewayAccount, nodeOf(p, "workload"), "the plugin is %s, and %s runs as %s", p.Config.Workload, w.Title(), w.Identity())
		}
	}
}

func (c *checker) checkDomains() {
	local := ""
	for _, a := range c.Authorizers {
		local = a.Domains.Local
		for _, mesh := range c.Meshes {
			n := mesh.Find("trustDomain")
			domain := n.String()
			if domain == "" {
				domain = "cluster.local"
			}
			if len(mesh.Layers()) > 0 && domain != local {
				at := n
				if at == nil {
					at = a.Root.FindPath("trustDomains", "local")
				}
				if at == nil {
					at = a.Root
				}
				c.report.Add(domainDiffers, at, "the mesh is %s, and trustDomains.local of the authorizer is %s", domain, local)
			}
		}
	}
	for _, p := range c.Plugins {
		rest, _ := strings.CutPrefix(p.Config.Workload, "spiffe://")
		domain, _, _ := strings.Cut(rest, "/")
		for _, mesh := range c.Meshes {
			own := mesh.Find("trustDomain").String()
			if own == "" {
				own = "cluster.local"
			}
			if len(mesh.Layers()) > 0 && domain != own && !slices.Contains(mesh.Find("trustDomainAliases").Texts(), domain) {
				c.report.Add(domainDiffers, nodeOf(p, "workload"), "the plugin is of %s, and the mesh is %s", domain, own)
				return
			}
		}
		if len(c.Meshes) == 0 && local != "" && domain != local && !slices.ContainsFunc(c.Authorizers, func(a *model.AuthorizerConfig) bool {
			return slices.Contains(a.Domains.Aliases, domain) || slices.ContainsFunc(a.Trust, func(t model.Trust) bool {
				return t.Issuer.String() == p.Config.Issuer && slices.ContainsFunc(t.Requesters.Texts(), func(text string) bool { return strings.HasPrefix(text, "spiffe://"+domain) })
			})
		}) {
			c.report.Add(domainDiffers, nodeOf(p, "workload"), "the plugin is of %s, and trustDomains.local of the authorizer is %s", domain, local)
		}
	}
}

// checkKeys compares keys.yaml of gateways with the key sets: with that of the issuer's trust entry, if it is known.
func (c *checker) checkKeys() {
	sets := c.Set.ContentsOf(objects.KeySet)
	if len(sets) == 0 {
		return
	}
	c.checkAlgorithms(sets)
	for _, list := range c.Set.ContentsOf(objects.KeyList) {
		of := c.keySetsOf(list, sets)
		for _, key := range list.Root.Find("keys").Members() {
			if key.Find("signFrom") != nil && c.isPublished(key) && !slices.Contains(kidsOf(of), key.Key) {
				c.report.Add(keyUnknown, key, "the key %s is not in %s", key.Key, describeSets(of))
			}
		}
	}
}

// checkAlgorithms compares the keys of sets with the algorithms of the entries that name their files.
func (c *checker) checkAlgorithms(sets []*objects.Content) {
	for _, a := range c.Authorizers {
		for _, t := range a.Trust {
			algorithms := t.Node.Find("algorithms").Texts()
			if len(algorithms) == 0 {
				algorithms = []string{"EdDSA", "ES256"}
			}
			for _, set := range sets {
				if t.KeyFile.String() == "" || path.Base(t.KeyFile.String()) != path.Base(set.Name) || set.Namespace != a.Content.Namespace {
					continue
				}
				for _, key := range set.Root.Find("keys").Entries() {
					if alg := algorithmOf(key); alg != "" && !slices.Contains(algorithms, alg) {
						c.report.Add(keyExcluded, key, "the key %s is for %s, and the algorithms of %s are %v", key.Find("kid").String(), alg, t.Issuer.String(), algorithms)
					}
				}
			}
		}
	}
}

// algorithmOf is the algorithm of a public key, by its type if it does not name one.
func algorithmOf(key *objects.Node) string {
	if alg := key.Find("alg").String(); alg != "" {
		return alg
	}
	return map[string]string{"OKP": "EdDSA", "EC": "ES256", "RSA": "RS256"}[key.Find("kty").String()]
}

// keySetsOf gives the key sets that authorizers use for the tokens of a folder of keys.
func (c *checker) keySetsOf(list *objects.Content, sets []*objects.Content) []*objects.Content {
	issuers := map[string]bool{}
	for _, p := range c.Plugins {
		if p.Content.Namespace == list.Namespace || len(c.Plugins) == 1 {
			issuers[p.Config.Issuer] = true
		}
	}
	var of []*objects.Content
	for _, a := range c.Authorizers {
		for _, t := range a.Trust {
			for _, set := range sets {
				if issuers[t.Issuer.String()] && t.KeyFile.String() != "" && path.Base(t.KeyFile.String()) == path.Base(set.Name) {
					of = append(of, set)
				}
			}
		}
	}
	if len(of) == 0 {
		return sets
	}
	return of
}

func kidsOf(sets []*objects.Content) (all []string) {
	for _, set := range sets {
		for _, key := range set.Root.Find("keys").Entries() {
			all = append(all, key.Find("kid").String())
		}
	}
	return all
}

func describeSets(sets []*objects.Content) string {
	if len(sets) == 1 {
		return "the key set " + sets[0].Name
	}
	return "any key set of the input"
}

// checkBackstop compares what Envoy itself requires with the plugin.
func (c *checker) checkBackstop(p *model.Plugin) {
	for _, o := range c.OfKind(objects.Security, "RequestAuthentication") {
		for _, rule := range o.Spec().Find("jwtRules").Entries() {
			ours := slices.ContainsFunc(rule.Find("fromHeaders").Entries(), func(n *objects.Node) bool { return strings.EqualFold(n.Find("name").String(), identity.Header) })
			if !ours {
				continue
			}
			c.checkBackstopKeys(o, rule, p)
			if issuer := rule.Find("issuer"); issuer.String() != p.Config.Issuer && !c.isTrustedIssuer(issuer.String()) {
				c.report.Add(backstopDiffers, issuer, "%s requires the issuer %s, and the plugin is %s", o.Title(), issuer.String(), p.Config.Issuer)
			} else if audiences := rule.Find("audiences"); issuer.String() == p.Config.Issuer && !audiences.IsEmpty() && !slices.Contains(audiences.Texts(), p.Config.Audience) {
				c.report.Add(backstopDiffers, audiences, "%s requires one of the audiences %v, and the plugin signs for %s", o.Title(), audiences.Texts(), p.Config.Audience)
			}
		}
	}
}

// checkBackstopKeys compares the keys that Envoy itself verifies with. One that selects no workload verifies nothing.
func (c *checker) checkBackstopKeys(o *objects.Object, rule *objects.Node, p *model.Plugin) {
	sets := c.Set.ContentsOf(objects.KeySet)
	text := rule.Find("jwks")
	if len(sets) == 0 || text.String() == "" || rule.Find("issuer").String() != p.Config.Issuer || !slices.ContainsFunc(c.Workloads, func(w *model.Workload) bool { return c.Selects(o, w) }) {
		return
	}
	var document struct {
		Keys []struct {
			Kid string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal([]byte(text.String()), &document); err != nil {
		c.report.Add(backstopDiffers, text, "%s: jwks is no key set: %s", o.Title(), err)
		return
	}
	for _, kid := range kidsOf(c.keySetsOf(p.Content, sets)) {
		if !slices.ContainsFunc(document.Keys, func(k struct {
			Kid string `json:"kid"`
		}) bool {
			return k.Kid == kid
		}) {
			c.report.Add(backstopDiffers, text, "%s lacks the published key %s", o.Title(), kid)
		}
	}
}

func (c *checker) isTrustedIssuer(issuer string) bool {
	return slices.ContainsFunc(c.Authorizers, func(a *model.AuthorizerConfig) bool {
		return slices.ContainsFunc(a.Trust, func(t model.Trust) bool { return t.Issuer.String() == issuer })
	})
}

// checkProviders compares how APIs authenticate with what the plugin maps.
func (c *checker) checkProviders(p *model.Plugin) {
	for _, a := range c.ServedAPIs() {
		if !a.Runs(hooks.Sign) && !(a.Keyless && a.MutualTLS && a.Runs(hooks.Guard)) || p.Content.Namespace != "" && a.Namespace != "" && p.Content.Namespace != a.Namespace {
			continue
		}
		g := c.GatewayOf(a)
		for _, m := range a.Methods {
			c.checkMethod(p, a, g, m)
		}
	}
}

func (c *checker) checkMethod(p *model.Plugin, a *model.API, g *model.TykGateway, m model.Method) {
	if a.Root.FindFold("auth", "use_certificate").IsTrue() && m.Name == "apiKeys" {
		m.Name = "mtls"
	}
	for _, kind := range settings.SessionKinds {
		if kind.Block == m.Name && p.Config.SessionMapping(kind) == nil {
			c.report.Add(providerNotMapped, m.Node, "API %s authenticates by %s, and the plugin's file has no block %s", a.Title(), m.Name, m.Name)
		}
	}
	for _, issuer := range m.Issuers {
		text := settings.DecodeJWTSource(g.Resolve(issuer.String()))
		if strings.Contains(text, "env://") || !strings.HasPrefix(text, "http") {
			continue
		}
		switch m.Name {
		case "oidc":
			if !slices.ContainsFunc(p.Config.IDPs, func(idp settings.IDP) bool {
				return idp.Issuer == text
			}) {
				c.report.Add(providerNotMapped, issuer, "API %s accepts tokens of %s, which is not among idps", a.Title(), redact.URL(text))
			}
		case "jwt":
			if !slices.ContainsFunc(p.Config.IDPs, func(idp settings.IDP) bool { return admitsSource(p, idp, text) }) {
				c.report.Add(providerNotMapped, issuer, "API %s verifies tokens with the keys at %s, which is not among jwtSources of idps", a.Title(), redact.URL(text))
			}
		}
	}
}

// admitsSource reports whether a provider's tokens are verified with the keys at a URL. The only provider needs no list.
func admitsSource(p *model.Plugin, idp settings.IDP, source string) bool {
	if len(idp.Sources) == 0 {
		return len(p.Config.IDPs) == 1
	}
	return slices.ContainsFunc(idp.Sources, func(each string) bool { return settings.DecodeJWTSource(each) == source || each == source })
}
