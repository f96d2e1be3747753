package main

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/strictyaml"
	"github.com/meshpass/meshpass/shared/token"
)

// validator checks the meaning of what the strict reader could read.
type validator struct {
	doc        *strictyaml.Document
	unreadable strictyaml.Problems // what the reader said
	problems   strictyaml.Problems // what is wrong with the rest
}

// add notes a problem at a value, unless the reader has already found that the
// value cannot be read: one mistake, one message.
func (v *validator) add(path []any, format string, args ...any) {
	position := v.doc.At(path...)
	said := func(p strictyaml.Problem) bool { return p.Line == position.Line }
	if v.doc.Has(path...) && slices.ContainsFunc(v.unreadable, said) {
		return
	}
	v.problems.Add(position, format, args...)
}

func at(path ...any) []any { return path }

func (v *validator) config(c *config) {
	v.url(c.Issuer, at("issuer"))
	if err := token.CheckAudience(c.Audience); err != nil {
		v.add(at("audience"), "audience: %v", err)
	}
	if _, err := (identity.TrustDomains{}).Workload(c.Workload); err != nil || c.Workload == "" {
		v.add(at("workload"), "workload: want the gateway's SPIFFE id, such as spiffe://cluster.local/ns/edge/sa/tyk-gateway")
	}
	v.present(c.Keys.Dir, at("keys", "dir"))
	v.present(c.SecretFile, at("secretFile"))
	if c.Lifetime < time.Second || c.Lifetime > token.MaxLifetime {
		v.add(at("lifetime"), "lifetime %v: want 1s to %v", c.Lifetime, token.MaxLifetime)
	}
	if c.MinRemaining < time.Second || c.MinRemaining > c.Lifetime {
		v.add(at("minRemaining"), "minRemaining %v: want 1s to the lifetime, %v", c.MinRemaining, c.Lifetime)
	}
	v.upstreams(c)
	if len(c.IDPs) == 0 && c.APIKeys == nil {
		v.add(at("idps"), "neither idps nor apiKeys: no session could be signed for")
	}
	for i := range c.IDPs {
		v.idp(c.IDPs, i)
	}
	if c.APIKeys != nil {
		v.apiKeys(c.APIKeys)
	}
	if c.Audit.Output != "stdout" && c.Audit.Output != "stderr" {
		v.add(at("audit", "output"), "audit.output %q: want stdout or stderr", c.Audit.Output)
	}
}

// upstreams has no default: a token is a bearer, and who receives it can use it.
func (v *validator) upstreams(c *config) {
	if len(c.Upstreams) == 0 {
		v.add(at("upstreams"), `upstreams: want the hosts that a token may be sent to, such as "*.svc.cluster.local"`)
	}
	for i, entry := range c.Upstreams {
		u, err := parseUpstream(entry)
		if err != nil {
			v.add(at("upstreams", i), "upstreams: %v", err)
		}
		c.upstreams = append(c.upstreams, u)
	}
}

func (v *validator) idp(all []idp, i int) {
	p, path := all[i], at("idps", i)
	v.alias(p.Alias, append(path, "alias"))
	v.url(p.Issuer, append(path, "issuer"))
	if len(p.Audiences) == 0 || slices.Contains(p.Audiences, "") {
		v.add(append(path, "audiences"), "audiences: want the client ids or API names that the caller's token may be for")
	}
	v.claim(p.Subject, append(path, "subject"))
	for j, name := range p.Scopes {
		v.claim(name, append(path, "scopes", j))
	}
	for name, rule := range p.Claims {
		v.rule(name, rule, append(path, "claims", name))
		v.claim(rule.From, append(path, "claims", name))
	}
	for _, before := range all[:i] {
		if before.Alias == p.Alias && p.Alias != "" {
			v.add(append(path, "alias"), "alias %q is taken by an idp above", p.Alias)
		}
		if before.Issuer == p.Issuer && p.Issuer != "" {
			v.add(append(path, "issuer"), "issuer %s is taken by an idp above", p.Issuer)
		}
	}
}

// reservedNamespaces say which gateway method vouches for a subject.
var reservedNamespaces = []string{keyNamespace, "basic", "hmac", "mtls", "oauth", "custom"}

func (v *validator) alias(alias string, path []any) {
	if err := token.CheckNamespace(alias); err != nil {
		v.add(path, "alias %v", err)
	} else if slices.Contains(reservedNamespaces, alias) {
		v.add(path, "alias %q is reserved for sessions that no idp vouches for", alias)
	}
}

// joseFields are the header parameters of RFC 7515, 7516, 7518 and 7797. Tyk
// hands them over under the same names as claims, and where the token has no
// such claim the header's value would answer for it.
var joseFields = []string{"alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit",
	"b64", "enc", "zip", "epk", "apu", "apv", "iv", "tag", "p2s", "p2c"}

func (v *validator) claim(name string, path []any) {
	switch {
	case name == "":
		v.add(path, "%v: want the name of a claim", path[len(path)-1])
	case slices.Contains(joseFields, name):
		v.add(path, "%s is a field of the token's header, not a claim", name)
	}
}

func (v *validator) apiKeys(k *apiKeys) {
	if k.Subject != subjectHMAC && !isMeta(k.Subject) {
		v.add(at("apiKeys", "subject"), "apiKeys.subject: want meta.NAME, a stable field of the key's metadata, or hmac")
	}
	for name, rule := range k.Claims {
		path := at("apiKeys", "claims", name)
		v.rule(name, rule, path)
		if !isMeta(rule.From) {
			v.add(path, "claim %s: want meta.NAME, a field of the key's metadata", name)
		}
	}
	for policy, scopes := range k.Scopes.ByPolicy {
		for i, scope := range scopes {
			if len(strings.Fields(scope)) != 1 {
				v.add(at("apiKeys", "scopes", "byPolicy", policy, i), "policy %s: scope %q: want one scope per entry", policy, scope)
			}
		}
	}
}

func isMeta(name string) bool {
	field, ok := strings.CutPrefix(name, metaPrefix)
	return ok && field != ""
}

func (v *validator) rule(name string, rule claimRule, path []any) {
	if err := token.CheckClaimName(name); err != nil {
		v.add(path, "%v", err)
	}
	for _, pattern := range rule.Keep {
		if pattern == "" || strings.Count(pattern, "*") > 1 {
			v.add(path, "claim %s: keep %q: want a text with at most one *", name, pattern)
		}
	}
	if rule.Max < 0 {
		v.add(path, "claim %s: max %d: want 1 or more", name, rule.Max)
	}
}

func (v *validator) present(value string, path []any) {
	if value == "" {
		v.add(path, "%s is missing", dotted(path))
	}
}

func (v *validator) url(value string, path []any) {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		v.add(path, "%s: want an http or https URL", path[len(path)-1])
	}
}

// dotted writes a path of keys as people do.
func dotted(path []any) string {
	var keys []string
	for _, step := range path {
		if key, ok := step.(string); ok {
			keys = append(keys, key)
		}
	}
	return strings.Join(keys, ".")
}
