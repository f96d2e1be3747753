package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

// Code is the kind of a warning; scripts may rely on it.
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
	NativeIstio    Code = "native_istio"          // Istio can enforce the document without an authorizer
)

// Codes lists all kinds of warnings of [Loader.Lint].
func Codes() []Code {
	return []Code{Unreachable, ShadowedAllow, RedundantDeny, Wildcard, OpenRule, OutageAllow, UnguardedClaim, UncertainKind, GuardrailToken,
		LiteralPattern, UnknownMethod, DenyRoot, DenySlash, DenyGetNotHead, PublicFirst, MethodOverride, CostlyRegex, FileNotRead, NativeIstio}
}

// Warning is something that loads, and that may not be what was meant.
type Warning struct {
	strictyaml.Problem
	Code   Code
	Policy string
	Folder string // of Policy
	Rule   string // empty: it is about the document
}

// Lint reads the folders as [Loader.Load] does. All that is wrong comes back as
// problems; what is suspicious about the documents that can be used as warnings,
// both in the order of files and lines.
func (l Loader) Lint(dirs ...Dir) (strictyaml.Problems, []Warning) {
	l.Memory = nil // what is remembered has no places in it
	read := l.read(dirs)
	var documents []linted
	for _, d := range read.documents {
		if c := d.usable(); c != nil {
			documents = append(documents, linted{d.source, c})
		}
		read.problems = append(read.problems, d.problems...)
	}
	var found warnings
	for _, d := range documents {
		found.document(d, documents)
	}
	found.coverage(documents)
	found.methodOverrides(documents)
	for i := range dirs {
		found.filesNotRead(dirs[i])
	}
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
		Code:    code, Policy: d.compiled.name, Folder: d.compiled.folder, Rule: rule,
	})
}

func (w *warnings) document(d linted, all []linted) {
	spec := d.source.Spec
	for i, target := range spec.Targets.Workloads {
		if strings.Contains(target, "*") && !d.compiled.guardrail {
			w.add(d, "", Wildcard, []any{"targets", "workloads", i}, "%s: workloads that do not exist yet are guarded too; %s", target, adviceForWildcard(d.compiled))
		}
	}
	if spec.OnOutage == "allow" {
		w.add(d, "", OutageAllow, []any{"onOutage"}, "while no home issuer has keys or the revocations are stale, the from and to of allow rules are all that is asked; scopes, claims and when are not")
	}
	byName := map[string]*rule{}
	for _, r := range d.compiled.rules {
		byName[r.name] = r
	}
	for i, entry := range spec.Public {
		w.to(d, "", to{Methods: entry.Methods, Paths: entry.Paths}, []any{"public", i})
	}
	for i := range spec.Rules {
		w.rule(d, i, &spec.Rules[i], byName[spec.Rules[i].Name], all)
	}
	if d.native() {
		w.add(d, "", NativeIstio, nil, "all rules are static lists: Istio's RequestAuthentication and AuthorizationPolicy can enforce them without a service to ask")
	}
}

// adviceForWildcard proposes only what denies at least as much. A document of deny
// rules that named its workloads would no longer deny for new ones.
func adviceForWildcard(c *compiled) string {
	if c.denies(watched) {
		return "keep its deny rules in a guardrail folder, and name the workloads only in documents that allow"
	}
	return "name the workloads, or keep this in a guardrail folder"
}

func (w *warnings) rule(d linted, i int, r *ruleSpec, compiled *rule, documents []linted) {
	at := []any{"rules", i}
	switch {
	case compiled.kind == allow && len(compiled.outer)+len(compiled.inner)+len(compiled.patterns) == 0:
		w.add(d, r.Name, OpenRule, at, "no condition: every valid token is allowed; add from, to, scopes or claims")
	case d.compiled.guardrail && compiled.readsToken():
		w.add(d, r.Name, GuardrailToken, at, "a guardrail that reads the token also denies requests without one, even where a public entry allows them; if every such request is to be denied, write from and to alone")
	}
	for j, caller := range r.From.Workloads {
		if compiled.kind == allow && strings.Contains(caller, "*") {
			w.add(d, r.Name, Wildcard, append(at, "from", "workloads", j), "%s: workloads that do not exist yet may call too; name them", caller)
		}
	}
	w.to(d, r.Name, r.To, append(at, "to"))
	if compiled.kind.denies() {
		w.gaps(d, i, r, compiled, documents)
	}
	if compiled.kind == lateDeny {
		w.members(d, i, r, compiled)
	}
	w.uncertainKinds(d, i, r, compiled)
	w.costlyRegexes(d, i, r, compiled)
}

