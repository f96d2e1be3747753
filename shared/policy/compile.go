package policy

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

// compiler turns documents that are of the right form into rules.
type compiler struct {
	Loader
	expressions map[string]compiledExpression // by their text
}

func (l compiler) compile(s *source) *compiled {
	c := &compiled{
		name: s.Metadata.Name, file: s.file, folder: s.folder.Name, guardrail: s.folder.Guardrail, content: s.content, place: s.yaml.At(),
		shadow: s.Spec.Mode == string(Shadow), optional: s.Spec.Identity == "optional", outageAllow: s.Spec.OnOutage == "allow", reads: newReads(),
	}
	if l.NoHomeIssuer && c.outageAllow {
		s.problem(&s.problems, errors.New("onOutage: allow needs an entry of trust with home: true: only missing keys of our own issuers are an outage"), "onOutage")
	}
	c.targets = l.targets(s)
	for i, entry := range s.Spec.Public {
		c.rules = append(c.rules, l.public(s, c, i, entry))
	}
	names := map[string]strictyaml.Position{}
	var rules []*rule
	for i := range s.Spec.Rules {
		b := &ruleBuilder{compiler: l, source: s, spec: &s.Spec.Rules[i], rule: &rule{document: c}, where: []any{"rules", i}}
		rules = append(rules, b.build())
		if first, again := names[b.rule.name]; again {
			b.fail(fmt.Errorf("a second rule is named %q, the first one is in line %d: give each its own name", b.rule.name, first.Line), "name")
		}
		names[b.rule.name] = b.rule.place
	}
	sort.Slice(rules, func(i, j int) bool { return rules[i].name < rules[j].name })
	c.rules = append(c.rules, rules...)
	for i, r := range c.rules {
		r.order = i
	}
	return c
}

func (l compiler) targets(s *source) []identity.Pattern {
	var targets []identity.Pattern
	for i, text := range s.Spec.Targets.Workloads {
		w, err := l.Domains.ParseTarget(text)
		if err == nil && !s.folder.mayTarget(w) {
			err = fmt.Errorf("%s: documents of %s may target %s only", text, s.folder.Name, strings.Join(s.folder.MayTarget, ", "))
		}
		if err != nil {
			s.problem(&s.problems, err, "targets", "workloads", i)
		}
		targets = append(targets, w)
	}
	return targets
}

// public wants paths: an entry without would open a whole workload.
func (l compiler) public(s *source, c *compiled, i int, entry publicEntry) *rule {
	r := &rule{document: c, name: fmt.Sprintf("public[%d]", i), kind: public, shadow: c.shadow, place: s.yaml.At("spec", "public", i)}
	b := &ruleBuilder{compiler: l, source: s, rule: r, where: []any{"public", i}}
	if len(entry.Paths) == 0 {
		b.fail(errors.New("a public entry must list paths"))
	}
	b.to(to{Methods: entry.Methods, Paths: entry.Paths})
	return r
}
