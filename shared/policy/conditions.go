package policy

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy/expr"
	"github.com/meshpass/meshpass/shared/policy/host"
	"github.com/meshpass/meshpass/shared/policy/path"
)

// Condition is one part of a rule. All conditions of a rule must hold. Paths are no
// conditions: a rule is kept under them, see [RuleSpec].
//
// To add a condition, add its type here. In package source, add its field and its checks to
// rule.go, and its form to schema.json. An attribute that no condition reads yet is added
// to [Request] and the kinds of [Attribute], in request.go.
type Condition interface {
	// Field is the name of the field in the document, such as to.methods or claims.tctx.plan.
	Field() string
	// WantedValue is the value of the field in the document.
	WantedValue() any
	// Stage is the step of a decision that needs the condition.
	Stage() Stage
	// Reads lists the attributes that decide the condition, sorted by name.
	Reads() []Attribute
	// Covers reports that this condition holds whenever the other one does; false: this is
	// not certain.
	Covers(other Condition) bool
	// IsNativeInIstio reports that Istio's AuthorizationPolicy has this condition too.
	IsNativeInIstio() bool

	// matches decides the condition. The pattern is the path of the rule that matched. It is
	// nil if the values of its captures are not known. An error may explain why the
	// condition is undecided.
	matches(*evaluation, *path.Pattern) (verdict, error)
	// comparedValue is the value that the condition compared, for explanations.
	comparedValue(*evaluation, *path.Pattern) any
}

// Stage is the step of a decision that needs a condition. It also determines whether the
// condition counts in an outage.
type Stage int

// The stages of a decision.
const (
	BeforeToken Stage = iota // of from and to, decided without a token
	OfToken                  // decided with the token; skipped where onOutage: allow decides
	OfIssuer                 // decided with the token; a rule with it allows nothing in an outage
)

// verdict is the result of a condition.
type verdict int

// The zero verdict matches nothing.
const (
	no verdict = iota
	yes
	undecided // an attribute that would decide it is missing or of another kind
)

func (v verdict) String() string { return [...]string{"no", "yes", "undecided"}[v] }

func verdictOf(matched bool) verdict {
	if matched {
		return yes
	}
	return no
}

// combineVerdicts is the conjunction: one no decides, even beside an undecided one.
func combineVerdicts(a, b verdict) verdict {
	if a == no || b == no {
		return no
	}
	return max(a, b)
}

func matchAll(conditions []Condition, e *evaluation, p *path.Pattern) verdict {
	result := yes
	for _, c := range conditions {
		v, _ := c.matches(e, p)
		if result = combineVerdicts(result, v); result == no {
			return no
		}
	}
	return result
}

// Callers is from.workloads. It needs the caller's identity: a peer without one may be
// any workload.
type Callers []identity.Pattern

func (Callers) Field() string         { return "from.workloads" }
func (c Callers) WantedValue() any    { return []identity.Pattern(c) }
func (Callers) Stage() Stage          { return BeforeToken }
func (Callers) Reads() []Attribute    { return nil }
func (Callers) IsNativeInIstio() bool { return true }

func (c Callers) Covers(other Condition) bool {
	o, same := other.(Callers)
	return same && Within(o, c, identity.Pattern.Covers)
}

func (c Callers) matches(e *evaluation, _ *path.Pattern) (verdict, error) {
	if e.request.Caller == "" {
		return undecided, nil
	}
	return verdictOf(slices.ContainsFunc(c, func(p identity.Pattern) bool { return p.Match(e.request.Caller) })), nil
}

func (Callers) comparedValue(e *evaluation, _ *path.Pattern) any { return e.request.Caller }

func (c Callers) addKeys(k *indexKeys) { k.callers = c }

// NoPrincipal is from.noPrincipal. It holds where no caller can have an identity. Where
// a caller could have one and it is not known, nothing can be decided.
type NoPrincipal struct{}

func (NoPrincipal) Field() string         { return "from.noPrincipal" }
func (NoPrincipal) WantedValue() any      { return true }
func (NoPrincipal) Stage() Stage          { return BeforeToken }
func (NoPrincipal) Reads() []Attribute    { return []Attribute{noCallerAttribute} }
func (NoPrincipal) IsNativeInIstio() bool { return false }

func (NoPrincipal) Covers(other Condition) bool { return other == Condition(NoPrincipal{}) }

func (NoPrincipal) matches(e *evaluation, _ *path.Pattern) (verdict, error) {
	if e.request.Caller == "" && !e.request.NoCaller {
		return undecided, nil
	}
	return verdictOf(e.request.Caller == ""), nil
}

func (NoPrincipal) comparedValue(e *evaluation, _ *path.Pattern) any { return e.request.Caller }