// costlyRegexes finds patterns so large that texts of an everyday length cannot be decided.
func (w *warnings) costlyRegexes(d linted, i int, r *ruleSpec, compiled *rule) {
	const everyday = 1024 // bytes
	if compiled.when == nil {
		return
	}
	for _, pattern := range slices.Sorted(maps.Keys(compiled.when.reads.regexes)) {
		if longest := longestText(compiled.when.reads.regexes[pattern]); longest < everyday {
			w.add(d, r.Name, CostlyRegex, []any{"rules", i, "when"}, "matches(%.60q) cannot be decided for texts of more than %d bytes: shorten its counted repeats", pattern, longest)
		}
	}
}

// readsToken reports whether a condition of a deny rule needs the token.
func (r *rule) readsToken() bool {
	return r.kind == lateDeny && slices.ContainsFunc(r.inner, func(c condition) bool { return c.field != "when" || len(r.when.reads.claims) > 0 })
}

// members finds members of a token that may be missing. The deny rule can then not
// be decided, and denies.
func (w *warnings) members(d linted, i int, r *ruleSpec, compiled *rule) {
	var assured, unguarded map[string]bool
	if compiled.when != nil {
		assured, unguarded = compiled.when.reads.assured, compiled.when.reads.unguarded
	}
	for _, name := range slices.Sorted(maps.Keys(r.Claims)) {
		missing := slices.DeleteFunc(memberLevels(name), func(level string) bool { return assured[level] || !optionalMember(level) })
		if len(missing) == 0 {
			continue
		}
		advice := "keep claims and add when: " + presence(missing...)
		if r.When != "" {
			advice = fmt.Sprintf("keep claims and write when: %s && (%s)", presence(missing...), r.When)
		}
		w.add(d, r.Name, UnguardedClaim, []any{"rules", i, "claims", name}, "a token without %s is denied by this rule too; if such tokens must pass, %s", name, advice)
	}
	for _, name := range slices.Sorted(maps.Keys(unguarded)) {
		if r.Claims[name] == nil {
			w.add(d, r.Name, UnguardedClaim, []any{"rules", i, "when"}, "a token without %s is denied by this rule too; if such tokens must pass, put %s && directly before each comparison that reads it", name, presence(name))
		}
	}
}

// uncertainKinds finds comparisons that a claim of another kind passes: "guest" is
// not ["guest"], so != holds and == does not.
func (w *warnings) uncertainKinds(d linted, i int, r *ruleSpec, compiled *rule) {
	if compiled.when == nil {
		return
	}
	deny := compiled.kind.denies()
	for _, name := range slices.Sorted(maps.Keys(compiled.when.reads.compared)) {
		c := compiled.when.reads.compared[name]
		if c.entries && (deny || compiled.when.reads.below(name)) {
			continue // of a text, it cannot be decided, which denies; or it is an object, and its members are asked for
		}
		who := fmt.Sprintf("a token whose %s is a list or of another kind", name)
		switch {
		case deny && c.equal && c.free:
			w.add(d, r.Name, UncertainKind, []any{"rules", i, "when"},
				"%s is not denied by this comparison; write (type(%s) != string || COMPARISON) in its place, with its negation inside", who, celMember(name))
		case deny && c.equal && c.alternative:
			w.add(d, r.Name, UncertainKind, []any{"rules", i, "when"},
				"%s is not denied by this comparison; write (type(%s) != string || COMPARISON) in its place, with its negation inside, or give it a deny rule of its own with claims: {%s: [VALUE]}", who, celMember(name), name)
		case deny && c.equal:
			w.add(d, r.Name, UncertainKind, []any{"rules", i, "when"},
				"%s is not denied by this comparison; list the values under claims: {%s: [VALUE]}, beside when: %s if it may be missing, and keep the other conditions", who, name, presence(name))
		case !deny && c.unequal && c.entries:
			w.add(d, r.Name, UncertainKind, []any{"rules", i, "when"},
				"a token whose %s is an object passes this comparison; put type(%s) == list && before it, outside of its negation", name, celMember(name))
		case !deny && c.unequal:
			w.add(d, r.Name, UncertainKind, []any{"rules", i, "when"},
				"%s passes this comparison; list the values that are allowed under claims: {%s: [VALUE]}, or put type(%s) == string && before it, outside of its negation", who, name, celMember(name))
		}
	}
}

// below reports whether a member of the claim is read too.
func (r *reads) below(claim string) bool {
	for name := range r.claims {
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

// presence is the CEL expression that holds where the members are there. It can stand
// in a document without quotes.
func presence(claims ...string) string {
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

// celMember is how CEL names a claim.
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
