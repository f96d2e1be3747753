package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/strictyaml"
)

// rule is a compiled rule, or public entry.
type rule struct {
	policy, name string
	deny         bool
	early        bool // reads nothing but from.workloads and to, so it needs no token
	conditions   []condition
}

// compiled is one document, ready to decide.
type compiled struct {
	name     string
	targets  []identity.Pattern
	optional bool
	public   []rule
	rules    []rule // sorted by name, so that their order in the file tells nothing
	reads    reads
}

func (l Loader) compile(s *source) (*compiled, strictyaml.Problems) {
	var p strictyaml.Problems
	c := &compiled{name: s.Metadata.Name, optional: s.Spec.Identity == "optional", reads: newReads()}
	service := false
	for i, text := range s.Spec.Targets.Workloads {
		w, err := l.Domains.ParseTarget(text)
		if err != nil {
			s.problem(&p, err, "targets", "workloads", i)
		}
		c.targets = append(c.targets, w)
		service = service || w.Literal().IsService()
	}
	for i, entry := range s.Spec.Public {
		c.public = append(c.public, compilePublic(s, &p, i, entry))
	}
	names := map[string]bool{}
	for i := range s.Spec.Rules {
		b := &ruleBuilder{source: s, domains: l.Domains, index: i, spec: &s.Spec.Rules[i], problems: &p, reads: &c.reads}
		r := b.build(c.name)
		if service && !r.deny && narrowedByHostsOnly(b.spec.To) {
			b.fail(errors.New("an allow rule for a service, narrowed by hosts alone: a waypoint routes by the service's address, whatever the host says; add paths, or remove hosts"), "to", "hosts")
		}
		if names[r.name] {
			s.problem(&p, fmt.Errorf("rule %q stands twice", r.name), "rules", i, "name")
		}
		names[r.name] = true
		c.rules = append(c.rules, r)
	}
	sort.Slice(c.rules, func(i, j int) bool { return c.rules[i].name < c.rules[j].name })
	return c, p.In(s.file)
}

// compilePublic wants paths: an entry without would open a whole workload.
func compilePublic(s *source, p *strictyaml.Problems, i int, entry publicEntry) rule {
	r := rule{policy: s.Metadata.Name, name: fmt.Sprintf("public[%d]", i), early: true}
	if len(entry.Paths) == 0 {
		s.problem(p, errors.New("a public entry must list paths"), "public", i)
	}
	b := &ruleBuilder{source: s, problems: p, where: []any{"public", i}}
	b.to(to{Methods: entry.Methods, Paths: entry.Paths})
	r.conditions = b.conditions
	return r
}

// ruleBuilder turns the fields of one rule into conditions.
type ruleBuilder struct {
	source     *source
	domains    identity.TrustDomains
	index      int
	spec       *ruleSpec
	problems   *strictyaml.Problems
	reads      *reads
	where      []any
	conditions []condition
	patterns   []pattern
}

func (b *ruleBuilder) fail(err error, path ...any) {
	b.source.problem(b.problems, err, append(slices.Clone(b.where), path...)...)
}

func (b *ruleBuilder) build(policy string) rule {
	b.where = []any{"rules", b.index}
	r := rule{policy: policy, name: b.spec.Name, deny: b.spec.Effect == "deny"}
	if !nameForm.MatchString(b.spec.Name) {
		b.fail(fmt.Errorf("a rule needs a name of the form %s", nameForm), "name")
	}
	if b.spec.Effect != "allow" && b.spec.Effect != "deny" {
		b.fail(errors.New("effect: want allow or deny"), "effect")
	}
	if r.deny && onlyHosts(b.spec) {
		b.fail(errors.New("a deny rule on hosts alone: the client chooses the host, and would choose another"), "to", "hosts")
	}
	b.from(b.spec.From)
	b.where = append(b.where, "to")
	b.to(b.spec.To)
	b.where = b.where[:len(b.where)-1]
	b.claims()
	b.when()
	r.conditions = b.conditions
	r.early = len(b.spec.From.Issuers) == 0 && len(b.spec.Scopes) == 0 && len(b.spec.Claims) == 0 && b.spec.When == ""
	return r
}

func narrowedByHostsOnly(t to) bool {
	return len(t.Hosts) > 0 && len(t.Methods)+len(t.Paths)+len(t.Ports) == 0
}

func onlyHosts(r *ruleSpec) bool {
	return narrowedByHostsOnly(r.To) &&
		len(r.From.Workloads)+len(r.From.Issuers)+len(r.Scopes)+len(r.Claims) == 0 && r.When == ""
}

