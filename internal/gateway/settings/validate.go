package settings

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/internal/auditconfig"
	"github.com/meshpass/meshpass/internal/gateway/mapping"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/forward"
	"github.com/meshpass/meshpass/shared/identity"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
	"github.com/meshpass/meshpass/shared/token"
)

// validator checks the meaning of the values that could be read. It changes nothing of the
// configuration.
type validator struct{ *strictyaml.Checker }

func (v validator) checkConfig(c *Config) {
	v.RejectError(strictyaml.Path{"issuer"}, token.CheckIssuer(c.Issuer))
	v.RejectError(strictyaml.Path{"audience"}, token.CheckAudience(c.Audience))
	if _, err := (identity.TrustDomains{}).ParseWorkload(c.Workload); err != nil || c.Workload == "" {
		v.Reject(strictyaml.Path{"workload"}, "want the gateway's SPIFFE id, such as spiffe://cluster.local/ns/edge/sa/tyk-gateway")
	}
	v.RequireText(strictyaml.Path{"keys", "dir"}, c.Keys.Dir)
	v.RequireText(strictyaml.Path{"secretFile"}, c.SecretFile)
	strictyaml.RequireRange(v.Checker, strictyaml.Path{"lifetime"}, c.Lifetime, time.Second, token.MaxLifetime)
	if c.MinRemaining < time.Second || c.MinRemaining > c.Lifetime {
		v.Reject(strictyaml.Path{"minRemaining"}, "want 1s to the lifetime, %v, not %v", c.Lifetime, c.MinRemaining)
	}
	v.checkUpstreams(c.Upstreams)
	v.checkCallers(c)
	v.checkEdge(c.Edge)
	for key, apis := range map[string][]string{"optionalIdentity": c.Allow.OptionalIdentity, "responseCache": c.Allow.ResponseCache, "detailedRecording": c.Allow.DetailedRecording} {
		v.checkAPIs(strictyaml.Path{"allow", key}, apis)
	}
	if v.Has(strictyaml.Path{"revocation"}) {
		v.RequireText(strictyaml.Path{"revocation", "file"}, c.Revocation.File)
	}
	if v.Has(strictyaml.Path{"metrics"}) {
		v.RequireAddress(strictyaml.Path{"metrics"}, c.Metrics)
	}
	v.RequireOneOf(strictyaml.Path{"audit", "output"}, c.Audit.Output, Stdout, Stderr)
	auditconfig.Check(v.Checker, c.Audit.Settings())
	auditconfig.CheckChain(v.Checker, c.Audit.Chain)
}

// checkUpstreams has no default: anyone who receives a token can use it.
func (v validator) checkUpstreams(upstreams []string) {
	at := strictyaml.Path{"upstreams"}
	if len(upstreams) == 0 {
		v.Reject(at, `want the hosts that a token may be sent to, such as ["*.svc.cluster.local"]`)
	}
	v.RequireDistinct(at, upstreams)
	for i, upstream := range upstreams {
		_, err := forward.ParseHost(upstream)
		v.RejectError(at.With(i), err)
	}
}

func (v validator) checkCallers(c *Config) {
	for i := range c.IDPs {
		v.checkIDP(c.IDPs, i)
	}
	configured := len(c.IDPs) > 0
	for _, kind := range SessionKinds {
		if rules := c.SessionMapping(kind); rules != nil {
			configured = true
			v.checkSessions(kind, rules)
		}
	}
	if !configured {
		v.Reject(strictyaml.Path{"idps"}, "missing, and so is every kind of session such as apiKeys: no caller could get a token")
	}
}

