package policy

import (
	"slices"
	"strings"
)

// wideRules finds the rules that may cover another, so that not each is compared
// with each. A rule is kept under what a covered one must have in common with it:
// the beginning of a path, a caller, and a scope or a claim's value.
type wideRules map[wideKey][]*rule

type wideKey struct{ path, caller, fact string } // each empty: any

func (x wideRules) add(r *rule) {
	for _, path := range orAny(beginnings(r.patterns)) {
		for _, caller := range orAny(callersOf(r)) {
			for _, fact := range orAny(r.fact.keys()) {
				key := wideKey{path, caller, fact}
				x[key] = append(x[key], r)
			}
		}
	}
}

// forRule gives candidates, each once, by document and name.
func (x wideRules) forRule(b *rule) []*rule {
	var found []*rule
	for _, path := range append(widerPaths(b), "") {
		for _, caller := range append(widerCallers(b), "") {
			for _, fact := range append(factsOf(b), "") {
				found = append(found, x[wideKey{path, caller, fact}]...)
			}
		}
	}
	slices.SortFunc(found, func(a, b *rule) int { return compareEntries(entry{rule: a}, entry{rule: b}) })
	return slices.Compact(found)
}

func orAny(keys []string) []string {
	if len(keys) == 0 {
		return []string{""}
	}
	return keys
}

// beginnings are what paths have before their first capture.
func beginnings(patterns []pattern) []string {
	var all []string
	for i := range patterns {
		all = append(all, strings.Join(patterns[i].literals(), ""))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// literals are the segments before the first capture, each with its slash.
func (p *pattern) literals() []string {
	var all []string
	for _, s := range p.segments {
		if s.capture != "" {
			break
		}
		all = append(all, "/"+s.literal)
	}
	return all
}

// widerPaths are the beginnings of patterns that may cover the rule's first path.
func widerPaths(r *rule) []string {
	if len(r.patterns) == 0 {
		return nil
	}
	var all []string
	literals := r.patterns[0].literals()
	for i := range literals {
		all = append(all, strings.Join(literals[:i+1], ""))
	}
	return all
}

func callersOf(r *rule) []string {
	var all []string
	for _, p := range r.callers {
		all = append(all, p.String())
	}
	return all
}

// widerCallers are the patterns that may cover the rule's first caller.
func widerCallers(r *rule) []string {
	if len(r.callers) == 0 {
		return nil
	}
	text := r.callers[0].String()
	parts := strings.Split(text, "/")
	if len(parts) != 4 || parts[0] != "ns" {
		return []string{text}
	}
	all := []string{text, "ns/" + parts[1] + "/sa/*", "ns/*/sa/" + parts[3], "ns/*/sa/*"}
	slices.Sort(all)
	return slices.Compact(all)
}

func (f fact) keys() []string {
	var all []string
	for _, text := range f.texts {
		all = append(all, f.claim+" "+text)
	}
	return all
}

// factsOf are the facts by one of which a wider rule must be kept: any of the
// scopes, and of each claim the first value.
func factsOf(r *rule) []string {
	var all []string
	for _, c := range r.inner {
		switch want := c.want.(type) {
		case allOf:
			all = append(all, fact{scopesFact, want}.keys()...)
		case []any:
			if text, isText := want[0].(string); isText {
				all = append(all, fact{strings.TrimPrefix(c.field, "claims."), []string{text}}.keys()...)
			}
		}
	}
	return all
}
