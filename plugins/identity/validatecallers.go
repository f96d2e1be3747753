package main

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/token"
)

func (v *validator) idp(all []idp, i int) {
	p, path := all[i], at("idps", i)
	v.alias(p.Alias, append(path, "alias"))
	v.url(p.Issuer, append(path, "issuer"))
	if len(p.Audiences) == 0 || slices.Contains(p.Audiences, "") {
		v.add(append(path, "audiences"), "audiences: want the client ids or API names that the caller's token may be for")
	}
	for j, source := range p.Sources {
		if all[i].Sources[j] = plainSource(source); source == "" {
			v.add(append(path, "jwtSources", j), "jwtSources: want what stands in jwt_source of the APIs that verify this provider's tokens")
		}
	}
	_, known := presets[p.Preset]
	unknown := p.Preset != "" && !known
	if unknown {
		v.add(append(path, "preset"), "preset %q: want one of %s", p.Preset, presetNames())
	}
	for j, typ := range p.Types {
		if all[i].Types[j] = plainType(typ); typ == "" || strings.Contains(all[i].Types[j], "/") {
			v.add(append(path, "types", j), "types: want what stands in typ of the token's header, such as JWT, at+jwt or none (there is no typ)")
		}
	}
	if p.Types != nil && len(p.Types) == 0 {
		v.add(append(path, "types"), "types: want at least one, such as JWT, at+jwt or none (there is no typ); leave it out for these three")
	}
	if p.Subject != "" || !unknown {
		v.subject(p.Subject, append(path, "subject"))
	}
	for j, name := range p.Scopes {
		v.claim(name, append(path, "scopes", j))
	}
	for name, rule := range p.Claims {
		if rule.removed {
			v.add(append(path, "claims", name), "claim %s: false removes a claim of the preset, and there is none of this name", name)
			continue
		}
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

func (v *validator) alias(alias string, path []any) {
	if err := token.CheckNamespace(alias); err != nil {
		v.add(path, "alias %v", err)
	} else if isReserved(alias) {
		v.add(path, "alias %q is reserved for sessions that no idp vouches for", alias)
	}
}

// isReserved tells whether a namespace says which gateway method vouches for a
// subject.
func isReserved(namespace string) bool {
	for _, kind := range kinds {
		if kind.namespace == namespace {
			return true
		}
	}
	return false
}

func (v *validator) sessions(k kind, m *sessionMapping) {
	if m.Subject != k.own && !isMeta(m.Subject) {
		v.add(at(k.block, "subject"), "%s.subject: want meta.NAME, a stable field of the session's metadata, or %s", k.block, k.own)
	}
	for name, rule := range m.Claims {
		path := at(k.block, "claims", name)
		if rule.removed {
			v.add(path, "claim %s: false removes a claim of a preset, and %s has none: remove the line", name, k.block)
			continue
		}
		v.rule(name, rule, path)
		if !isMeta(rule.From) {
			v.add(path, "claim %s: want meta.NAME, a field of the session's metadata", name)
		}
	}
	for policy, scopes := range m.Scopes.ByPolicy {
		for i, scope := range scopes {
			at := at(k.block, "scopes", "byPolicy", policy, i)
			if len(strings.Fields(scope)) != 1 {
				v.add(at, "policy %s: scope %q: want one scope per entry", policy, scope)
			} else if err := token.CheckScope(scope); err != nil {
				v.add(at, "policy %s: scope %q: %v", policy, scope, err)
			}
		}
	}
}

// joseFields are the header parameters of RFC 7515, 7516, 7518 and 7797. Tyk
// hands them over under the same names as claims, and where the token has no
// such claim the header's value would answer for it.
var joseFields = []string{"alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit",
	"b64", "enc", "zip", "epk", "apu", "apv", "iv", "tag", "p2s", "p2c"}

func (v *validator) subject(rule string, path []any) {
	alternatives := strings.Split(rule, "|")
	for i, alternative := range alternatives {
		for _, name := range strings.Split(alternative, "+") {
			v.claim(name, path)
		}
		for _, before := range alternatives[:i] {
			switch one, other := marker(before), marker(alternative); {
			case one == other:
				v.add(path, "subject: the alternative %s stands twice", alternative)
			case strings.HasPrefix(one, other) || strings.HasPrefix(other, one):
				v.add(path, "subject: the alternatives %s and %s mark their subjects with %s and %s, and one of these begins with the other", before, alternative, one, other)
			}
		}
	}
}

func (v *validator) claim(name string, path []any) {
	switch {
	case name == "":
		v.add(path, "%v: want the name of a claim", path[len(path)-1])
	case slices.Contains(joseFields, name):
		v.add(path, "%s is a field of the token's header, not a claim", name)
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
	if rule.As != "" && rule.As != asText {
		v.add(path, "claim %s: as %q: want text, or leave it out", name, rule.As)
	}
	if rule.Max < 0 {
		v.add(path, "claim %s: max %d: want 1 or more", name, rule.Max)
	}
}
