package policy

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy/expr"
	"github.com/meshpass/meshpass/shared/policy/path"
)

// DocumentSpec is an AccessPolicy without its rules, checked and parsed. Package source
// makes it from YAML.
type DocumentSpec struct {
	Name, Folder, File string

	Targets          []identity.Pattern
	Shadow           bool
	IdentityOptional bool // identity: optional
	AllowOnOutage    bool // onOutage: allow
	Guardrail        bool // by its folder

	Content [sha256.Size]byte // hash of its file
}

// Document is a compiled document. It never changes.
type Document struct {
	spec  DocumentSpec
	rules []*Rule
	reads []Attribute
}

// NewDocument compiles a document with its rules and public entries. The caller does not
// change the specs afterwards.
func NewDocument(spec DocumentSpec, rules []RuleSpec) *Document {
	d := &Document{spec: spec, rules: make([]*Rule, 0, len(rules))}
	for _, r := range rules {
		d.rules = append(d.rules, newRule(d, r))
	}
	slices.SortStableFunc(d.rules, compareInDocument)
	for i, r := range d.rules {
		r.order = i
		for _, c := range r.Conditions() {
			d.reads = append(d.reads, c.Reads()...)
		}
	}
	d.reads = sortAttributes(d.reads)
	return d
}

// compareInDocument puts public entries first, in their order, then rules by name.
func compareInDocument(a, b *Rule) int {
	switch {
	case a.step == publicStep && b.step == publicStep:
		return 0
	case a.step == publicStep:
		return -1
	case b.step == publicStep:
		return 1
	}
	return strings.Compare(a.spec.Name, b.spec.Name)
}

// Spec is the description that [NewDocument] compiled. Do not change it.
func (d *Document) Spec() *DocumentSpec { return &d.spec }

// Rules are the public entries in their order, then the rules by name.
func (d *Document) Rules() []*Rule { return d.rules }

// Denies reports whether the document has a deny rule, in shadow or not.
func (d *Document) Denies() bool { return d.deniesAt(withShadow) }

func (d *Document) deniesAt(l level) bool {
	return slices.ContainsFunc(d.rules, func(r *Rule) bool { return r.isDenial() && r.countsAt(l) })
}

// admittedEscapes are the escapes that some rule admits in a capture.
func (d *Document) admittedEscapes(l level) path.Escapes {
	var all path.Escapes
	for _, r := range d.rules {
		if r.countsAt(l) {
			all |= r.spec.AllowEncoded
		}
	}
	return all
}

// readsHost reports whether a rule that counts looks at the request's host.
func (d *Document) readsHost(l level) bool {
	return slices.ContainsFunc(d.rules, func(r *Rule) bool { return r.countsAt(l) && r.ReadsHost() })
}

// CompareDocuments orders documents by name, and by folder where two folders have
// documents of one name.
func CompareDocuments(a, b *Document) int {
	return cmp.Or(strings.Compare(a.spec.Name, b.spec.Name), strings.Compare(a.spec.Folder, b.spec.Folder))
}

// Effect is what a rule does with a request that it matches. The zero Effect denies.
type Effect int

// The effects of rules.
const (
	Deny   Effect = iota
	Allow         // of requests with a valid token
	Public        // an entry of spec.public: allows requests without a token too
)

// RuleSpec is a rule or a public entry, checked and parsed.
type RuleSpec struct {
	Name         string // public[0], public[1] … for public entries
	Effect       Effect
	Shadow       bool // by its own mode, or its document's
	Line, Column int

	Paths        []path.Pattern // to.paths; empty: every path
	AllowEncoded path.Escapes   // to.allowEncoded
	Conditions   []Condition
}

// Rule is a compiled rule, or public entry. It never changes.
type Rule struct {
	document *Document
	spec     RuleSpec
	step     step
	order    int // its place in its document

	conditions  []Condition // beforeToken, then withToken
	beforeToken []Condition // of from and to
	withToken   []Condition // all others
	hasIssuer   bool        // one of these is of the stage OfIssuer
	readsHost   bool
	readsToken  bool
	keys        indexKeys
}

// step is when a rule decides. Denies that need no token come before all others.
type step int

const (
	publicStep step = iota
	earlyDeny       // on from and to alone, which no token can lift
	lateDeny
	allowStep
	numSteps
)

func newRule(d *Document, spec RuleSpec) *Rule {
	r := &Rule{document: d, spec: spec, conditions: slices.Clone(spec.Conditions)}
	slices.SortStableFunc(r.conditions, func(a, b Condition) int { return compareStages(a.Stage(), b.Stage()) })
	n := len(r.conditions)
	if i := slices.IndexFunc(r.conditions, func(c Condition) bool { return c.Stage() != BeforeToken }); i >= 0 {
		n = i
	}
	r.beforeToken, r.withToken = r.conditions[:n:n], r.conditions[n:]
	for _, c := range r.conditions {
		r.hasIssuer = r.hasIssuer || c.Stage() == OfIssuer
		for _, a := range c.Reads() {
			r.readsHost = r.readsHost || a.name == hostAttribute.name
			r.readsToken = r.readsToken || strings.HasPrefix(a.name, claimPrefix)
		}
		if indexed, ok := c.(indexedCondition); ok {
			indexed.addKeys(&r.keys)
		}
	}
	switch {
	case spec.Effect == Allow:
		r.step = allowStep
	case spec.Effect == Public:
		r.step = publicStep
	case len(r.withToken) == 0:
		r.step = earlyDeny
	default:
		r.step = lateDeny
	}
	return r
}

