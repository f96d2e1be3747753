package settings

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/plugins/identity/mapping"
	"github.com/meshpass/meshpass/shared/forward"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/token"
)

// Bounds of the section audit. The smallest queue holds several of the largest records.
const (
	minAuditQueue       = 256 * bytesize.KiB
	maxAuditQueue       = bytesize.GiB
	maxAnonymousDenials = 100_000 // a second: in practice all of them
)

// validator checks the meaning of the values that the strict reader could read. It changes nothing of
// the configuration.
type validator struct {
	doc        *strictyaml.Document
	unreadable strictyaml.Problems // of the reader
	problems   strictyaml.Problems // of the checks
}

func (v *validator) checkConfig(c *Config) {
	if err := token.CheckIssuer(c.Issuer); err != nil {
		v.report(at("issuer"), "issuer: %v", err)
	}
	if err := token.CheckAudience(c.Audience); err != nil {
		v.report(at("audience"), "audience: %v", err)
	}
	if _, err := (identity.TrustDomains{}).ParseWorkload(c.Workload); err != nil || c.Workload == "" {
		v.report(at("workload"), "workload: want the gateway's SPIFFE id, such as spiffe://cluster.local/ns/edge/sa/tyk-gateway")
	}
	v.require(c.Keys.Dir, at("keys", "dir"))
	v.require(c.SecretFile, at("secretFile"))
	if c.Lifetime < time.Second || c.Lifetime > token.MaxLifetime {
		v.report(at("lifetime"), "lifetime %v: want 1s to %v", c.Lifetime, token.MaxLifetime)
	}
	if c.MinRemaining < time.Second || c.MinRemaining > c.Lifetime {
		v.report(at("minRemaining"), "minRemaining %v: want 1s to the lifetime, %v", c.MinRemaining, c.Lifetime)
	}
	v.checkUpstreams(c.Upstreams)
	v.checkCallers(c)
	v.checkEdge(c.Edge)
	if v.doc.Has("revocation") {
		v.require(c.Revocation.File, at("revocation", "file"))
	}
	if _, err := netip.ParseAddrPort(c.Metrics); err != nil && v.doc.Has("metrics") {
		v.report(at("metrics"), "metrics %q: want IP:PORT, such as 127.0.0.1:9092", c.Metrics)
	}
	v.checkAudit(c.Audit)
}

// checkUpstreams has no default: anyone who receives a token can use it.
func (v *validator) checkUpstreams(upstreams []string) {
	if len(upstreams) == 0 {
		v.report(at("upstreams"), `upstreams: want the hosts that a token may be sent to, such as "*.svc.cluster.local"`)
	}
	for i, entry := range upstreams {
		if _, err := forward.ParseHost(entry); err != nil {
			v.report(at("upstreams", i), "upstreams: %v", err)
		}
	}
}

func (v *validator) checkCallers(c *Config) {
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
		v.report(at("idps"), "neither idps nor a kind of session such as apiKeys: no caller could be signed for")
	}
}

func (v *validator) checkIDP(all []IDP, i int) {
	p, path := all[i], at("idps", i)
	v.checkAlias(p.Alias, append(path, "alias"))
	v.requireURL(p.Issuer, append(path, "issuer"))
	if len(p.Audiences) == 0 || slices.Contains(p.Audiences, "") {
		v.report(append(path, "audiences"), "audiences: want the client ids or API names that the caller's token may be for")
	}
	for j, source := range p.Sources {
		if source == "" {
			v.report(append(path, "jwtSources", j), "jwtSources: want what stands in jwt_source of the APIs that verify this provider's tokens")
		}
	}
	_, known := presets[p.Preset]
	unknown := p.Preset != "" && !known
	if unknown {
		v.report(append(path, "preset"), "preset %q: want one of %s", p.Preset, presetNames())
	}
	v.checkTypes(p.Types, append(path, "types"))
	if p.Subject != "" || !unknown {
		v.checkSubject(p.Subject, append(path, "subject"))
	}
	for j, name := range p.Scopes {
		v.checkClaim(name, append(path, "scopes", j))
	}
	for name, rule := range p.Claims {
		place := at("idps", i, "claims", name)
		if rule.Removed {
			v.report(place, "claim %s: false removes a claim of the preset, and there is none of this name", name)
			continue
		}
		v.checkRule(name, rule, place)
		v.checkClaim(rule.From, place)
	}
	for _, before := range all[:i] {
		if before.Alias == p.Alias && p.Alias != "" {
			v.report(append(path, "alias"), "alias %q is taken by an idp above", p.Alias)
		}
		if before.Issuer == p.Issuer && p.Issuer != "" {
			v.report(append(path, "issuer"), "issuer %s is taken by an idp above", p.Issuer)
		}
	}
}

