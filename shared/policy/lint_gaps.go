package policy

import (
	"bytes"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/identity"
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

// to looks at what a rule or public entry says of the request.
func (w *warnings) to(d linted, rule string, t to, at []any) {
	for i, method := range t.Methods {
		if !slices.Contains(registeredMethods, method) {
			w.add(d, rule, UnknownMethod, append(slices.Clone(at), "methods", i), "%s is no registered HTTP method%s", method, suggest.DidYouMean(method, registeredMethods))
		}
	}
	for i, text := range t.Paths {
		for _, part := range strings.Split(text, "/") {
			if parameterForms.MatchString(part) {
				name := strings.ToLower(strings.Trim(part, ":<>[]+*?"))
				if !captureForm.MatchString("{" + name + "}") {
					name = "name"
				}
				w.add(d, rule, LiteralPattern, append(slices.Clone(at), "paths", i), "segment %q is compared as it is written; if it stands for any value, write {%s}", part, name)
			}
		}
	}
}

// gaps finds requests that a deny rule most likely means and does not deny, and that
// some rule may allow.
func (w *warnings) gaps(d linted, i int, r *ruleSpec, compiled *rule, documents []linted) {
	at := []any{"rules", i, "to"}
	passes := func(narrowed rule) bool {
		return !deniesAll(documents, &narrowed) && mayAllow(documents, &narrowed)
	}
	for j, p := range compiled.patterns {
		if root := p.root(); root != nil && passes(compiled.withPath(*root)) {
			w.add(d, r.Name, DenyRoot, append(slices.Clone(at), "paths", j), "%s does not match %s, which is not denied; add %s to paths", p.text, root.text, root.text)
		}
		if twin := p.slashTwin(); twin != nil && passes(compiled.withPath(*twin)) {
			w.add(d, r.Name, DenySlash, append(slices.Clone(at), "paths", j), "%s does not match %s, which is not denied, and many servers answer it as they answer %s; add %s to paths", p.text, twin.text, p.text, twin.text)
		}
	}
	if slices.Contains(r.To.Methods, "GET") && passes(compiled.withMethod("HEAD")) {
		w.add(d, r.Name, DenyGetNotHead, append(slices.Clone(at), "methods"), "HEAD is not denied, and servers answer it as they answer GET; add HEAD to methods")
	}
}

// slashTwin is /admin/ for /admin, and the other way round. It is nil for patterns
// that are open, for / and for names of files, such as /robots.txt.
func (p pattern) slashTwin() *pattern {
	if p.open || p.text == "/" || strings.Contains(p.segments[len(p.segments)-1].literal, ".") {
		return nil
	}
	text, hasSlash := strings.CutSuffix(p.text, "/")
	if !hasSlash {
		text += "/"
	}
	twin, err := parsePattern(text)
	if err != nil {
		return nil
	}
	return &twin
}

// root is the path above an open pattern: /admin for /admin/**. It is nil for
// patterns that are not open, and for /**.
func (p pattern) root() *pattern {
	if !p.open || len(p.segments) == 0 {
		return nil
	}
	return &pattern{text: strings.TrimSuffix(p.text, "/**"), segments: p.segments}
}

// withPath is the rule for this path alone.
func (r *rule) withPath(p pattern) rule {
	narrowed := *r
	narrowed.patterns = []pattern{p}
	return narrowed
}

// withMethod is the rule for this method alone.
func (r *rule) withMethod(method string) rule {
	narrowed := *r
	narrowed.outer = slices.Clone(r.outer)
	for i := range narrowed.outer {
		if narrowed.outer[i].field == "to.methods" {
			narrowed.outer[i] = methodIn([]string{method})
		}
	}
	return narrowed
}

// deniesAll reports whether some deny rule denies all that r matches.
func deniesAll(documents []linted, r *rule) bool {
	return slices.ContainsFunc(documents, func(d linted) bool {
		return within(r.document.targets, d.compiled.targets, identity.Pattern.Covers) && slices.ContainsFunc(d.compiled.rules, func(other *rule) bool {
			return other.kind.denies() && (!other.shadow || r.shadow) && (!r.document.guardrail || d.compiled.guardrail) && other.covers(r)
		})
	})
}

// mayAllow reports whether a rule or public entry may allow some of what r matches.
// Where the documents allow nothing for its workloads, others do, which are not here.
func mayAllow(documents []linted, r *rule) bool {
	if r.document.guardrail {
		return true
	}
	found := false
	for _, d := range documents {
		if !d.compiled.sharesTarget(r.document) {
			continue
		}
		for _, other := range d.compiled.rules {
			if other.kind.denies() || other.shadow && !r.shadow {
				continue
			}
			if found = true; other.mayMeet(r) {
				return true
			}
		}
	}
	return !found
}

// sharesTarget reports whether a target of one document is a target of the other, or
// within one.
func (c *compiled) sharesTarget(other *compiled) bool {
	return slices.ContainsFunc(c.targets, func(a identity.Pattern) bool {
		return slices.ContainsFunc(other.targets, func(b identity.Pattern) bool { return a.Covers(b) || b.Covers(a) })
	})
}

// mayMeet is false where no request matches both rules, by their methods and paths.
func (a *rule) mayMeet(b *rule) bool {
	methods, other := a.methods(), b.methods()
	if len(methods) > 0 && len(other) > 0 && !slices.ContainsFunc(methods, func(m string) bool { return slices.Contains(other, m) }) {
		return false
	}
	if len(a.patterns) == 0 || len(b.patterns) == 0 {
		return true
	}
	return slices.ContainsFunc(a.patterns, func(p pattern) bool { return slices.ContainsFunc(b.patterns, p.mayMeet) })
}

func (r *rule) methods() []string {
	for _, c := range r.outer {
		if c.field == "to.methods" {
			return c.want.([]string)
		}
	}
	return nil
}

// mayMeet is false where no path matches both.
func (p pattern) mayMeet(q pattern) bool {
	if !p.open && len(q.segments) > len(p.segments) || !q.open && len(p.segments) > len(q.segments) || !p.open && !q.open && len(p.segments) != len(q.segments) {
		return false
	}
	for i := range min(len(p.segments), len(q.segments)) {
		a, b := p.segments[i], q.segments[i]
		if a.capture == "" && b.capture == "" && a.literal != b.literal || a.capture != "" && b.capture == "" && b.literal == "" || b.capture != "" && a.capture == "" && a.literal == "" {
			return false
		}
	}
	return true
}

// overrideHeaders are headers by which a POST asks a server to treat it as another
// method.
var overrideHeaders = []string{"x-http-method", "x-http-method-override", "x-method-override"}

// methodOverrides finds deny rules on methods that a POST with such a header would
// pass, unless a rule for the same workloads denies these headers.
func (w *warnings) methodOverrides(documents []linted) {
	var guards []*rule
	for _, d := range documents {
		for _, r := range d.compiled.rules {
			if r.deniesOverrideHeaders() {
				guards = append(guards, r)
			}
		}
	}
	for _, d := range documents {
		for i, spec := range d.source.Spec.Rules {
			if spec.Effect != "deny" || !overridable(spec.To.Methods) {
				continue
			}
			guarded := slices.ContainsFunc(guards, func(r *rule) bool {
				return within(d.compiled.targets, r.document.targets, identity.Pattern.Covers)
			})
			posts := d.compiled.rule(spec.Name).withMethod("POST")
			if !guarded && !deniesAll(documents, &posts) && mayAllow(documents, &posts) {
				w.add(d, spec.Name, MethodOverride, []any{"rules", i, "to", "methods"},
					"a POST with x-http-method-override passes, and some servers treat it as the method in the header; add the guardrail manifests/guardrails/method-override.yaml")
			}
		}
	}
}

func (c *compiled) rule(name string) *rule {
	return c.rules[slices.IndexFunc(c.rules, func(r *rule) bool { return r.kind != public && r.name == name })]
}

// overridable reports a list of methods that leaves POST out and holds one that
// such a header can name.
func overridable(methods []string) bool {
	return !slices.Contains(methods, "POST") && slices.ContainsFunc(methods, func(m string) bool { return m != "OPTIONS" && m != "TRACE" && m != "CONNECT" })
}

// deniesOverrideHeaders reports a deny rule on these headers and on nothing else.
func (r *rule) deniesOverrideHeaders() bool {
	return r.kind.denies() && !r.shadow && len(r.outer) == 0 && len(r.patterns) == 0 && len(r.inner) == 1 && r.when != nil &&
		!slices.ContainsFunc(overrideHeaders, func(name string) bool { return !r.when.reads.headers[name] })
}

// maxOther bounds, in bytes, what is read of a file that is no *.yaml.
const maxOther = 1 << 20

// filesNotRead finds documents in files whose names the loader passes over. What
// cannot be read is passed over here too, as the loader does not read it either.
func (w *warnings) filesNotRead(dir Dir) {
	other := func(name string) bool { return !IsRead(name) }
	_ = readfile.Walk(dir.Files, other, func(e readfile.Entry) {
		if e.Err == nil && holdsPolicy(dir.Files, e.Name) {
			*w = append(*w, Warning{Code: FileNotRead, Problem: strictyaml.Problem{
				File: dir.FilePath(e.Name), Position: strictyaml.Position{Line: 1, Column: 1},
				Message: "holds an " + Kind + " and is not read, as only *.yaml and *.yml are; rename it, or move it out of the folder",
			}})
		}
	})
}

func holdsPolicy(files fs.FS, name string) bool {
	file, err := files.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxOther))
	return err == nil && bytes.Contains(data, []byte(Kind)) && bytes.Contains(data, []byte(APIVersion))
}