// Issuers is from.issuers.
type Issuers []string

func (Issuers) Field() string         { return "from.issuers" }
func (c Issuers) WantedValue() any    { return []string(c) }
func (Issuers) Stage() Stage          { return OfIssuer }
func (Issuers) Reads() []Attribute    { return []Attribute{claimAttribute("iss")} }
func (Issuers) IsNativeInIstio() bool { return true }

func (c Issuers) Covers(other Condition) bool {
	o, same := other.(Issuers)
	return same && Within(o, c, isEqual[string])
}

func (c Issuers) matches(e *evaluation, _ *path.Pattern) (verdict, error) {
	if e.claims == nil {
		return undecided, nil
	}
	return verdictOf(slices.Contains(c, e.claims.Issuer)), nil
}

func (Issuers) comparedValue(e *evaluation, _ *path.Pattern) any { return e.claimValue("iss") }

// Methods is to.methods.
type Methods []string

func (Methods) Field() string         { return "to.methods" }
func (c Methods) WantedValue() any    { return []string(c) }
func (Methods) Stage() Stage          { return BeforeToken }
func (Methods) Reads() []Attribute    { return nil }
func (Methods) IsNativeInIstio() bool { return true }

func (c Methods) Covers(other Condition) bool {
	o, same := other.(Methods)
	return same && Within(o, c, isEqual[string])
}

func (c Methods) matches(e *evaluation, _ *path.Pattern) (verdict, error) {
	return verdictOf(slices.Contains(c, e.request.Method)), nil
}

func (Methods) comparedValue(e *evaluation, _ *path.Pattern) any { return e.request.Method }

// Hosts is to.hosts: names, addresses, and wildcards, as package host compares them.
type Hosts []string

func (Hosts) Field() string         { return "to.hosts" }
func (c Hosts) WantedValue() any    { return []string(c) }
func (Hosts) Stage() Stage          { return BeforeToken }
func (Hosts) Reads() []Attribute    { return []Attribute{hostAttribute} }
func (Hosts) IsNativeInIstio() bool { return true }

func (c Hosts) Covers(other Condition) bool {
	o, same := other.(Hosts)
	return same && Within(o, c, host.Covers)
}

func (c Hosts) matches(e *evaluation, _ *path.Pattern) (verdict, error) {
	return verdictOf(slices.ContainsFunc(c, func(pattern string) bool { return host.Match(pattern, e.host) })), nil
}

func (Hosts) comparedValue(e *evaluation, _ *path.Pattern) any { return e.host }

func (c Hosts) addKeys(k *indexKeys) { k.hosts = c }

// Ports is to.ports.
type Ports []uint32

func (Ports) Field() string         { return "to.ports" }
func (c Ports) WantedValue() any    { return []uint32(c) }
func (Ports) Stage() Stage          { return BeforeToken }
func (Ports) Reads() []Attribute    { return []Attribute{portAttribute} }
func (Ports) IsNativeInIstio() bool { return true }

func (c Ports) Covers(other Condition) bool {
	o, same := other.(Ports)
	return same && Within(o, c, isEqual[uint32])
}

func (c Ports) matches(e *evaluation, _ *path.Pattern) (verdict, error) {
	return verdictOf(slices.Contains(c, e.request.Port)), nil
}

func (Ports) comparedValue(e *evaluation, _ *path.Pattern) any { return e.request.Port }

// Scopes is scopes: the token must have all of them. Of every other list, one entry is enough.
type Scopes []string

func (Scopes) Field() string         { return "scopes" }
func (c Scopes) WantedValue() any    { return []string(c) }
func (Scopes) Stage() Stage          { return OfToken }
func (Scopes) Reads() []Attribute    { return []Attribute{claimAttribute("scope")} }
func (Scopes) IsNativeInIstio() bool { return true }

// Covers: fewer scopes cover more.
func (c Scopes) Covers(other Condition) bool {
	o, same := other.(Scopes)
	return same && Within(c, o, isEqual[string])
}

func (c Scopes) matches(e *evaluation, _ *path.Pattern) (verdict, error) {
	if e.claims == nil {
		return undecided, nil
	}
	return verdictOf(!slices.ContainsFunc(c, func(name string) bool { return !slices.Contains(e.scopes, name) })), nil
}

func (Scopes) comparedValue(e *evaluation, _ *path.Pattern) any { return e.claimValue("scope") }

func (c Scopes) addKeys(k *indexKeys) { k.claim, k.texts = scopesKey, c[:1] }