func (v *validator) checkAlias(alias string, path []any) {
	if err := token.CheckNamespace(alias); err != nil {
		v.report(path, "alias %v", err)
		return
	}
	for _, kind := range SessionKinds {
		if kind.Namespace == alias { // the namespace says which method of the gateway confirms a subject
			v.report(path, "alias %q is reserved for sessions that no idp vouches for", alias)
			return
		}
	}
}

func (v *validator) checkTypes(types []string, path []any) {
	for i, typ := range types {
		if typ == "" || strings.Contains(NormalizeType(typ), "/") {
			v.report(append(path, i), "types: want what stands in typ of the token's header, such as JWT, at+jwt or none (there is no typ)")
		}
	}
	if len(types) == 0 {
		v.report(path, "types: want at least one, such as JWT, at+jwt or none (there is no typ); leave it out for these three")
	}
}

func (v *validator) checkSubject(rule string, path []any) {
	alternatives := strings.Split(rule, "|")
	for i, alternative := range alternatives {
		for _, name := range strings.Split(alternative, "+") {
			v.checkClaim(name, path)
		}
		for _, before := range alternatives[:i] {
			switch one, other := mapping.AlternativePrefix(before), mapping.AlternativePrefix(alternative); {
			case one == other:
				v.report(path, "subject: the alternative %s stands twice", alternative)
			case strings.HasPrefix(one, other) || strings.HasPrefix(other, one):
				v.report(path, "subject: the alternatives %s and %s mark their subjects with %s and %s, and one of these begins with the other", before, alternative, one, other)
			}
		}
	}
}

// joseFields are the header parameters of RFC 7515, 7516, 7518 and 7797. Tyk gives them to plugins
// under the same names as claims. If the token has no such claim, the value of the header would be
// read for it.
var joseFields = []string{"alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit",
	"b64", "enc", "zip", "epk", "apu", "apv", "iv", "tag", "p2s", "p2c"}

func (v *validator) checkClaim(name string, path []any) {
	switch {
	case name == "":
		v.report(path, "%v: want the name of a claim", path[len(path)-1])
	case slices.Contains(joseFields, name):
		v.report(path, "%s is a field of the token's header, not a claim", name)
	}
}

func (v *validator) checkRule(name string, rule mapping.Rule, path []any) {
	if err := token.CheckClaimName(name); err != nil {
		v.report(path, "%v", err)
	}
	for _, pattern := range rule.Keep {
		if pattern == "" || strings.Count(pattern, "*") > 1 {
			v.report(path, "claim %s: keep %q: want a text with at most one *", name, pattern)
		}
	}
	if rule.As != "" && rule.As != mapping.AsText {
		v.report(path, "claim %s: as %q: want text, or leave it out", name, rule.As)
	}
	if rule.Max < 0 {
		v.report(path, "claim %s: max %d: want 1 or more", name, rule.Max)
	}
}