func (v validator) checkIDP(all []IDP, i int) {
	p, at := all[i], strictyaml.Path{"idps", i}
	v.checkAlias(at.With("alias"), p.Alias)
	if !isWebURL(p.Issuer) {
		v.Reject(at.With("issuer"), "want an http or https URL, not %q", p.Issuer)
	}
	for _, before := range all[:i] {
		if before.Alias == p.Alias && p.Alias != "" {
			v.Reject(at.With("alias"), "%q is the alias of an entry above: choose another one", p.Alias)
		}
		if before.Issuer == p.Issuer && p.Issuer != "" {
			v.Reject(at.With("issuer"), "%s is the issuer of an entry above: write one entry for both", p.Issuer)
		}
	}
	if len(p.Audiences) == 0 || slices.Contains(p.Audiences, "") {
		v.Reject(at.With("audiences"), "want the client ids or API names that the caller's token may be for")
	}
	v.RequireDistinct(at.With("audiences"), p.Audiences)
	v.RequireDistinct(at.With("jwtSources"), mapTexts(p.Sources, DecodeJWTSource))
	v.RequireDistinct(at.With("types"), mapTexts(p.Types, NormalizeType))
	v.RequireDistinct(at.With("scopes"), p.Scopes)
	for j, source := range p.Sources {
		if source == "" {
			v.Reject(at.With("jwtSources", j), "want the jwt_source of the APIs that verify this provider's tokens")
		}
	}
	isKnown := p.Preset == "" || v.RequireOneOf(at.With("preset"), p.Preset, presetNames()...)
	v.checkTypes(at.With("types"), p.Types)
	if p.Subject != "" || isKnown { // an unknown preset might have a subject
		v.checkSubject(at.With("subject"), p.Subject)
	}
	for j, name := range p.Scopes {
		v.checkClaim(at.With("scopes", j), name)
	}
	for name, rule := range p.Claims {
		at := at.With("claims", name)
		if rule.Removed {
			v.Reject(at, "false removes a claim of the preset, which has none of this name: remove the line")
			continue
		}
		v.checkRule(at, name, rule)
		v.checkClaim(at, rule.From)
	}
}

func (v validator) checkAlias(at strictyaml.Path, alias string) {
	if err := token.CheckNamespace(alias); err != nil {
		v.RejectError(at, err)
		return
	}
	for _, kind := range SessionKinds {
		if kind.Namespace == alias { // the namespace identifies the method of a subject
			v.Reject(at, "%q is reserved for the sessions of %s: choose another one", alias, kind.Block)
		}
	}
}

func (v validator) checkTypes(at strictyaml.Path, types []string) {
	for i, typ := range types {
		if typ == "" || strings.Contains(NormalizeType(typ), "/") {
			v.Reject(at.With(i), "want the typ of the token's header, such as JWT, at+jwt, or none for a header without typ")
		}
	}
	if len(types) == 0 {
		v.Reject(at, "want at least one, such as JWT, at+jwt, or none for a header without typ; leave it out to admit these three")
	}
}

func (v validator) checkSubject(at strictyaml.Path, rule string) {
	alternatives := strings.Split(rule, "|")
	for i, alternative := range alternatives {
		for _, name := range strings.Split(alternative, "+") {
			v.checkClaim(at, name)
		}
		for _, before := range alternatives[:i] {
			switch one, other := mapping.AlternativePrefix(before), mapping.AlternativePrefix(alternative); {
			case one == other:
				v.Reject(at, "the alternative %s is listed twice", alternative)
			case strings.HasPrefix(one, other) || strings.HasPrefix(other, one):
				v.Reject(at, "the alternatives %s and %s mark their subjects with %s and %s, and one of these begins with the other", before, alternative, one, other)
			}
		}
	}
}

// joseFields are the header parameters of RFC 7515, 7516, 7518 and 7797. Tyk gives them to plugins
// under the same names as claims. If the token has no such claim, the value of the header would be
// read for it.
var joseFields = []string{"alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit",
	"b64", "enc", "zip", "epk", "apu", "apv", "iv", "tag", "p2s", "p2c"}

func (v validator) checkClaim(at strictyaml.Path, name string) {
	switch {
	case name == "":
		v.Reject(at, "want the name of a claim")
	case slices.Contains(joseFields, name):
		v.Reject(at, "%s is a field of the token's header, not a claim", name)
	}
}

