// Package lint finds suspicious parts of documents that load: rules that decide nothing,
// gaps in deny rules, comparisons with an unexpected result.
package lint

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/expr"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// Run reads the folders as [source.Loader.Load] does. It returns all mistakes as problems,
// and everything suspicious about the documents that can be used as warnings, both in the
// order of files and lines.
func Run(loader source.Loader, dirs ...source.Dir) (strictyaml.Problems, []Warning) {
	documents, problems := loader.Documents(dirs...)
	var found warnings
	for _, d := range documents {
		found.checkDocument(d, documents)
	}
	found.findCovered(documents)
	found.findMethodOverrides(documents)
	for i := range dirs {
		found.findFilesNotRead(dirs[i])
		found.checkSize(dirs[i])
	}
	slices.SortStableFunc(found, func(a, b Warning) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		return a.Line - b.Line
	})
	return problems, found
}

func (w *warnings) checkDocument(d *source.Document, all []*source.Document) {
	spec := d.Policy.Spec
	for i, target := range spec.Targets.Workloads {
		if strings.Contains(target, "*") && !d.Compiled.Spec().Guardrail {
			w.addWarning(d, "", Wildcard, []any{"targets", "workloads", i}, "%s: workloads that do not exist yet are guarded too; %s", target, adviceForWildcard(d.Compiled))
		}
	}
	if spec.OnOutage == "allow" {
		w.addWarning(d, "", OutageAllow, []any{"onOutage"}, "while no home issuer has keys or the revocations are stale, only from and to of allow rules are checked; scopes, claims and when are not")
	}
	for i, entry := range spec.Public {
		w.checkTo(d, "", source.To{Methods: entry.Methods, Paths: entry.Paths}, []any{"public", i})
	}
	rules := rulesByName(d)
	for i := range spec.Rules {
		r := writtenRule{document: d, index: i, yaml: &spec.Rules[i], compiled: rules[spec.Rules[i].Name]}
		w.checkRule(r, all)
	}
	if isNative(d) {
		w.addWarning(d, "", NativeIstio, nil, "all rules are static lists: Istio's RequestAuthentication and AuthorizationPolicy can enforce them without an authorizer")
	}
}

// adviceForWildcard never proposes to deny less. A document of deny rules that names its
// workloads would no longer deny for new ones.
func adviceForWildcard(d *policy.Document) string {
	if d.Denies() {
		return "keep its deny rules in a guardrail folder, and name the workloads only in documents that allow"
	}
	return "name the workloads, or keep this in a guardrail folder"
}

func (w *warnings) checkRule(r writtenRule, documents []*source.Document) {
	allows := r.compiled.Spec().Effect == policy.Allow
	switch {
	case allows && len(r.compiled.Conditions())+len(r.compiled.Spec().Paths) == 0:
		w.addAt(r, OpenRule, nil, "no condition: every valid token is allowed; add from, to, scopes or claims")
	case r.document.Compiled.Spec().Guardrail && r.isDenial() && r.compiled.ReadsToken():
		w.addAt(r, GuardrailToken, nil, "a guardrail that reads the token also denies requests without one, even where a public entry allows them; if every such request is to be denied, write from and to alone")
	}
	for j, caller := range r.yaml.From.Workloads {
		if allows && strings.Contains(caller, "*") {
			w.addAt(r, Wildcard, []any{"from", "workloads", j}, "%s: workloads that do not exist yet may call too; name them", caller)
		}
	}
	w.checkTo(r.document, r.yaml.Name, r.yaml.To, []any{"rules", r.index, "to"})
	if r.isDenial() {
		w.findGaps(r, documents)
		if !r.compiled.DecidesBeforeToken() {
			w.findUnguardedMembers(r)
		}
	}
	if expression := r.compiled.Expression(); expression != nil {
		w.findUncertainKinds(r, expression)
		w.findCostlyRegexes(r, expression)
	}
}

// findCostlyRegexes finds patterns so large that texts of an everyday length cannot be decided.
func (w *warnings) findCostlyRegexes(r writtenRule, expression *expr.Expression) {
	const everyday = 1024 // bytes
	longest := expression.LongestTexts()
	for _, pattern := range slices.Sorted(maps.Keys(longest)) {
		if longest[pattern] < everyday {
			w.addAt(r, CostlyRegex, []any{"when"}, "matches(%.60q) cannot be decided for texts of more than %d bytes: shorten its counted repeats", pattern, longest[pattern])
		}
	}
}

