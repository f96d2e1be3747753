package lint

import (
	"fmt"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// Code is the kind of a warning. Scripts may rely on it.
type Code string

// The kinds of warnings.
const (
	Unreachable    Code = "unreachable_rule"      // a deny rule denies every request that the rule matches
	ShadowedAllow  Code = "shadowed_allow"        // another allow rule or public entry allows every request that it matches
	RedundantDeny  Code = "redundant_deny"        // another deny rule denies every request that it matches
	Wildcard       Code = "wildcard"              // workloads that do not exist yet are named too
	OpenRule       Code = "open_rule"             // an allow rule without any condition
	OutageAllow    Code = "on_outage_allow"       // onOutage: allow
	UnguardedClaim Code = "unguarded_member"      // a deny rule also denies tokens without a member
	UncertainKind  Code = "uncertain_kind"        // a comparison that a claim of another kind passes
	GuardrailToken Code = "guardrail_needs_token" // a guardrail that reads the token denies requests without one everywhere
	LiteralPattern Code = "literal_pattern"       // a path segment that another product would read as a parameter
	UnknownMethod  Code = "unknown_method"        // a method that is not registered
	DenyRoot       Code = "deny_root"             // a deny rule on /x/** that leaves /x out
	DenyGetNotHead Code = "deny_get_not_head"     // a deny rule on GET that leaves HEAD out
	DenySlash      Code = "deny_slash"            // a deny rule on /x that leaves /x/ out, or the other way round
	PublicFirst    Code = "public_before_deny"    // a deny rule that reads the token, where a public entry allows all that it matches
	MethodOverride Code = "method_override"       // a deny rule on a method that a header can take the place of
	CostlyRegex    Code = "costly_regex"          // a regular expression that reads short texts only
	FileNotRead    Code = "file_not_read"         // a document in a file that no authorizer reads
	ConfigMapSize  Code = "config_map_size"       // nearly more documents than a ConfigMap holds
	NativeIstio    Code = "native_istio"          // Istio can enforce the document without an authorizer
)

// Codes lists all kinds of warnings of [Run].
func Codes() []Code {
	return []Code{Unreachable, ShadowedAllow, RedundantDeny, Wildcard, OpenRule, OutageAllow, UnguardedClaim, UncertainKind, GuardrailToken,
		LiteralPattern, UnknownMethod, DenyRoot, DenySlash, DenyGetNotHead, PublicFirst, MethodOverride, CostlyRegex, FileNotRead, ConfigMapSize, NativeIstio}
}

// Warning is about a part of a document that loads, but may have an unexpected effect.
type Warning struct {
	strictyaml.Problem
	Code   Code
	Policy string
	Folder string // of Policy
	Rule   string // empty: it is about the document
}

type warnings []Warning

func (w *warnings) addWarning(d *source.Document, rule string, code Code, at []any, format string, args ...any) {
	spec := d.Compiled.Spec()
	*w = append(*w, Warning{
		Problem: strictyaml.Problem{File: d.File, Position: d.Position(at...), Message: fmt.Sprintf(format, args...)},
		Code:    code, Policy: spec.Name, Folder: spec.Folder, Rule: rule,
	})
}

// writtenRule is a rule as it is written and as it is compiled.
type writtenRule struct {
	yaml     *source.Rule
	document *source.Document
	index    int // among the rules of the document
	compiled *policy.Rule
}

// rulesByName gives the compiled rules, without public entries.
func rulesByName(d *source.Document) map[string]*policy.Rule {
	rules := map[string]*policy.Rule{}
	for _, r := range d.Compiled.Rules() {
		if r.Spec().Effect != policy.Public {
			rules[r.Spec().Name] = r
		}
	}
	return rules
}

func (r writtenRule) isDenial() bool { return r.compiled.Spec().Effect == policy.Deny }

// addAt adds a warning about a part of the rule.
func (w *warnings) addAt(r writtenRule, code Code, at []any, format string, args ...any) {
	w.addWarning(r.document, r.yaml.Name, code, append([]any{"rules", r.index}, at...), format, args...)
}
