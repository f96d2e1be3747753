// Package hops finds which paths the documents of a callee allow to a caller of Tyk, as sets of paths, without a request. A path is
// conditional if only a request decides, by a claim or an expression.
package hops

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/host"
	"github.com/meshpass/meshpass/shared/policy/path"
)

// Verdict is the result of a condition or a rule. The zero Verdict matches nothing.
type Verdict int

// The verdicts. Only a request decides what is Conditional.
const (
	No Verdict = iota
	Conditional
	Yes
)

// Not is the verdict on the opposite.
func (v Verdict) Not() Verdict { return Yes - v }

// Who is known of a caller and of its requests.
type Who struct {
	Anonymous bool                                          // there is no token
	Scopes    func(wanted []string) (v Verdict, why string) // whether the token has all of them; why explains No and Conditional
	Issuer    string                                        // of the token; "": unknown
	Gateway   identity.Workload                             // that calls; "": unknown
	AtEdge    bool                                          // the gateway itself decides: no workload calls
	Host      string                                        // of the request, without port; "": unknown
}

// Rule is a rule that applies to a caller and a method, for some paths at least.
type Rule struct {
	*policy.Rule
	Verdict    Verdict
	Conditions []string // a request decides them
}

// Paths are the expressions of the rule's paths.
func (r Rule) Paths() []string { return ExpressionsOf(r.Spec().Paths) }

// Excluded is a rule that does not apply to any path.
type Excluded struct {
	*policy.Rule
	Why string
}

// Rules are the rules of a callee for one caller and method.
type Rules struct {
	Unguarded       bool // no enforced document targets the callee
	Allow           []Rule
	Public          []Rule
	Deny            []Rule // also against an allow rule
	DenyPublic      []Rule // also against a public entry
	Excluded        []Excluded
	TokenRequired   bool
	AdmittedEscapes []*policy.Rule
}

// RulesFor collects the rules of documents that apply to a method of a caller.
func RulesFor(documents []*policy.Document, callee identity.Workload, who Who, method string) Rules {
	rules := Rules{Unguarded: true}
	targeting := documentsOf(documents, callee)
	for _, d := range targeting {
		rules.Unguarded = false
		rules.TokenRequired = rules.TokenRequired || !d.Spec().IdentityOptional
	}
	for _, d := range targeting {
		for _, r := range d.Rules() {
			if !r.Spec().Shadow {
				rules.add(r, who, method)
			}
		}
	}
	return rules
}

func documentsOf(documents []*policy.Document, callee identity.Workload) (all []*policy.Document) {
	for _, d := range documents {
		if !d.Spec().Shadow && slices.ContainsFunc(d.Spec().Targets, func(p identity.Pattern) bool { return p.Match(callee) }) {
			all = append(all, d)
		}
	}
	return all
}

// IsTargeted reports whether an enforced document targets a callee.
func IsTargeted(documents []*policy.Document, callee identity.Workload) bool {
	return len(documentsOf(documents, callee)) > 0
}

func (rules *Rules) add(r *policy.Rule, who Who, method string) {
	v, conditions, why := verdictOf(r, who, method)
	if who.Anonymous {
		switch effect := r.Spec().Effect; {
		case effect == policy.Allow && rules.TokenRequired:
			v, why = No, "it needs a token, and the API has no callers with a name"
		case effect == policy.Allow && v == Conditional && readsToken(r):
			v, why = No, "it reads the token, and the API has no callers with a name"
		case effect == policy.Deny && v == Conditional && readsToken(r):
			v, conditions = Yes, nil
		}
	}
	if v == No {
		rules.Excluded = append(rules.Excluded, Excluded{r, why})
		return
	}
	if r.Spec().AllowEncoded != 0 && r.Spec().Effect != policy.Deny {
		rules.AdmittedEscapes = append(rules.AdmittedEscapes, r)
	}
	found := Rule{Rule: r, Verdict: v, Conditions: conditions}
	switch r.Spec().Effect {
	case policy.Allow:
		rules.Allow = append(rules.Allow, found)
	case policy.Public:
		rules.Public = append(rules.Public, found)
	default:
		rules.Deny = append(rules.Deny, found)
		if r.Document().Spec().Guardrail || r.DecidesBeforeToken() {
			rules.DenyPublic = append(rules.DenyPublic, found)
		}
	}
}

func readsToken(r *policy.Rule) bool {
	return slices.ContainsFunc(r.Conditions(), func(c policy.Condition) bool { return c.Stage() != policy.BeforeToken })
}

// verdictOf decides all conditions of a rule but its paths.
func verdictOf(r *policy.Rule, who Who, method string) (v Verdict, conditions []string, why string) {
	v = Yes
	for _, c := range r.Conditions() {
		one, text := decideCondition(c, who, method)
		switch one {
		case No:
			return No, nil, text
		case Conditional:
			v = Conditional
			conditions = append(conditions, text)
		case Yes:
		}
	}
	return v, conditions, ""
}

// decideCondition gives, with No and Conditional, the reason in words.
func decideCondition(c policy.Condition, who Who, method string) (Verdict, string) {
	wanted := fmt.Sprintf("%s: %v", c.Field(), c.WantedValue())
	decided := func(holds bool) (Verdict, string) {
		if holds {
			return Yes, ""
		}
		return No, wanted
	}
	switch c := c.(type) {
	case policy.Callers:
		switch {
		case who.AtEdge:
			return No, wanted
		case who.Gateway == "":
			return Conditional, wanted + " (the gateway's workload is unknown)"
		}
		return decided(slices.ContainsFunc(c, func(p identity.Pattern) bool { return p.Match(who.Gateway) }))
	case policy.NoPrincipal:
		return decided(who.AtEdge)
	case policy.Issuers:
		if who.Issuer == "" || who.Anonymous {
			return Conditional, wanted
		}
		return decided(slices.Contains(c, who.Issuer))
	case policy.Methods:
		return decided(slices.Contains(c, method))
	case policy.Hosts:
		if who.Host == "" {
			return Conditional, wanted
		}
		return decided(slices.ContainsFunc(c, func(pattern string) bool { return host.Match(pattern, host.Normalize(who.Host)) }))
	case policy.Scopes:
		if who.Anonymous {
			return Conditional, wanted
		}
		return who.Scopes(c)
	}
	return Conditional, wanted
}

// ExpressionsOf gives regular expressions for paths of a rule, on decoded paths that can be read in one way only. No paths are every path.
func ExpressionsOf(patterns []path.Pattern) []string {
	if len(patterns) == 0 {
		return []string{"^/"}
	}
	all := make([]string, len(patterns))
	for i, p := range patterns {
		text := "^"
		for _, s := range p.Segments {
			if s.Capture != "" {
				text += "/[^/]+"
			} else {
				text += "/" + regexp.QuoteMeta(s.Literal)
			}
		}
		if p.Open {
			text += "/"
		} else {
			text += "$"
		}
		all[i] = text
	}
	return all
}

// Matches reports whether a rule applies to a path.
func Matches(r *policy.Rule, text string) bool {
	segments := path.Segments(text)
	return len(r.Spec().Paths) == 0 || slices.ContainsFunc(r.Spec().Paths, func(p path.Pattern) bool { return p.Match(segments) })
}