func (v *validator) checkSessions(kind SessionKind, m *SessionMapping) {
	if m.Subject != kind.OwnSubject && !isMetadata(m.Subject) {
		v.report(at(kind.Block, "subject"), "%s.subject: want meta.NAME, a stable field of the session's metadata, or %s", kind.Block, kind.OwnSubject)
	}
	for name, rule := range m.Claims {
		path := at(kind.Block, "claims", name)
		if rule.Removed {
			v.report(path, "claim %s: false removes a claim of a preset, and %s has none: remove the line", name, kind.Block)
			continue
		}
		v.checkRule(name, rule, path)
		if !isMetadata(rule.From) {
			v.report(path, "claim %s: want meta.NAME, a field of the session's metadata", name)
		}
	}
	for policy, scopes := range m.Scopes.ByPolicy {
		for i, scope := range scopes {
			path := at(kind.Block, "scopes", "byPolicy", policy, i)
			if len(strings.Fields(scope)) != 1 {
				v.report(path, "policy %s: scope %q: want one scope per entry", policy, scope)
			} else if err := token.CheckScope(scope); err != nil {
				v.report(path, "policy %s: scope %q: %v", policy, scope, err)
			}
		}
	}
}

func isMetadata(name string) bool {
	field, ok := strings.CutPrefix(name, MetaPrefix)
	return ok && field != ""
}

func (v *validator) checkEdge(edge Edge) {
	if !v.doc.Has("edge") {
		return
	}
	if len(edge.Policies) == 0 {
		v.report(at("edge", "policies"), "edge.policies: want the folders of documents, as in [{path: policies}]")
	}
	for i, folder := range edge.Policies {
		place := at("edge", "policies", i)
		if folder.Path == "" {
			v.require(folder.Path, append(place, "path"))
			continue
		}
		if !policy.IsDirName(folder.Name) && v.doc.Has("edge", "policies", i, "name") {
			v.report(append(place, "name"), "edge.policies.name %q: want letters, digits, dots, _ and -, 63 at most", folder.Name)
		}
		for _, other := range edge.Policies[:i] {
			switch {
			case policy.Overlap(folder.Path, other.Path):
				v.report(place, "edge.policies: %s and %s are one folder, or one is inside the other: list folders that have no file in common", other.Path, folder.Path)
			case folder.Name == other.Name:
				v.report(place, "edge.policies: two folders are named %q, %s and %s: give one of them another name, as in {path: %s, name: NAME}", folder.Name, other.Path, folder.Path, folder.Path)
			}
		}
	}
}

func (v *validator) checkAudit(audit Audit) {
	if audit.Output != Stdout && audit.Output != Stderr {
		v.report(at("audit", "output"), "audit.output %q: want stdout or stderr", audit.Output)
	}
	if audit.Queue < minAuditQueue || audit.Queue > maxAuditQueue {
		v.report(at("audit", "queue"), "audit.queue %s: want %s to %s", audit.Queue, minAuditQueue, maxAuditQueue)
	}
	if n := audit.AnonymousDenials; n < 1 || n > maxAnonymousDenials {
		v.report(at("audit", "anonymousDenials"), "audit.anonymousDenials %d: want 1 to %d, the records a second for each reason", n, maxAnonymousDenials)
	}
}

func (v *validator) require(value string, path []any) {
	if value == "" {
		v.report(path, "%s is missing", dottedPath(path))
	}
}

func (v *validator) requireURL(value string, path []any) {
	if !isWebURL(value) {
		v.report(path, "%s: want an http or https URL", path[len(path)-1])
	}
}

// report adds a problem at a value, unless the reader has already reported a problem in the line of
// this value: one mistake gets one message.
func (v *validator) report(path []any, format string, args ...any) {
	position := v.doc.At(path...)
	sameLine := func(p strictyaml.Problem) bool { return p.Line == position.Line }
	if v.doc.Has(path...) && slices.ContainsFunc(v.unreadable, sameLine) {
		return
	}
	v.problems.Add(position, format, args...)
}

func at(path ...any) []any { return path }

// dottedPath writes a path of keys as messages do.
func dottedPath(path []any) string {
	var keys []string
	for _, step := range path {
		if key, ok := step.(string); ok {
			keys = append(keys, key)
		}
	}
	return strings.Join(keys, ".")
}
