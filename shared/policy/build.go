package policy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/meshpass/meshpass/shared/identity"
)

// ruleBuilder turns the fields of one rule into conditions.
type ruleBuilder struct {
	compiler
	source *source
	spec   *ruleSpec
	rule   *rule
	where  []any
}

func (b *ruleBuilder) fail(err error, path ...any) {
	b.source.problem(&b.source.problems, err, append(slices.Clone(b.where), path...)...)
}

func (b *ruleBuilder) build() *rule {
	r := b.rule
	r.name, r.place = b.spec.Name, b.source.yaml.At(append([]any{"spec"}, b.where...)...)
	b.head()
	b.hostsAlone()
	b.from(b.spec.From)
	b.where = append(b.where, "to")
	b.to(b.spec.To)
	b.where = b.where[:len(b.where)-1]
	b.claims()
	b.when()
	if r.kind == lateDeny && len(r.inner) == 0 {
		r.kind = earlyDeny
	}
	return r
}

func (b *ruleBuilder) head() {
	r := b.rule
	switch {
	case r.name == "":
		b.fail(errors.New("a rule needs a name"), "name")
	case !nameForm.MatchString(r.name):
		b.fail(fmt.Errorf("rule name %q: %s", r.name, nameRule), "name")
	}
	switch b.spec.Effect {
	case "allow":
		r.kind = allow
	case "deny":
		r.kind = lateDeny
	case "":
		b.fail(errors.New("a rule needs an effect: write effect: allow, or effect: deny"), "effect")
	default:
		b.fail(fmt.Errorf("effect %q: write allow or deny", b.spec.Effect), "effect")
	}
	if !slices.Contains([]string{"", string(Enforce), string(Shadow)}, b.spec.Mode) {
		b.fail(fmt.Errorf("mode %q: want enforce or shadow", b.spec.Mode), "mode")
	}
	if r.document.shadow && b.spec.Mode == string(Enforce) {
		b.fail(errors.New("mode: enforce in a document that is in shadow: nothing of it is enforced"), "mode")
	}
	r.shadow = r.document.shadow || b.spec.Mode == string(Shadow)
}

// hostsAlone refuses rules whose only scope the client chooses.
func (b *ruleBuilder) hostsAlone() {
	f, t := b.spec.From, b.spec.To
	if len(t.Hosts) == 0 || len(t.Methods)+len(t.Paths)+len(t.Ports) > 0 {
		return
	}
	others := len(f.Workloads)+len(f.Issuers)+len(b.spec.Scopes)+len(b.spec.Claims) > 0 || f.NoPrincipal || b.spec.When != ""
	service := slices.ContainsFunc(b.rule.document.targets, func(p identity.Pattern) bool { return p.Literal().IsService() })
	switch {
	case b.rule.kind.denies() && !others:
		b.fail(errors.New("a deny rule on hosts alone: the client chooses the host, and would choose another"), "to", "hosts")
	case b.rule.kind == allow && service:
		b.fail(errors.New("an allow rule for a service, narrowed by hosts alone: a waypoint routes by the service's address, whatever the host says; add paths, or remove hosts"), "to", "hosts")
	}
}

func (b *ruleBuilder) outer(c condition) { b.rule.outer = append(b.rule.outer, c) }
func (b *ruleBuilder) inner(c condition) { b.rule.inner = append(b.rule.inner, c) }

func (b *ruleBuilder) from(f from) {
	for i, text := range f.Workloads {
		w, err := b.Domains.ParsePattern(text)
		if err != nil {
			b.fail(err, "from", "workloads", i)
		}
		b.rule.callers = append(b.rule.callers, w)
	}
	if len(f.Workloads) > 0 {
		b.outer(callerIn(b.rule.callers))
		if slices.ContainsFunc(b.rule.document.targets, func(p identity.Pattern) bool { return p.Literal().IsEdge() }) {
			b.fail(errors.New("a document that targets the edge: no caller has a name there; use noPrincipal, or a document of its own"), "from", "workloads")
		}
	}
	b.noPrincipal(f)
	if len(f.Issuers) > 0 {
		b.read("iss")
		b.rule.issued = true
		b.inner(issuerIn(f.Issuers))
	}
}

func (b *ruleBuilder) noPrincipal(f from) {
	path := append([]any{"spec"}, append(slices.Clone(b.where), "from", "noPrincipal")...)
	switch {
	case !b.source.yaml.Has(path...):
	case !f.NoPrincipal:
		b.fail(errors.New("noPrincipal: false sets no condition: remove it"), "from", "noPrincipal")
	case len(f.Workloads) > 0:
		b.fail(errors.New("noPrincipal beside workloads: a caller has a name or has none; write two rules"), "from", "noPrincipal")
	default:
		b.rule.document.reads.noCaller = true
		b.outer(noPrincipal())
	}
}