// Claim is an entry of claims. It compares a claim, or each entry of a claim that is a
// list, with the values that the rule lists. An entry of another kind than all of these
// decides nothing: "true" is not true, and must not dodge a deny on true.
type Claim struct {
	name   string
	path   []string
	values []any
	listed map[any]bool // each entry of the token's list is looked up once
	kinds  map[reflect.Type]bool
}

// NewClaim wants a dotted name, such as tctx.tenant, and values that [IsClaimValue] accepts.
func NewClaim(name string, values []any) *Claim {
	c := &Claim{name: name, path: strings.Split(name, "."), values: values, listed: make(map[any]bool, len(values)), kinds: map[reflect.Type]bool{}}
	for _, value := range values {
		c.listed[value], c.kinds[reflect.TypeOf(value)] = true, true
	}
	return c
}

// IsClaimValue reports a text, an int64 or a bool. It also keeps the comparison from
// meeting values that Go cannot compare.
func IsClaimValue(value any) bool {
	switch value.(type) {
	case string, bool, int64:
		return true
	}
	return false
}

// Name is the dotted name of the claim.
func (c *Claim) Name() string { return c.name }

// Values lists the values. The claim must have one of them.
func (c *Claim) Values() []any { return c.values }

func (c *Claim) Field() string         { return "claims." + c.name }
func (c *Claim) WantedValue() any      { return c.values }
func (c *Claim) Stage() Stage          { return OfToken }
func (c *Claim) Reads() []Attribute    { return []Attribute{claimAttribute(c.name)} }
func (c *Claim) IsNativeInIstio() bool { return true }

func (c *Claim) Covers(other Condition) bool {
	o, same := other.(*Claim)
	return same && o.name == c.name && Within(o.values, c.values, isEqual[any])
}

func (c *Claim) matches(e *evaluation, _ *path.Pattern) (verdict, error) {
	value, ok := e.claims.Lookup(c.path...)
	if !ok {
		return undecided, nil
	}
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	result := no
	for _, entry := range list {
		switch {
		case !IsClaimValue(entry):
			result = undecided
		case c.listed[entry]:
			return yes, nil
		case !c.kinds[reflect.TypeOf(entry)]:
			result = undecided
		}
	}
	return result, nil
}

func (c *Claim) comparedValue(e *evaluation, _ *path.Pattern) any { return e.claimValue(c.path...) }

// addKeys gives no key if one value is no text. Any claim of another kind decides nothing
// then.
func (c *Claim) addKeys(k *indexKeys) {
	var texts []string
	for _, value := range c.values {
		text, isText := value.(string)
		if !isText {
			return
		}
		texts = append(texts, text)
	}
	k.claim, k.texts = c.name, texts
}

// When is when: an expression over the request, the token and the captures of the path
// that matched.
type When struct {
	expression *expr.Expression
	reads      []Attribute
	captures   map[string]bool // that the expression reads
}

// NewWhen makes a condition of an expression.
func NewWhen(expression *expr.Expression) *When {
	reads := expression.Reads()
	return &When{expression: expression, reads: attributesOf(reads), captures: reads.Captures}
}

// Expression gives the compiled expression.
func (c *When) Expression() *expr.Expression { return c.expression }

func (c *When) Field() string         { return "when" }
func (c *When) WantedValue() any      { return c.expression.Text() }
func (c *When) Stage() Stage          { return OfToken }
func (c *When) Reads() []Attribute    { return c.reads }
func (c *When) IsNativeInIstio() bool { return false }

func (c *When) Covers(other Condition) bool {
	o, same := other.(*When)
	return same && o.expression.Text() == c.expression.Text()
}

var errUnbound = errors.New("no path of the rule matches for certain, so nothing is captured")

func (c *When) matches(e *evaluation, p *path.Pattern) (verdict, error) {
	var captures map[string]string
	if len(c.captures) > 0 {
		if p == nil {
			return undecided, errUnbound
		}
		captures = e.readCaptures(p)
	}
	matched, err := c.expression.Eval(e.variables(captures))
	if err != nil {
		return undecided, err
	}
	return verdictOf(matched), nil
}

// comparedValue gives all values that the expression reads, by name.
func (c *When) comparedValue(e *evaluation, p *path.Pattern) any {
	all := inputsOf(c.reads, &e.request, e.claims)
	if p != nil {
		for name, value := range p.Capture(e.segments) {
			if _, reads := c.captures[name]; reads {
				all["path."+name] = value
			}
		}
	}
	return all
}

// Within reports whether each of inner is covered by one of outer.
func Within[T any](inner, outer []T, covers func(outer, inner T) bool) bool {
	for _, b := range inner {
		if !slices.ContainsFunc(outer, func(a T) bool { return covers(a, b) }) {
			return false
		}
	}
	return true
}

func isEqual[T comparable](a, b T) bool { return a == b }
