package source

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/expr"
	"github.com/meshpass/meshpass/shared/policy/host"
	"github.com/meshpass/meshpass/shared/policy/method"
	"github.com/meshpass/meshpass/shared/policy/path"
)

// PublicEntry names requests that need no token.
type PublicEntry struct {
	Methods []string `yaml:"methods"`
	Paths   []string `yaml:"paths"`
}

// Rule allows or denies the requests that meet all of its conditions.
type Rule struct {
	Name   string           `yaml:"name"`
	Effect string           `yaml:"effect"`
	Mode   string           `yaml:"mode"`
	From   From             `yaml:"from"`
	To     To               `yaml:"to"`
	Scopes []string         `yaml:"scopes"`
	Claims map[string][]any `yaml:"claims"`
	When   string           `yaml:"when"`
}

// From are conditions on the caller and on the issuer of the token.
type From struct {
	Workloads   []string `yaml:"workloads"`
	NoPrincipal bool     `yaml:"noPrincipal"`
	Issuers     []string `yaml:"issuers"`
}

// To are conditions on the request.
type To struct {
	Methods      []string `yaml:"methods"`
	Paths        []string `yaml:"paths"`
	AllowEncoded []string `yaml:"allowEncoded"`
	Hosts        []string `yaml:"hosts"`
	Ports        []uint32 `yaml:"ports"`
}

// The effects of a rule, as they are written.
const (
	effectAllow = "allow"
	effectDeny  = "deny"
)

// ruleBuilder turns the fields of one rule into conditions.
type ruleBuilder struct {
	document *Document
	settings buildSettings
	targets  []identity.Pattern // of the document
	yaml     *Rule              // nil: a public entry
	place    []any              // below spec
	rule     policy.RuleSpec
}

// buildSettings are what documents are checked against.
type buildSettings struct {
	domains      identity.TrustDomains
	members      []string // of tctx that tokens can have; nil: any
	headers      []string // that a sidecar sends; nil: all
	noHomeIssuer bool     // onOutage: allow is rejected
	expressions  *expressions
}

func (b *ruleBuilder) addProblem(err error, path ...any) {
	b.document.addProblem(err, append(slices.Clone(b.place), path...)...)
}

func (b *ruleBuilder) setPosition() {
	position := b.document.Position(b.place...)
	b.rule.Line, b.rule.Column = position.Line, position.Column
}

func (b *ruleBuilder) addCondition(c policy.Condition) {
	b.rule.Conditions = append(b.rule.Conditions, c)
}

func (b *ruleBuilder) buildRule() {
	b.rule.Name = b.yaml.Name
	b.setPosition()
	b.buildHead()
	b.checkHostsAlone()
	b.buildFrom(b.yaml.From)
	b.place = append(b.place, "to")
	b.buildTo(b.yaml.To)
	b.place = b.place[:len(b.place)-1]
	b.buildScopes()
	b.buildClaims()
	b.buildWhen()
}

// buildPublic rejects an entry without paths, as it would open a whole workload.
func (b *ruleBuilder) buildPublic(i int, entry PublicEntry) {
	b.rule = policy.RuleSpec{Name: fmt.Sprintf("public[%d]", i), Effect: policy.Public, Shadow: b.document.isShadow()}
	b.setPosition()
	if len(entry.Paths) == 0 {
		b.addProblem(errors.New("a public entry must list paths"))
	}
	b.buildTo(To{Methods: entry.Methods, Paths: entry.Paths})
}

func (b *ruleBuilder) buildHead() {
	switch name := b.yaml.Name; {
	case name == "":
		b.addProblem(errors.New("a rule needs a name"), "name")
	case !nameForm.MatchString(name):
		b.addProblem(fmt.Errorf("rule name %q: %s", name, nameRule), "name")
	}
	switch b.yaml.Effect {
	case effectAllow:
		b.rule.Effect = policy.Allow
	case effectDeny:
		b.rule.Effect = policy.Deny
	case "":
		b.addProblem(errors.New("a rule needs an effect: write effect: allow, or effect: deny"), "effect")
	default:
		b.addProblem(fmt.Errorf("effect %q: write allow or deny", b.yaml.Effect), "effect")
	}
	if !slices.Contains([]string{"", string(policy.Enforce), string(policy.Shadow)}, b.yaml.Mode) {
		b.addProblem(fmt.Errorf("mode %q: want enforce or shadow", b.yaml.Mode), "mode")
	}
	shadow := b.document.isShadow()
	if shadow && b.yaml.Mode == string(policy.Enforce) {
		b.addProblem(errors.New("mode: enforce in a document that is in shadow: nothing of it is enforced"), "mode")
	}
	b.rule.Shadow = shadow || b.yaml.Mode == string(policy.Shadow)
}

