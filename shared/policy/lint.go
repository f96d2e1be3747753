package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/strictyaml"
)

// Code is the kind of a warning; scripts may rely on it.
type Code string

// The kinds of warnings.
const (
	Unreachable    Code = "unreachable_rule"      // a deny rule says no to all that the rule is for
	ShadowedAllow  Code = "shadowed_allow"        // another allow rule or public entry lets in all that it does
	RedundantDeny  Code = "redundant_deny"        // another deny rule refuses all that it does
	Wildcard       Code = "wildcard"              // what is to come is named too
	OpenRule       Code = "open_rule"             // an allow rule without any condition
	OutageAllow    Code = "on_outage_allow"       // onOutage: allow
	UnguardedClaim Code = "unguarded_member"      // a deny rule refuses tokens without a member
	GuardrailToken Code = "guardrail_needs_token" // a guardrail's deny refuses requests without a token everywhere
	NativeIstio    Code = "native_istio"          // Istio could enforce the document without us
)

// Warning is something that loads, and that may not be what was meant.
type Warning struct {
	strictyaml.Problem
	Code   Code
	Policy string
	Rule   string // empty: it is about the document
}

// Lint reads the folders as [Loader.Load] does. All that is wrong comes back as
// problems; what is suspicious about the documents that can be used as warnings,
// both in the order of files and lines.
func (l Loader) Lint(dirs ...Dir) (strictyaml.Problems, []Warning) {
	var read reading
	for i := range dirs {
		read.folder(dirs[i], l.Domains)
	}
	read.compile(l)
	var documents []linted
	for _, s := range read.sources {
		if c := read.compiled[s]; c != nil {
			documents = append(documents, linted{s, c})
		}
	}
	var found warnings
	for _, d := range documents {
		found.document(d)
	}
	found.coverage(documents)
	slices.SortStableFunc(found, func(a, b Warning) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		return a.Line - b.Line
	})
	return read.problems, found
}

// linted is a document with the places of its parts.
type linted struct {
	source   *source
	compiled *compiled
}

type warnings []Warning

func (w *warnings) add(d linted, rule string, code Code, at []any, format string, args ...any) {
	place := d.source.yaml.At(append([]any{"spec"}, at...)...)
	*w = append(*w, Warning{
		Problem: strictyaml.Problem{File: d.source.file, Position: place, Message: fmt.Sprintf(format, args...)},
		Code:    code, Policy: d.compiled.name, Rule: rule,
	})
}

func (w *warnings) document(d linted) {
	spec := d.source.Spec
	for i, target := range spec.Targets.Workloads {
		if strings.Contains(target, "*") && !d.compiled.guardrail {
			w.add(d, "", Wildcard, []any{"targets", "workloads", i}, "%s: workloads that do not exist yet are guarded too; name them, or keep this in a guardrail folder", target)
		}
	}
	if spec.OnOutage == "allow" {
		w.add(d, "", OutageAllow, []any{"onOutage"}, "while tokens cannot be judged, the from and to of allow rules are all that is asked; scopes, claims and when are not")
	}
	byName := map[string]*rule{}
	for _, r := range d.compiled.rules {
		byName[r.name] = r
	}
	for i := range spec.Rules {
		w.rule(d, i, &spec.Rules[i], byName[spec.Rules[i].Name])
	}
	if d.native() {
		w.add(d, "", NativeIstio, nil, "all rules are static lists: Istio's RequestAuthentication and AuthorizationPolicy can enforce them without a service to ask")
	}
}

func (w *warnings) rule(d linted, i int, r *ruleSpec, compiled *rule) {
	switch {
	case compiled.kind == allow && len(compiled.outer)+len(compiled.inner)+len(compiled.patterns) == 0:
		w.add(d, r.Name, OpenRule, []any{"rules", i}, "no condition: whoever has a token is let in; say from whom, or where to")
	case compiled.kind == lateDeny && d.compiled.guardrail:
		w.add(d, r.Name, GuardrailToken, []any{"rules", i}, "a guardrail that reads the token refuses requests without one, also those that a public entry would let in; narrow it by to, or deny on from and to alone")
	}
	for j, caller := range r.From.Workloads {
		if compiled.kind == allow && strings.Contains(caller, "*") {
			w.add(d, r.Name, Wildcard, []any{"rules", i, "from", "workloads", j}, "%s: workloads that do not exist yet may call too; name them", caller)
		}
	}
	if compiled.kind == lateDeny {
		w.members(d, i, r, compiled)
	}
}

// members of a token may be missing, and then a deny rule cannot be decided and
// refuses: who wants that need not be told, but few expect it.
func (w *warnings) members(d linted, i int, r *ruleSpec, compiled *rule) {
	names := make([]string, 0, len(r.Claims))
	for name := range r.Claims {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if optionalMember(name) {
			w.add(d, r.Name, UnguardedClaim, []any{"rules", i, "claims", name}, "a token without %s is refused by this rule too; where it may be missing, write when: has(claims.%s) && …", name, name)
		}
	}
	if compiled.when == nil {
		return
	}
	names = names[:0]
	for name := range compiled.when.reads.claims {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if optionalMember(name) && !compiled.when.reads.has[name] {
			w.add(d, r.Name, UnguardedClaim, []any{"rules", i, "when"}, "a token without %s is refused by this rule too; where it may be missing, write has(claims.%s) && …", name, name)
		}
	}
}

func optionalMember(claim string) bool {
	root, member, nested := strings.Cut(claim, ".")
	return nested && (root != "tctx" || !slices.Contains(ownMembers, member))
}

// native documents compare lists with lists, for workloads of the mesh.
func (d linted) native() bool {
	spec := d.source.Spec
	plain := spec.Mode == "" && spec.Identity == "" && spec.OnOutage == "" && !d.compiled.guardrail && len(spec.Rules) > 0
	mesh := !slices.ContainsFunc(d.compiled.targets, func(p identity.Pattern) bool { return p.Literal().IsEdge() })
	return plain && mesh && !slices.ContainsFunc(spec.Rules, func(r ruleSpec) bool {
		return r.When != "" || r.Mode != "" || r.From.NoPrincipal || len(r.To.AllowEncoded) > 0
	})
}
