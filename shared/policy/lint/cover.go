package lint

import (
	"fmt"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/path"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// findCovered finds rules that never decide, because another rule for the same workloads
// matches whenever they do.
func (w *warnings) findCovered(documents []*source.Document) {
	candidates := coverIndex{}
	for _, d := range documents {
		for _, r := range d.Compiled.Rules() {
			candidates.add(r)
		}
	}
	for _, d := range documents {
		for _, b := range d.Compiled.Rules() {
			w.findCover(b, candidates)
		}
	}
}

func (w *warnings) findCover(b *policy.Rule, candidates coverIndex) {
	for _, a := range candidates.find(b) {
		code, matters := relateRules(a, b)
		if a == b || !matters || !policy.Within(b.Document().Spec().Targets, a.Document().Spec().Targets, identity.Pattern.Covers) || !coversRule(a, b) {
			continue
		}
		if code != PublicFirst && b.ReadsHost() && !(a.ReadsHost() && (!a.Spec().Shadow || b.Spec().Shadow)) {
			continue // without b, hosts that can be read in two ways may be allowed
		}
		if code != PublicFirst && !isRemovable(b, a) {
			continue
		}
		if isSameStep(a, b) && coversRule(b, a) && policy.CompareRules(a, b) > 0 {
			continue // they cover each other, and one of the two stays
		}
		*w = append(*w, newCoverWarning(b, code, a))
		return
	}
}

// isSameStep reports whether both rules have the same effect at the same step of a decision.
func isSameStep(a, b *policy.Rule) bool {
	return a.Spec().Effect == b.Spec().Effect && (!isDenial(a) || a.DecidesBeforeToken() == b.DecidesBeforeToken())
}

func isDenial(r *policy.Rule) bool { return r.Spec().Effect == policy.Deny }

// isRemovable reports whether b can be removed because a matches whenever b does. The
// other settings of b's document have no effect without a rule. A deny rule of a guardrail
// also denies requests that public entries and overrides allow.
func isRemovable(b, a *policy.Rule) bool {
	covered, covering := b.Document().Spec(), a.Document().Spec()
	if isDenial(b) && covered.Guardrail && !covering.Guardrail {
		return false
	}
	stricter := !covered.IdentityOptional && covering.IdentityOptional || !covered.AllowOnOutage && covering.AllowOnOutage
	return a.Document() == b.Document() || len(b.Document().Rules()) > 1 || !stricter
}

// relateRules gives the code of the warning about b if a matches whenever b does.
func relateRules(a, b *policy.Rule) (code Code, matters bool) {
	early := a.DecidesBeforeToken()
	switch covering, covered := a.Spec(), b.Spec(); {
	case covering.Shadow && !covered.Shadow:
		return "", false
	case isDenial(a) && early && !isDenial(b), isDenial(a) && !early && covered.Effect == policy.Allow && !b.Document().Spec().AllowOnOutage:
		return Unreachable, true
	case isDenial(a) && isDenial(b):
		return RedundantDeny, true
	case covered.Effect == policy.Allow && !isDenial(a):
		return ShadowedAllow, true
	case covering.Effect == policy.Public && isDenial(b) && !b.DecidesBeforeToken() && !b.Document().Spec().Guardrail:
		return PublicFirst, true
	}
	return "", false
}

func newCoverWarning(r *policy.Rule, code Code, by *policy.Rule) Warning {
	message := map[Code]string{
		Unreachable:   "never allows a request: deny rule %s denies every request that it matches; remove this rule",
		ShadowedAllow: "changes no decision: %s allows every request that it matches; remove this rule",
		RedundantDeny: "changes no decision: deny rule %s denies every request that it matches; remove this rule",
		PublicFirst:   "never denies: %s allows every request that it matches before the token is read; narrow that public entry, or put this rule into a guardrail folder",
	}[code]
	document := r.Document().Spec()
	w := Warning{Code: code, Policy: document.Name, Folder: document.Folder, Rule: r.Spec().Name}
	w.File, w.Line, w.Column = document.File, r.Spec().Line, r.Spec().Column
	name := by.Document().Spec().Name + "/" + by.Spec().Name
	if folder := by.Document().Spec().Folder; folder != document.Folder {
		name = folder + "/" + name
	}
	w.Message = fmt.Sprintf(message, name)
	return w
}

// coversRule reports whether a matches whenever b does.
func coversRule(a, b *policy.Rule) bool {
	for _, wide := range a.Conditions() {
		if !coversOneOf(wide, b.Conditions()) {
			return false
		}
	}
	return coversPaths(a, b) && bindsLike(a, b)
}

func coversOneOf(wide policy.Condition, conditions []policy.Condition) bool {
	for _, narrow := range conditions {
		if wide.Covers(narrow) {
			return true
		}
	}
	return false
}

func coversPaths(a, b *policy.Rule) bool {
	wide, narrow := a.Spec(), b.Spec()
	if narrow.AllowEncoded&^wide.AllowEncoded != 0 && !isDenial(a) {
		return false
	}
	return len(wide.Paths) == 0 || len(narrow.Paths) > 0 && policy.Within(narrow.Paths, wide.Paths, path.Pattern.Covers)
}

// bindsLike reports whether the captures that a reads have the same values in b.
func bindsLike(a, b *policy.Rule) bool {
	expression := a.Expression()
	if expression == nil || len(expression.Reads().Captures) == 0 {
		return true
	}
	return policy.Within(b.Spec().Paths, a.Spec().Paths, func(p, q path.Pattern) bool { return p.String() == q.String() })
}
