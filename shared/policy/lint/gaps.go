package lint

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/path"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// registeredMethods are those of the HTTP Method Registry (RFC 9110 section 16.1),
// with PURGE and M-SEARCH, which caches and UPnP use.
var registeredMethods = []string{
	"ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LABEL", "LINK", "LOCK", "MERGE",
	"MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "OPTIONS", "ORDERPATCH", "PATCH", "POST", "PRI", "PROPFIND",
	"PROPPATCH", "PUT", "QUERY", "REBIND", "REPORT", "SEARCH", "TRACE", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE",
	"UPDATEREDIRECTREF", "VERSION-CONTROL", "PURGE", "M-SEARCH",
}

// parameterForms are the path parameters of other products: /:id, /<id>, /[id].
var parameterForms = regexp.MustCompile(`^(:[A-Za-z_][A-Za-z0-9_]*|<[^>]+>|\[[^\]]+\][+*?]?)$`)

// checkTo checks the conditions of a rule or public entry on the request.
func (w *warnings) checkTo(d *source.Document, rule string, t source.To, at []any) {
	for i, method := range t.Methods {
		if !slices.Contains(registeredMethods, method) {
			w.addWarning(d, rule, UnknownMethod, append(slices.Clone(at), "methods", i), "%s is no registered HTTP method%s", method, suggest.DidYouMean(method, registeredMethods))
		}
	}
	for i, text := range t.Paths {
		for _, part := range strings.Split(text, "/") {
			if parameterForms.MatchString(part) {
				name := strings.ToLower(strings.Trim(part, ":<>[]+*?"))
				if !path.IsCaptureName(name) {
					name = "name"
				}
				w.addWarning(d, rule, LiteralPattern, append(slices.Clone(at), "paths", i), "segment %q is compared as it is written; if it means any value, write {%s}", part, name)
			}
		}
	}
}

// findGaps finds requests that a deny rule most likely should deny and does not, and that
// some rule may allow.
func (w *warnings) findGaps(r writtenRule, documents []*source.Document) {
	passes := func(narrowed *policy.Rule) bool {
		return !deniesAll(documents, narrowed) && mayAllow(documents, narrowed)
	}
	for j, p := range r.compiled.Spec().Paths {
		if parent := p.Parent(); parent != nil && passes(withPath(r.compiled, *parent)) {
			w.addAt(r, DenyRoot, []any{"to", "paths", j}, "%s does not match %s, which is not denied; add %s to paths", p, parent, parent)
		}
		if twin := p.SlashTwin(); twin != nil && passes(withPath(r.compiled, *twin)) {
			w.addAt(r, DenySlash, []any{"to", "paths", j}, "%s does not match %s, which is not denied, and many servers answer it as they answer %s; add %s to paths", p, twin, p, twin)
		}
	}
	if slices.Contains(r.yaml.To.Methods, "GET") && passes(withMethod(r.compiled, "HEAD")) {
		w.addAt(r, DenyGetNotHead, []any{"to", "methods"}, "HEAD is not denied, and servers answer it as they answer GET; add HEAD to methods")
	}
}

// withPath is the rule for this path alone.
func withPath(r *policy.Rule, p path.Pattern) *policy.Rule {
	return r.With([]path.Pattern{p}, r.Conditions())
}

// withMethod is the rule for this method alone; a rule without methods stays as it is.
func withMethod(r *policy.Rule, method string) *policy.Rule {
	conditions := slices.Clone(r.Conditions())
	for i, c := range conditions {
		if _, isMethods := c.(policy.Methods); isMethods {
			conditions[i] = policy.Methods{method}
		}
	}
	return r.With(r.Spec().Paths, conditions)
}

// deniesAll reports whether some deny rule denies all that r matches.
func deniesAll(documents []*source.Document, r *policy.Rule) bool {
	own := r.Document().Spec()
	return slices.ContainsFunc(documents, func(d *source.Document) bool {
		spec := d.Compiled.Spec()
		if !policy.Within(own.Targets, spec.Targets, identity.Pattern.Covers) || own.Guardrail && !spec.Guardrail {
			return false
		}
		return slices.ContainsFunc(d.Compiled.Rules(), func(other *policy.Rule) bool {
			return other.Spec().Effect == policy.Deny && (!other.Spec().Shadow || r.Spec().Shadow) && coversRule(other, r)
		})
	})
}

// mayAllow reports whether a rule or public entry may allow some of what r matches. If
// the documents allow nothing for its workloads, other documents do, which are not here.
func mayAllow(documents []*source.Document, r *policy.Rule) bool {
	if r.Document().Spec().Guardrail {
		return true
	}
	found := false
	for _, d := range documents {
		if !shareTarget(d.Compiled, r.Document()) {
			continue
		}
		for _, other := range d.Compiled.Rules() {
			if other.Spec().Effect == policy.Deny || other.Spec().Shadow && !r.Spec().Shadow {
				continue
			}
			if found = true; mayOverlap(other, r) {
				return true
			}
		}
	}
	return !found
}

// shareTarget reports whether a target of one document is a target of the other, or
// within one.
func shareTarget(a, b *policy.Document) bool {
	return slices.ContainsFunc(a.Spec().Targets, func(p identity.Pattern) bool {
		return slices.ContainsFunc(b.Spec().Targets, func(q identity.Pattern) bool { return p.Covers(q) || q.Covers(p) })
	})
}