func (v validator) checkRule(at strictyaml.Path, name string, rule mapping.Rule) {
	v.RejectError(at, token.CheckClaimName(name))
	for i, pattern := range rule.Keep {
		if pattern == "" || strings.Count(pattern, "*") > 1 {
			v.Reject(at.With("keep", i), "want a text with at most one *, not %q", pattern)
		}
	}
	if rule.As != "" && rule.As != mapping.AsText {
		v.Reject(at.With("as"), "want text, not %q; leave it out to keep each value as it is", rule.As)
	}
	v.RequireEntriesIfPresent(at.With("keep"), len(rule.Keep))
	v.RequireDistinct(at.With("keep"), rule.Keep)
	switch maximum := at.With("max"); {
	case !v.Has(maximum):
	case rule.Max < 1:
		v.Reject(maximum, "want 1 or more, not %d", rule.Max)
	case rule.As == mapping.AsText:
		v.Reject(maximum, "limits lists, and as: text makes one text of one number: remove one of them")
	}
}

func (v validator) checkSessions(kind SessionKind, m *SessionMapping) {
	at := strictyaml.Path{kind.Block}
	if m.Subject != kind.OwnSubject && !isMetadata(m.Subject) {
		v.Reject(at.With("subject"), "want meta.NAME, a stable field of the session's metadata, or %s, not %q", kind.OwnSubject, m.Subject)
	}
	for name, rule := range m.Claims {
		at := at.With("claims", name)
		if rule.Removed {
			v.Reject(at, "false removes a claim of a preset, and %s has no preset: remove the line", kind.Block)
			continue
		}
		v.checkRule(at, name, rule)
		if !isMetadata(rule.From) {
			v.Reject(at, "want meta.NAME, a field of the session's metadata, not %q", rule.From)
		}
	}
	for policy, scopes := range m.Scopes.ByPolicy {
		v.RequireDistinct(at.With("scopes", "byPolicy", policy), scopes)
		for i, scope := range scopes {
			at := at.With("scopes", "byPolicy", policy, i)
			if len(strings.Fields(scope)) != 1 {
				v.Reject(at, "want one scope, not %q", scope)
			} else if err := token.CheckScope(scope); err != nil {
				v.Reject(at, "scope %q: %v", scope, err)
			}
		}
	}
}

func (v validator) checkEdge(edge Edge) {
	if !v.Has(strictyaml.Path{"edge"}) {
		return
	}
	folders := strictyaml.Path{"edge", "policies"}
	if len(edge.Policies) == 0 {
		v.Reject(folders, "want the folders of documents, such as [{path: policies}]")
	}
	for i, folder := range edge.Policies {
		at := folders.With(i)
		if !v.RequireText(at.With("path"), folder.Path) {
			continue
		}
		if v.Has(at.With("name")) && !policysource.IsDirName(folder.Name) {
			v.Reject(at.With("name"), "want letters, digits, dots, _ and -, at most 63, not %q", folder.Name)
		}
		for _, other := range edge.Policies[:i] {
			switch {
			case policysource.FoldersOverlap(folder.Path, other.Path):
				v.Reject(at, "%s and %s are one folder, or one is inside the other: list folders that have no file in common", other.Path, folder.Path)
			case folder.Name == other.Name:
				v.Reject(at, "two folders are named %q, %s and %s: give one of them another name, as in {path: %s, name: NAME}", folder.Name, other.Path, folder.Path, folder.Path)
			}
		}
	}
}

// checkAPIs checks the ids of a list. No API has an empty one.
func (v validator) checkAPIs(at strictyaml.Path, ids []string) {
	v.RequireDistinct(at, ids)
	for i, id := range ids {
		v.RequireText(at.With(i), id)
	}
}

func mapTexts(texts []string, convert func(string) string) []string {
	converted := make([]string, len(texts))
	for i, text := range texts {
		converted[i] = convert(text)
	}
	return converted
}

func presetNames() []string { return slices.Sorted(maps.Keys(presets)) }
