package lint

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/path"
)

// coverIndex finds the rules that may cover another one, so that 10,000 rules need not be
// compared with each other. A covered rule has some values in common with the rule that
// covers it, which are the keys: the beginning of a path, a caller, and a scope or a
// claim's value. Other conditions are no keys.
type coverIndex map[coverKey][]*policy.Rule

type coverKey struct{ path, caller, claim string } // each empty: any

func (x coverIndex) add(r *policy.Rule) {
	for _, path := range orAny(pathPrefixes(r.Spec().Paths)) {
		for _, caller := range orAny(callerTexts(r)) {
			for _, claim := range orAny(claimKeys(r)) {
				key := coverKey{path, caller, claim}
				x[key] = append(x[key], r)
			}
		}
	}
}

// find gives candidates, each once, by document and name.
func (x coverIndex) find(b *policy.Rule) []*policy.Rule {
	var found []*policy.Rule
	for _, path := range append(widerPaths(b), "") {
		for _, caller := range append(widerCallers(b), "") {
			for _, claim := range append(widerClaims(b), "") {
				found = append(found, x[coverKey{path, caller, claim}]...)
			}
		}
	}
	slices.SortFunc(found, policy.CompareRules)
	return slices.Compact(found)
}

func orAny(keys []string) []string {
	if len(keys) == 0 {
		return []string{""}
	}
	return keys
}

// pathPrefixes are the parts of paths before their first capture.
func pathPrefixes(patterns []path.Pattern) []string {
	var all []string
	for _, p := range patterns {
		all = append(all, joinSegments(p.LiteralPrefix()))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func joinSegments(literals []string) string {
	var text strings.Builder
	for _, literal := range literals {
		text.WriteString("/" + literal)
	}
	return text.String()
}

// widerPaths are the beginnings of patterns that may cover the rule's first path.
func widerPaths(r *policy.Rule) []string {
	paths := r.Spec().Paths
	if len(paths) == 0 {
		return nil
	}
	var all []string
	literals := paths[0].LiteralPrefix()
	for i := range literals {
		all = append(all, joinSegments(literals[:i+1]))
	}
	return all
}

func callersOf(r *policy.Rule) policy.Callers {
	for _, c := range r.Conditions() {
		if callers, ok := c.(policy.Callers); ok {
			return callers
		}
	}
	return nil
}

func callerTexts(r *policy.Rule) []string {
	var all []string
	for _, p := range callersOf(r) {
		all = append(all, p.String())
	}
	return all
}

// widerCallers are the patterns that may cover the rule's first caller.
func widerCallers(r *policy.Rule) []string {
	callers := callersOf(r)
	if len(callers) == 0 {
		return nil
	}
	text := callers[0].String()
	parts := strings.Split(text, "/")
	if len(parts) != 4 || parts[0] != "ns" {
		return []string{text}
	}
	all := []string{text, "ns/" + parts[1] + "/sa/*", "ns/*/sa/" + parts[3], "ns/*/sa/*"}
	slices.Sort(all)
	return slices.Compact(all)
}

// claimKeys are the keys of a rule: the texts of one claim whose values are all texts, or
// one of its scopes.
func claimKeys(r *policy.Rule) []string {
	var keys []string
	for _, c := range r.Conditions() {
		switch c := c.(type) {
		case policy.Scopes:
			keys = []string{scopeKey(c[0])}
		case *policy.Claim:
			if texts := textKeys(c); texts != nil {
				keys = texts
			}
		}
	}
	return keys
}

// widerClaims are the possible keys of a wider rule: all scopes, and the first value of
// each claim.
func widerClaims(r *policy.Rule) []string {
	var all []string
	for _, c := range r.Conditions() {
		switch c := c.(type) {
		case policy.Scopes:
			for _, scope := range c {
				all = append(all, scopeKey(scope))
			}
		case *policy.Claim:
			if text, isText := c.Values()[0].(string); isText {
				all = append(all, claimKey(c.Name(), text))
			}
		}
	}
	return all
}

// textKeys is nil where one value is no text.
func textKeys(c *policy.Claim) []string {
	var keys []string
	for _, value := range c.Values() {
		text, isText := value.(string)
		if !isText {
			return nil
		}
		keys = append(keys, claimKey(c.Name(), text))
	}
	return keys
}

func scopeKey(scope string) string { return claimKey("scopes", scope) } // no claim has that name

func claimKey(claim, text string) string { return claim + " " + text }
