package source

import (
	"errors"
	"fmt"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// buildDocument compiles a well-formed document for the engine. It adds all mistakes to
// the document's problems.
func buildDocument(d *Document, settings buildSettings) *policy.Document {
	spec := d.Policy.Spec
	head := policy.DocumentSpec{
		Name: d.Policy.Metadata.Name, File: d.File, Folder: d.folder.Name, Guardrail: d.folder.Guardrail, Content: d.content,
		Shadow: d.isShadow(), IdentityOptional: spec.Identity == "optional", AllowOnOutage: spec.OnOutage == "allow",
	}
	if settings.noHomeIssuer && head.AllowOnOutage {
		d.addProblem(errors.New("onOutage: allow needs an entry of trust with home: true: only missing keys of our own issuers are an outage"), "onOutage")
	}
	head.Targets = parseTargets(d, settings.domains)
	var rules []policy.RuleSpec
	for i, entry := range spec.Public {
		b := ruleBuilder{document: d, settings: settings, targets: head.Targets, place: []any{"public", i}}
		b.buildPublic(i, entry)
		rules = append(rules, b.rule)
	}
	lines := map[string]int{}
	for i := range spec.Rules {
		b := ruleBuilder{document: d, settings: settings, targets: head.Targets, yaml: &spec.Rules[i], place: []any{"rules", i}}
		b.buildRule()
		rules = append(rules, b.rule)
		if line, again := lines[b.rule.Name]; again {
			b.addProblem(fmt.Errorf("a second rule is named %q, the first one is in line %d: give each its own name", b.rule.Name, line), "name")
		}
		lines[b.rule.Name] = b.rule.Line
	}
	return policy.NewDocument(head, rules)
}

func parseTargets(d *Document, domains identity.TrustDomains) []identity.Pattern {
	var targets []identity.Pattern
	for i, text := range d.Policy.Spec.Targets.Workloads {
		target, err := domains.ParseTarget(text)
		if err == nil && !d.folder.mayHaveTarget(target) {
			err = fmt.Errorf("%s: documents of %s may target %s only", text, d.folder.Name, strings.Join(d.folder.MayTarget, ", "))
		}
		if err != nil {
			d.addProblem(err, "targets", "workloads", i)
		}
		targets = append(targets, target)
	}
	return targets
}