// findUnguardedMembers finds members of a token that may be missing. The deny rule can
// then not be decided, and denies.
func (w *warnings) findUnguardedMembers(r writtenRule) {
	var members expr.Members
	if expression := r.compiled.Expression(); expression != nil {
		members = expression.Members()
	}
	for _, name := range slices.Sorted(maps.Keys(r.yaml.Claims)) {
		missing := slices.DeleteFunc(memberLevels(name), func(level string) bool { return members.Assured[level] || !expr.IsOptionalMember(level) })
		if len(missing) == 0 {
			continue
		}
		advice := "keep claims and add when: " + presenceExpression(missing...)
		if r.yaml.When != "" {
			advice = fmt.Sprintf("keep claims and write when: %s && (%s)", presenceExpression(missing...), r.yaml.When)
		}
		w.addAt(r, UnguardedClaim, []any{"claims", name}, "a token without %s is denied by this rule too; if such tokens must pass, %s", name, advice)
	}
	for _, name := range slices.Sorted(maps.Keys(members.Unguarded)) {
		if r.yaml.Claims[name] == nil {
			w.addAt(r, UnguardedClaim, []any{"when"}, "a token without %s is denied by this rule too; if such tokens must pass, put %s && directly before each comparison that reads it", name, presenceExpression(name))
		}
	}
}

// findUncertainKinds finds comparisons that a claim of another kind passes: "guest" is
// not ["guest"], so != holds and == does not.
func (w *warnings) findUncertainKinds(r writtenRule, expression *expr.Expression) {
	deny := r.isDenial()
	compared := expression.Members().Compared
	for _, name := range slices.Sorted(maps.Keys(compared)) {
		c := compared[name]
		if c.Entries && (deny || readsBelow(expression, name)) {
			continue // of a text, it cannot be decided, which denies; or it is an object, and its members are asked for
		}
		who := fmt.Sprintf("a token whose %s is a list or of another kind", name)
		switch {
		case deny && c.Equal && c.Free:
			w.addAt(r, UncertainKind, []any{"when"},
				"%s is not denied by this comparison; write (type(%s) != string || COMPARISON) in its place, with its negation inside", who, celMember(name))
		case deny && c.Equal && c.Alternative:
			w.addAt(r, UncertainKind, []any{"when"},
				"%s is not denied by this comparison; write (type(%s) != string || COMPARISON) in its place, with its negation inside, or give it a deny rule of its own with claims: {%s: [VALUE]}", who, celMember(name), name)
		case deny && c.Equal:
			w.addAt(r, UncertainKind, []any{"when"},
				"%s is not denied by this comparison; list the values under claims: {%s: [VALUE]}, beside when: %s if it may be missing, and keep the other conditions", who, name, presenceExpression(name))
		case !deny && c.Unequal && c.Entries:
			w.addAt(r, UncertainKind, []any{"when"},
				"a token whose %s is an object passes this comparison; put type(%s) == list && before it, outside of its negation", name, celMember(name))
		case !deny && c.Unequal:
			w.addAt(r, UncertainKind, []any{"when"},
				"%s passes this comparison; list the values that are allowed under claims: {%s: [VALUE]}, or put type(%s) == string && before it, outside of its negation", who, name, celMember(name))
		}
	}
}

// readsBelow reports whether a member of the claim is read too.
func readsBelow(expression *expr.Expression, claim string) bool {
	for name := range expression.Reads().Claims {
		if strings.HasPrefix(name, claim+".") {
			return true
		}
	}
	return false
}

// memberLevels are tctx.a, tctx.a.b and so on for a member below tctx or rctx.
func memberLevels(claim string) []string {
	var levels []string
	for i := range claim {
		if claim[i] == '.' {
			levels = append(levels, claim[:i])
		}
	}
	if len(levels) == 0 {
		return nil
	}
	return append(levels[1:], claim)
}

// presenceExpression is the CEL expression that holds if the members are present. A document
// can hold it without quotes.
func presenceExpression(claims ...string) string {
	var all []string
	for _, claim := range claims {
		dot := strings.LastIndexByte(claim, '.')
		if container, member := claim[:dot], claim[dot+1:]; celName.MatchString(member) {
			all = append(all, "has("+celMember(claim)+")")
		} else {
			all = append(all, fmt.Sprintf("('%s' in %s)", member, celMember(container)))
		}
	}
	return strings.Join(all, " && ")
}

// celMember is the name of a claim in CEL.
func celMember(claim string) string {
	text := "claims"
	for _, member := range strings.Split(claim, ".") {
		if celName.MatchString(member) {
			text += "." + member
		} else {
			text += "['" + member + "']"
		}
	}
	return text
}

var celName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// isNative reports a document that Istio can enforce: it is for workloads of the mesh, and
// AuthorizationPolicy has all of its conditions.
func isNative(d *source.Document) bool {
	spec := d.Policy.Spec
	plain := spec.Mode == "" && spec.Identity == "" && spec.OnOutage == "" && !d.Compiled.Spec().Guardrail && len(spec.Rules) > 0
	edge := slices.ContainsFunc(d.Compiled.Spec().Targets, func(p identity.Pattern) bool { return p.Literal().IsEdge() })
	return plain && !edge && !slices.ContainsFunc(spec.Rules, func(r source.Rule) bool { return r.Mode != "" || len(r.To.AllowEncoded) > 0 }) &&
		!slices.ContainsFunc(d.Compiled.Rules(), func(r *policy.Rule) bool {
			return slices.ContainsFunc(r.Conditions(), func(c policy.Condition) bool { return !c.IsNativeInIstio() })
		})
}