// Spec is the description that [NewDocument] compiled. Do not change it.
func (r *Rule) Spec() *RuleSpec { return &r.spec }

// Document is the document that has the rule.
func (r *Rule) Document() *Document { return r.document }

// compareStages puts conditions that need no token first.
func compareStages(a, b Stage) int {
	switch {
	case a == BeforeToken && b != BeforeToken:
		return -1
	case a != BeforeToken && b == BeforeToken:
		return 1
	}
	return 0
}

// Conditions are those of from and to, which are decided before the token is read, then
// the others. Do not change the list.
func (r *Rule) Conditions() []Condition { return r.conditions }

// DecidesBeforeToken reports whether the rule has conditions of from and to alone.
func (r *Rule) DecidesBeforeToken() bool { return len(r.withToken) == 0 }

// With gives a copy of the rule with other paths and conditions, to compare it with
// other rules.
func (r *Rule) With(paths []path.Pattern, conditions []Condition) *Rule {
	spec := r.spec
	spec.Paths, spec.Conditions = paths, conditions
	changed := newRule(r.document, spec)
	changed.order = r.order
	return changed
}

// Expression is the expression of the condition when; nil: the rule has no such condition.
func (r *Rule) Expression() *expr.Expression {
	for _, c := range r.withToken {
		if when, ok := c.(*When); ok {
			return when.expression
		}
	}
	return nil
}

// ReadsHost reports whether the rule looks at the request's host.
func (r *Rule) ReadsHost() bool { return r.readsHost }

// ReadsToken reports whether the rule looks at a claim.
func (r *Rule) ReadsToken() bool { return r.readsToken }

func (r *Rule) isDenial() bool { return r.spec.Effect == Deny }

func (r *Rule) isGuardrail() bool { return r.document.spec.Guardrail }

func (r *Rule) countsAt(l level) bool { return !r.spec.Shadow || l == withShadow }

// CompareRules orders rules by document, and within one as [Document.Rules] does.
func CompareRules(a, b *Rule) int {
	if a.document != b.document {
		return CompareDocuments(a.document, b.document)
	}
	return a.order - b.order
}

// candidate is a rule with one of its paths. A rule with several paths is several
// candidates; their order does not matter.
type candidate struct {
	*Rule
	pattern *path.Pattern // nil: every path
}

func (r *Rule) candidates() []candidate {
	if len(r.spec.Paths) == 0 {
		return []candidate{{Rule: r}}
	}
	all := make([]candidate, len(r.spec.Paths))
	for i := range r.spec.Paths {
		all[i] = candidate{r, &r.spec.Paths[i]}
	}
	return all
}

// match is the conjunction of all conditions, after the index has found that the path matches.
func (c candidate) match(e *evaluation) verdict {
	path, pattern := c.matchFoundPath(e)
	outside := combineVerdicts(path, matchAll(c.beforeToken, e, pattern))
	if outside == no {
		return no
	}
	return combineVerdicts(outside, matchAll(c.withToken, e, pattern))
}

// matchBeforeToken is the part of match that needs no token.
func (c candidate) matchBeforeToken(e *evaluation) verdict {
	path, pattern := c.matchFoundPath(e)
	return combineVerdicts(path, matchAll(c.beforeToken, e, pattern))
}

// matchPath compares the path too. For match, the index has done that.
func (c candidate) matchPath(e *evaluation) (verdict, *path.Pattern) {
	if e.ambiguous == nil && c.pattern != nil && !c.pattern.Match(e.segments) {
		return no, nil
	}
	return c.matchFoundPath(e)
}

// matchFoundPath gives no pattern if the values of its captures are not certain.
func (c candidate) matchFoundPath(e *evaluation) (verdict, *path.Pattern) {
	if e.ambiguous == nil {
		return yes, c.pattern
	}
	v := c.matchAmbiguousPath(e)
	if v != yes {
		return v, nil
	}
	return v, c.pattern
}

// matchAmbiguousPath compares a path that servers may read in two ways. An allow rule
// must admit each ambiguous segment in a capture. For a deny rule the segments before the
// first ambiguous one are certain, and those after it could be anything. So a deny rule
// that reaches that far cannot be decided, and denies.
func (c candidate) matchAmbiguousPath(e *evaluation) verdict {
	switch {
	case c.pattern == nil:
		return verdictOf(c.isDenial())
	case c.pattern.Match(e.segments) && c.pattern.AdmitsEscapes(e.ambiguous, c.spec.AllowEncoded):
		return yes
	case c.isDenial():
		matched, certain := c.pattern.MatchBefore(e.segments, e.ambiguous[0].Index)
		if !certain {
			return undecided
		}
		return verdictOf(matched)
	}
	return no
}