// checkHostsAlone rejects rules whose only condition is on a value that the client chooses.
func (b *ruleBuilder) checkHostsAlone() {
	f, t := b.yaml.From, b.yaml.To
	if len(t.Hosts) == 0 || len(t.Methods)+len(t.Paths)+len(t.Ports) > 0 {
		return
	}
	others := len(f.Workloads)+len(f.Issuers)+len(b.yaml.Scopes)+len(b.yaml.Claims) > 0 || f.NoPrincipal || b.yaml.When != ""
	service := slices.ContainsFunc(b.targets, func(p identity.Pattern) bool { return p.Literal().IsService() })
	switch {
	case b.yaml.Effect == effectDeny && !others:
		b.addProblem(errors.New("a deny rule on hosts alone: the client chooses the host, and would choose another"), "to", "hosts")
	case b.yaml.Effect == effectAllow && service:
		b.addProblem(errors.New("an allow rule for a service, narrowed by hosts alone: a waypoint routes by the service's address and ignores the host; add paths, or remove hosts"), "to", "hosts")
	}
}

func (b *ruleBuilder) buildFrom(f From) {
	var callers policy.Callers
	for i, text := range f.Workloads {
		caller, err := b.settings.domains.ParsePattern(text)
		if err != nil {
			b.addProblem(err, "from", "workloads", i)
		}
		callers = append(callers, caller)
	}
	if len(callers) > 0 {
		b.addCondition(callers)
		if slices.ContainsFunc(b.targets, func(p identity.Pattern) bool { return p.Literal().IsEdge() }) {
			b.addProblem(errors.New("a document that targets the edge: no caller has a name there; use noPrincipal, or a document of its own"), "from", "workloads")
		}
	}
	b.buildNoPrincipal(f)
	if len(f.Issuers) > 0 {
		b.addCondition(policy.Issuers(f.Issuers))
	}
}

func (b *ruleBuilder) buildNoPrincipal(f From) {
	path := append([]any{"spec"}, append(slices.Clone(b.place), "from", "noPrincipal")...)
	switch {
	case !b.document.yaml.Has(path...):
	case !f.NoPrincipal:
		b.addProblem(errors.New("noPrincipal: false sets no condition: remove it"), "from", "noPrincipal")
	case len(f.Workloads) > 0:
		b.addProblem(errors.New("noPrincipal beside workloads: a caller has a name or has none; write two rules"), "from", "noPrincipal")
	default:
		b.addCondition(policy.NoPrincipal{})
	}
}

func (b *ruleBuilder) buildTo(t To) {
	for i, m := range t.Methods {
		if err := method.Check(m); err != nil {
			b.addProblem(fmt.Errorf("method %q: %w", m, err), "methods", i)
		}
	}
	for i, pattern := range t.Hosts {
		if err := host.CheckPattern(pattern); err != nil {
			b.addProblem(fmt.Errorf("host %q: %w", pattern, err), "hosts", i)
		}
	}
	for i, port := range t.Ports {
		if port < 1 || port > 65535 {
			b.addProblem(fmt.Errorf("port %d: want 1 to 65535", port), "ports", i)
		}
	}
	if len(t.Methods) > 0 {
		b.addCondition(policy.Methods(t.Methods))
	}
	if len(t.Hosts) > 0 {
		b.addCondition(policy.Hosts(t.Hosts))
	}
	if len(t.Ports) > 0 {
		b.addCondition(policy.Ports(t.Ports))
	}
	b.buildPaths(t)
}

func (b *ruleBuilder) buildPaths(t To) {
	for i, text := range t.Paths {
		pattern, err := path.ParsePattern(text)
		if err != nil {
			b.addProblem(fmt.Errorf("path %q: %w", text, err), "paths", i)
		}
		b.rule.Paths = append(b.rule.Paths, pattern)
	}
	for i, text := range t.AllowEncoded {
		escape, err := path.ParseEscape(text)
		if err != nil {
			b.addProblem(err, "allowEncoded", i)
		}
		b.rule.AllowEncoded |= escape
	}
	if len(t.AllowEncoded) > 0 && !slices.ContainsFunc(b.rule.Paths, func(p path.Pattern) bool { return len(p.Captures()) > 0 }) {
		b.addProblem(errors.New("allowEncoded admits escapes inside a capture only: write {name} in to.paths"), "allowEncoded")
	}
}

func (b *ruleBuilder) buildScopes() {
	for i, name := range b.yaml.Scopes {
		if name == "" || strings.ContainsAny(name, " \t\n") {
			b.addProblem(fmt.Errorf("scope %q: write one scope in each entry", name), "scopes", i)
		}
	}
	if len(b.yaml.Scopes) > 0 {
		b.addCondition(policy.Scopes(b.yaml.Scopes))
	}
}

func (b *ruleBuilder) buildClaims() {
	names := make([]string, 0, len(b.yaml.Claims))
	for name := range b.yaml.Claims {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.buildClaim(name, b.yaml.Claims[name])
	}
}

