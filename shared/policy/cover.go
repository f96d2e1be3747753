package policy

import (
	"fmt"
	"slices"

	"github.com/meshpass/meshpass/shared/identity"
)

// coverage finds rules that never decide, because another rule that holds for the
// same workloads matches whenever they do.
func (w *warnings) coverage(documents []linted) {
	candidates := wideRules{}
	for _, d := range documents {
		for _, r := range d.compiled.rules {
			candidates.add(r)
		}
	}
	for _, d := range documents {
		for _, b := range d.compiled.rules {
			w.covered(b, candidates)
		}
	}
}

func (w *warnings) covered(b *rule, candidates wideRules) {
	for _, a := range candidates.forRule(b) {
		code, matters := relation(a, b)
		if a == b || !matters || !within(b.document.targets, a.document.targets, identity.Pattern.Covers) || !a.covers(b) {
			continue
		}
		if code != PublicFirst && b.readsHost() && !(a.readsHost() && (!a.shadow || b.shadow)) {
			continue // without b, hosts that can be read in two ways may be let in
		}
		if code != PublicFirst && !b.removable(a) {
			continue
		}
		if a.kind == b.kind && b.covers(a) && compareEntries(entry{rule: a}, entry{rule: b}) > 0 {
			continue // they cover each other, and one of the two stays
		}
		*w = append(*w, b.warning(code, a))
		return
	}
}

// removable reports whether b can go, now that a matches whenever it does. What b's
// document says beyond its rules goes with its last rule, and a deny rule of a
// guardrail also denies what public entries and overrides let in.
func (b *rule) removable(a *rule) bool {
	if b.kind.denies() && b.document.guardrail && !a.document.guardrail {
		return false
	}
	stricter := !b.document.optional && a.document.optional || !b.document.outageAllow && a.document.outageAllow
	return a.document == b.document || len(b.document.rules) > 1 || !stricter
}

// relation says what it means for b that a matches whenever b does.
func relation(a, b *rule) (Code, bool) {
	switch {
	case a.shadow && !b.shadow:
		return "", false
	case a.kind == earlyDeny && !b.kind.denies(), a.kind == lateDeny && b.kind == allow && !b.document.outageAllow:
		return Unreachable, true
	case a.kind.denies() && b.kind.denies():
		return RedundantDeny, true
	case b.kind == allow && !a.kind.denies():
		return ShadowedAllow, true
	case a.kind == public && b.kind == lateDeny && !b.document.guardrail:
		return PublicFirst, true
	}
	return "", false
}

func (r *rule) warning(code Code, by *rule) Warning {
	message := map[Code]string{
		Unreachable:   "never allows a request: deny rule %s denies every request that it matches; remove this rule",
		ShadowedAllow: "changes no decision: %s allows every request that it matches; remove this rule",
		RedundantDeny: "changes no decision: deny rule %s denies every request that it matches; remove this rule",
		PublicFirst:   "never denies: %s allows every request that it matches before the token is read; narrow that public entry, or put this rule into a guardrail folder",
	}[code]
	w := Warning{Code: code, Policy: r.document.name, Folder: r.document.folder, Rule: r.name}
	w.File, w.Position = r.document.file, r.place
	name := by.document.name + "/" + by.name
	if by.document.folder != r.document.folder {
		name = by.document.folder + "/" + name
	}
	w.Message = fmt.Sprintf(message, name)
	return w
}

// covers reports whether a says yes whenever b does.
func (a *rule) covers(b *rule) bool {
	return a.coversPaths(b) && a.bindsLike(b) &&
		(len(a.callers) == 0 || len(b.callers) > 0 && within(b.callers, a.callers, identity.Pattern.Covers)) &&
		coverAll(a.outer, b) && coverAll(a.inner, b)
}

func (a *rule) coversPaths(b *rule) bool {
	if b.admitted&^a.admitted != 0 && !a.kind.denies() {
		return false
	}
	return len(a.patterns) == 0 || len(b.patterns) > 0 && within(b.patterns, a.patterns, pattern.covers)
}

// bindsLike holds where captures that a reads have the same values as in b.
func (a *rule) bindsLike(b *rule) bool {
	if a.when == nil || len(a.when.reads.captures) == 0 {
		return true
	}
	return within(b.patterns, a.patterns, func(p, q pattern) bool { return p.text == q.text })
}

// coverAll wants each condition of a in b too, as narrow or narrower.
func coverAll(conditions []condition, b *rule) bool {
	for _, c := range conditions {
		if c.field == "from.workloads" { // compared as patterns
			continue
		}
		same := func(o condition) bool { return o.field == c.field && wider(c.want, o.want) }
		if !slices.ContainsFunc(b.outer, same) && !slices.ContainsFunc(b.inner, same) {
			return false
		}
	}
	return true
}

// wider compares what two conditions of the same field want. Scopes must all be
// there, so that fewer are wider; of all else one must match, so that more are.
func wider(a, b any) bool {
	switch a := a.(type) {
	case allOf:
		return within(a, b.(allOf), equal[string])
	case hostPatterns:
		return within(b.(hostPatterns), a, coversHost)
	case []string:
		return within(b.([]string), a, equal[string])
	case []uint32:
		return within(b.([]uint32), a, equal[uint32])
	case []any:
		return within(b.([]any), a, equal[any])
	}
	return a == b
}

// within reports whether each of inner is covered by one of outer.
func within[T any](inner, outer []T, covers func(outer, inner T) bool) bool {
	for _, b := range inner {
		if !slices.ContainsFunc(outer, func(a T) bool { return covers(a, b) }) {
			return false
		}
	}
	return true
}

func equal[T comparable](a, b T) bool { return a == b }

// covers reports whether every path that matches q matches p.
func (p pattern) covers(q pattern) bool {
	if len(q.segments) < len(p.segments) || !p.open && (q.open || len(q.segments) != len(p.segments)) {
		return false
	}
	if p.open && !q.open && len(q.segments) == len(p.segments) {
		return false
	}
	for i, s := range p.segments {
		other := q.segments[i]
		if s.capture == "" && (other.capture != "" || other.literal != s.literal) || s.capture != "" && other.capture == "" && other.literal == "" {
			return false
		}
	}
	return true
}