// mayOverlap is false where no request matches both rules, by their methods and paths.
func mayOverlap(a, b *policy.Rule) bool {
	methods, other := methodsOf(a), methodsOf(b)
	if len(methods) > 0 && len(other) > 0 && !slices.ContainsFunc(methods, func(m string) bool { return slices.Contains(other, m) }) {
		return false
	}
	paths, others := a.Spec().Paths, b.Spec().Paths
	if len(paths) == 0 || len(others) == 0 {
		return true
	}
	return slices.ContainsFunc(paths, func(p path.Pattern) bool { return slices.ContainsFunc(others, p.Overlaps) })
}

func methodsOf(r *policy.Rule) policy.Methods {
	for _, c := range r.Conditions() {
		if methods, ok := c.(policy.Methods); ok {
			return methods
		}
	}
	return nil
}

// overrideHeaders are headers of a POST that ask a server to treat it as another method.
var overrideHeaders = []string{"x-http-method", "x-http-method-override", "x-method-override"}

// findMethodOverrides finds deny rules on methods that a POST with such a header would
// pass, unless a rule for the same workloads denies these headers.
func (w *warnings) findMethodOverrides(documents []*source.Document) {
	var headerRules []*policy.Rule
	for _, d := range documents {
		for _, r := range d.Compiled.Rules() {
			if deniesOverrideHeaders(r) {
				headerRules = append(headerRules, r)
			}
		}
	}
	for _, d := range documents {
		rules := rulesByName(d)
		for i, r := range d.Policy.Spec.Rules {
			compiled := rules[r.Name]
			if compiled.Spec().Effect != policy.Deny || !isOverridable(r.To.Methods) {
				continue
			}
			guarded := slices.ContainsFunc(headerRules, func(r *policy.Rule) bool {
				return policy.Within(d.Compiled.Spec().Targets, r.Document().Spec().Targets, identity.Pattern.Covers)
			})
			posts := withMethod(compiled, "POST")
			if !guarded && !deniesAll(documents, posts) && mayAllow(documents, posts) {
				w.addWarning(d, r.Name, MethodOverride, []any{"rules", i, "to", "methods"},
					"a POST with x-http-method-override passes, and some servers treat it as the method in the header; add the guardrail manifests/guardrails/method-override.yaml")
			}
		}
	}
}

// isOverridable reports a list of methods without POST that has a method which such a
// header can name.
func isOverridable(methods []string) bool {
	return !slices.Contains(methods, "POST") && slices.ContainsFunc(methods, func(m string) bool { return m != "OPTIONS" && m != "TRACE" && m != "CONNECT" })
}

// deniesOverrideHeaders reports a deny rule on these headers and on nothing else.
func deniesOverrideHeaders(r *policy.Rule) bool {
	spec, expression := r.Spec(), r.Expression()
	return spec.Effect == policy.Deny && !spec.Shadow && len(spec.Paths) == 0 && len(r.Conditions()) == 1 && expression != nil &&
		!slices.ContainsFunc(overrideHeaders, func(name string) bool { return !expression.Reads().Headers[name] })
}

// maxOtherFile is the number of bytes that are read of a file that is no *.yaml.
const maxOtherFile = 1 << 20

// findFilesNotRead finds documents in files whose names the loader ignores. It ignores
// files that cannot be read, as the loader does not read them either.
func (w *warnings) findFilesNotRead(dir source.Dir) {
	other := func(name string) bool { return !source.IsRead(name) }
	_ = readfile.Walk(dir.Files, other, func(e readfile.Entry) {
		if e.Err == nil && holdsPolicy(dir.Files, e.Name) {
			*w = append(*w, Warning{Code: FileNotRead, Problem: strictyaml.Problem{
				File: dir.FilePath(e.Name), Position: strictyaml.Position{Line: 1, Column: 1},
				Message: "holds an " + source.Kind + " and is not read, as only *.yaml and *.yml are; rename it, or move it out of the folder",
			}})
		}
	})
}

const (
	// maxConfigMap is what Kubernetes admits as the data of a ConfigMap (MaxSecretSize of its core API).
	maxConfigMap = 1 << 20
	// sizeMargin leaves room for names, and for a few documents more.
	sizeMargin = maxConfigMap / 10
)

// checkSize warns, at the largest file, of a folder that soon fits into no ConfigMap.
func (w *warnings) checkSize(dir source.Dir) {
	var total, largest int64
	var name string
	_ = readfile.Walk(dir.Files, source.IsRead, func(e readfile.Entry) {
		info, err := fs.Stat(dir.Files, e.Name)
		if e.Err != nil || err != nil {
			return // the loader reports it
		}
		total += info.Size()
		if info.Size() > largest {
			largest, name = info.Size(), e.Name
		}
	})
	if total < maxConfigMap-sizeMargin {
		return
	}
	*w = append(*w, Warning{Code: ConfigMapSize, Problem: strictyaml.Problem{
		File: dir.FilePath(name), Position: strictyaml.Position{Line: 1, Column: 1},
		Message: fmt.Sprintf("the documents of this folder have %d bytes, and a ConfigMap holds at most %d; divide them into folders, or use an image volume or a checkout", total, maxConfigMap),
	}})
}

func holdsPolicy(files fs.FS, name string) bool {
	file, err := files.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxOtherFile))
	return err == nil && bytes.Contains(data, []byte(source.Kind)) && bytes.Contains(data, []byte(source.APIVersion))
}