func (b *ruleBuilder) buildClaim(name string, values []any) {
	root, rest, nested := strings.Cut(name, ".")
	if object := root == "tctx" || root == "rctx"; !slices.Contains(expr.ClaimNames, root) || object != nested || nested && slices.Contains(strings.Split(rest, "."), "") {
		b.addProblem(unknownClaimError(name, root), "claims", name)
	}
	valid := true
	for i, value := range values {
		if whole, isInt := value.(int); isInt {
			value = int64(whole) // the type that numbers of a token have
			values[i] = value
		}
		if !policy.IsClaimValue(value) {
			valid = false
			b.addProblem(fmt.Errorf("claim %s: want a text, a whole number, true or false; put anything else that a token has as a text in quotes", name), "claims", name, i)
		}
	}
	b.checkMember(name, "claims", name)
	if valid {
		b.addCondition(policy.NewClaim(name, values))
	}
}

// unknownClaimError explains what to write for a claim that no token has under this name.
func unknownClaimError(name, root string) error {
	switch {
	case name == "tctx" || name == "rctx":
		return fmt.Errorf("claim %q: name a member, as in %s.tenant", name, name)
	case slices.Contains(expr.ClaimNames, root):
		return fmt.Errorf("claim %q: want one of %s, with a member below tctx and rctx", name, strings.Join(expr.ClaimNames, ", "))
	}
	return fmt.Errorf("claim %q: write tctx.%s for what gateways add; other claims are %s", name, name, strings.Join(expr.ClaimNames, ", "))
}

// checkMember rejects a member of tctx that no gateway writes, if the loader knows the
// members that gateways write.
func (b *ruleBuilder) checkMember(claim string, path ...any) {
	member, isMember := strings.CutPrefix(claim, "tctx.")
	member, _, _ = strings.Cut(member, ".")
	if b.settings.members == nil || !isMember || slices.Contains(expr.GatewayMembers, member) || slices.Contains(b.settings.members, member) {
		return
	}
	all := append(slices.Clone(expr.GatewayMembers), b.settings.members...)
	slices.Sort(all)
	b.addProblem(fmt.Errorf("claims.tctx.%s is in no token: the known members are %s", member, strings.Join(all, ", ")), path...)
}

func (b *ruleBuilder) buildWhen() {
	if b.yaml.When == "" {
		return
	}
	compiled, err := b.settings.expressions.compile(b.yaml.When)
	if err != nil {
		b.addProblem(fmt.Errorf("when: %w", err), "when")
		return
	}
	reads := compiled.Reads()
	for name, guarded := range reads.Captures {
		if err := b.checkCapture(name, guarded); err != nil {
			b.addProblem(err, "when")
		}
	}
	for claim := range reads.Claims {
		b.checkMember(claim, "when")
	}
	for _, name := range slices.Sorted(maps.Keys(reads.Headers)) {
		b.checkHeader(name)
	}
	b.addCondition(policy.NewWhen(compiled))
}

// checkHeader rejects a header that no sidecar sends, if the loader knows which ones are sent. A rule
// would see a request without it. Waypoints, gateways and the edge send all headers.
func (b *ruleBuilder) checkHeader(name string) {
	if b.settings.headers == nil || slices.Contains(b.settings.headers, name) || !slices.ContainsFunc(b.targets, policy.IsBehindSidecar) {
		return
	}
	b.addProblem(fmt.Errorf("when: the header %q is not among the allowed headers, so no sidecar sends it: "+
		"add it with meshpass istio headers, and apply that to the mesh first", name), "when")
}

// checkCapture rejects a capture that some path does not bind, unless has() guards it.
func (b *ruleBuilder) checkCapture(name string, guarded bool) error {
	bound := 0
	for _, p := range b.rule.Paths {
		if slices.Contains(p.Captures(), name) {
			bound++
		}
	}
	switch {
	case bound == 0:
		return b.unboundCaptureError(name)
	case bound < len(b.rule.Paths) && !guarded:
		return fmt.Errorf("when: path.%s is not bound by every path of this rule: guard it with has(path.%s), or split the rule", name, name)
	}
	return nil
}

// unboundCaptureError lists the captures that the rule has. It is nil if a path could not
// be read, because that path may bind the capture.
func (b *ruleBuilder) unboundCaptureError(name string) error {
	var captures []string
	for i, p := range b.rule.Paths {
		if _, err := path.ParsePattern(b.yaml.To.Paths[i]); err != nil {
			return nil
		}
		captures = append(captures, p.Captures()...)
	}
	slices.Sort(captures)
	captures = slices.Compact(captures)
	if len(captures) == 0 {
		return fmt.Errorf("when: path.%s is not bound: no path of this rule has {%s}", name, name)
	}
	return fmt.Errorf("when: path.%s is not bound%s: the paths of this rule bind %s", name, suggest.DidYouMean(name, captures), strings.Join(captures, ", "))
}