func (b *ruleBuilder) add(c condition) { b.conditions = append(b.conditions, c) }

func (b *ruleBuilder) from(f from) {
	if len(f.Workloads) > 0 {
		var patterns []identity.Pattern
		for i, text := range f.Workloads {
			w, err := b.domains.ParsePattern(text)
			if err != nil {
				b.fail(err, "from", "workloads", i)
			}
			patterns = append(patterns, w)
		}
		b.add(callerIn(patterns))
	}
	if len(f.Issuers) > 0 {
		b.reads.claims["iss"] = true
		b.add(issuerIn(f.Issuers))
	}
}

var methodForm = regexp.MustCompile(`^[A-Z]+$`)

func (b *ruleBuilder) to(t to) {
	if len(t.Methods) > 0 {
		for i, m := range t.Methods {
			if !methodForm.MatchString(m) {
				b.fail(fmt.Errorf("method %q: methods are written in capitals", m), "methods", i)
			}
		}
		b.add(methodIn(t.Methods))
	}
	if len(t.Hosts) > 0 {
		for i, host := range t.Hosts {
			if host != normalHost(host) {
				b.fail(fmt.Errorf("host %q: write %q, hosts compare without port", host, normalHost(host)), "hosts", i)
			}
		}
		b.add(hostIn(t.Hosts))
	}
	if len(t.Ports) > 0 {
		for i, port := range t.Ports {
			if port == 0 || port > 65535 {
				b.fail(fmt.Errorf("port %d: want 1 to 65535", port), "ports", i)
			}
		}
		b.reads.port = true
		b.add(portIn(t.Ports))
	}
	b.paths(t.Paths)
}

func (b *ruleBuilder) paths(texts []string) {
	for i, text := range texts {
		p, err := parsePattern(text)
		if err != nil {
			b.fail(fmt.Errorf("path %q: %w", text, err), "paths", i)
		}
		b.patterns = append(b.patterns, p)
	}
	if len(texts) > 0 {
		b.add(pathIn(b.patterns))
	}
}

func (b *ruleBuilder) claims() {
	if len(b.spec.Scopes) > 0 {
		for i, name := range b.spec.Scopes {
			if name == "" || strings.ContainsAny(name, " \t\n") {
				b.fail(fmt.Errorf("scope %q: one scope an entry", name), "scopes", i)
			}
		}
		b.reads.claims["scope"] = true
		b.add(hasScopes(b.spec.Scopes))
	}
	for name, values := range b.spec.Claims {
		b.claim(name, values)
	}
}

func (b *ruleBuilder) claim(name string, values []any) {
	root, rest, nested := strings.Cut(name, ".")
	if object := root == "tctx" || root == "rctx"; !slices.Contains(topLevelClaims, root) || object != nested || nested && slices.Contains(strings.Split(rest, "."), "") {
		b.fail(fmt.Errorf("claim %q: want one of %s, with a member below tctx and rctx", name, strings.Join(topLevelClaims, ", ")), "claims", name)
	}
	for i, value := range values {
		if whole, isInt := value.(int); isInt {
			value = int64(whole) // the type that numbers of a token have
			values[i] = value
		}
		if !isScalar(value) {
			b.fail(errors.New("want a text, a whole number, true or false"), "claims", name, i)
		}
	}
	b.reads.claims[name] = true
	b.add(claimIn(name, values))
}

func (b *ruleBuilder) when() {
	if b.spec.When == "" {
		return
	}
	e, err := compileExpression(b.spec.When)
	if err != nil {
		b.fail(fmt.Errorf("when: %w", err), "when")
		return
	}
	for name, guarded := range e.reads.captures {
		if err := b.checkCapture(name, guarded); err != nil {
			b.fail(err, "when")
		}
	}
	b.reads.add(e.reads)
	b.add(e.condition(b.patterns))
}

// checkCapture wants a capture bound by every path, or asked for with has().
func (b *ruleBuilder) checkCapture(name string, guarded bool) error {
	bound := 0
	for _, p := range b.patterns {
		if slices.Contains(p.captures(), name) {
			bound++
		}
	}
	switch {
	case bound == 0:
		return fmt.Errorf("when: path.%s is bound by no path of this rule: write {%s} in to.paths", name, name)
	case bound < len(b.patterns) && !guarded:
		return fmt.Errorf("when: path.%s is not bound by every path of this rule: guard it with has(path.%s), or split the rule", name, name)
	}
	return nil
}
