package rbac

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/rbac/hops"
	"github.com/meshpass/meshpass/extauthz/internal/rbac/rights"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/host"
	"github.com/meshpass/meshpass/shared/policy/path"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// GeneratedDocuments are AccessPolicies for the gateway's plugin.
type GeneratedDocuments struct {
	Documents string `json:"documents"` // YAML
	Differences
}

// edgeDocument is an AccessPolicy in the form that people write.
type edgeDocument struct {
	APIVersion string       `yaml:"apiVersion"`
	Kind       string       `yaml:"kind"`
	Metadata   edgeMetadata `yaml:"metadata"`
	Spec       edgeSpec     `yaml:"spec"`
}

type edgeMetadata struct {
	Name string `yaml:"name"`
}

type edgeSpec struct {
	Targets  edgeTargets `yaml:"targets"`
	Identity string      `yaml:"identity,omitempty"`
	Public   []edgeTo    `yaml:"public,omitempty"`
	Rules    []edgeRule  `yaml:"rules,omitempty"`
}

type edgeTargets struct {
	Workloads []string `yaml:"workloads,flow"`
}

type edgeTo struct {
	Methods      []string `yaml:"methods,omitempty,flow"`
	Paths        []string `yaml:"paths,omitempty,flow"`
	AllowEncoded []string `yaml:"allowEncoded,omitempty,flow"`
}

type edgeRule struct {
	Name   string           `yaml:"name"`
	Effect string           `yaml:"effect"`
	From   *edgeFrom        `yaml:"from,omitempty"`
	To     edgeTo           `yaml:"to,omitempty"`
	Scopes []string         `yaml:"scopes,omitempty,flow"`
	Claims map[string][]any `yaml:"claims,omitempty"`
	When   string           `yaml:"when,omitempty"`
}

type edgeFrom struct {
	Issuers []string `yaml:"issuers,omitempty,flow"`
}

// edgeGenerator makes a document for each API.
type edgeGenerator struct {
	*comparer
	documents []edgeDocument
}

// GenerateEdge writes a document for each API, with the rules of its callee on the paths that the gateway sees. A rule that the gateway cannot
// decide in the same way is refused.
func GenerateEdge(set *objects.Set, o GenerateOptions) (GeneratedDocuments, error) {
	c, err := newComparer(set, o.Options)
	if err != nil {
		return GeneratedDocuments{}, err
	}
	if len(c.documents) == 0 {
		set.AddMissing("AccessPolicy")
	}
	g := edgeGenerator{comparer: c}
	for _, r := range c.routers {
		for _, problem := range r.Problems {
			c.addUnchecked(problem.Place, problem.Reason)
		}
		for _, a := range r.APIs() {
			if x := c.prepareAPI(r, a); x != nil {
				g.addAPI(x)
			}
		}
	}
	c.report.finish(set, nil)
	result := GeneratedDocuments{Differences: Differences{Wider: []Row{}, Narrower: []Row{}, Notes: c.report.Notes, Unchecked: c.report.Unchecked}}
	result.Documents, err = g.print()
	return result, err
}

// print writes the documents, after the loader of the plugin has read them.
func (g *edgeGenerator) print() (string, error) {
	if len(g.documents) == 0 {
		return "", nil
	}
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	for _, d := range g.documents {
		if err := encoder.Encode(d); err != nil {
			return "", err
		}
	}
	if err := encoder.Close(); err != nil {
		return "", err
	}
	loader := source.Loader{Domains: g.Domains()}
	if _, problems := loader.Documents(source.Dir{Name: "edge", Files: policycli.MemoryFolder(map[string][]byte{"edge.yaml": text.Bytes()})}); len(problems) > 0 {
		return "", fmt.Errorf("the documents are not valid: %w", problems)
	}
	return text.String(), nil
}

func (g *edgeGenerator) refuse(x *apiComparison, r *policy.Rule, format string, args ...any) {
	g.Set.Unchecked = append(g.Set.Unchecked, objects.Unchecked{Place: x.placeOf(r), Reason: fmt.Sprintf("API %s, rule %s: ", x.api.Title(), nameOf(r)) + fmt.Sprintf(format, args...)})
}

// addAPI refuses APIs for whose requests several places decide by different documents: one document cannot have the meaning of both.
func (g *edgeGenerator) addAPI(x *apiComparison) {
	edge, err := identity.EdgeCallee(x.api.ID)
	if err != nil {
		g.addUnchecked(x.api.Root, fmt.Sprintf("API %s: no document can target it: %v", x.api.Title(), err))
		return
	}
	var callees []identity.Workload
	var first *way
	for _, w := range x.ways {
		for _, ch := range x.chains[w] {
			inMesh := slices.DeleteFunc(slices.Clone(ch), func(h hop) bool { return h.atEdge })
			if len(inMesh) > 1 {
				g.addUnchecked(x.api.ListenPath, fmt.Sprintf("API %s: %s decide one after the other, which one document cannot express", x.api.Title(), inMesh.describe()))
				return
			}
			if h := inMesh[0]; h.open {
				g.report.addNote(fmt.Sprintf("API %s: %s is not guarded, so no document is written", x.api.Title(), h.callee))
				return
			} else if !slices.Contains(callees, h.callee) {
				callees, first = append(callees, h.callee), w
			}
		}
	}
	if len(callees) > 1 {
		g.addUnchecked(x.api.ListenPath, fmt.Sprintf("API %s: its requests go to several workloads with documents of their own: %v", x.api.Title(), callees))
		return
	}
	if slices.ContainsFunc(endpointsOf(x.api), endpoint.rewrites) {
		g.addUnchecked(x.api.ListenPath, fmt.Sprintf("API %s: rewriting changes requests after the edge has decided: write its document by hand", x.api.Title()))
		return
	}
	if v := x.ambiguousVersion(); v != "" {
		g.addUnchecked(x.api.ListenPath, fmt.Sprintf("API %s: its version %s sends a path to another place of the upstream than the other versions, which one document cannot express", x.api.Title(), v))
		return
	}
	if !hops.IsTargeted(x.comparer.documents, callees[0]) {
		g.report.addNote(fmt.Sprintf("API %s: no document targets %s, which denies every request; no document is written", x.api.Title(), callees[0]))
		return
	}
	g.addDocument(x, first, edge, callees[0])
}

// ambiguousVersion gives a version that sends a path of the gateway to another path of the upstream than another version; "": no version does.
func (x *apiComparison) ambiguousVersion() string {
	upstreams := map[text]text{}
	for _, w := range x.ways {
		if w.rest.exact {
			continue
		}
		if known, found := upstreams[w.compared]; found && known != w.upstream {
			return w.version
		}
		upstreams[w.compared] = w.upstream
	}
	return ""
}

func (g *edgeGenerator) addDocument(x *apiComparison, w *way, edge, callee identity.Workload) {
	d := edgeDocument{APIVersion: source.APIVersion, Kind: source.Kind, Metadata: edgeMetadata{Name: documentName(x.api.ID)}, Spec: edgeSpec{Targets: edgeTargets{Workloads: []string{string(edge)}}, Identity: "optional"}}
	rules := hops.RulesFor(x.comparer.documents, callee, x.who(rights.Caller{}, w, hop{callee: callee}), "GET")
	if rules.TokenRequired {
		d.Spec.Identity = ""
	}
	names := map[string]int{}
	for _, r := range x.rulesOfCallees() {
		if isOfEdge(r) || !isTarget(r, callee) {
			continue
		}
		rule, applies := g.translateRule(x, w, r)
		if !applies {
			continue
		}
		if r.Spec().Effect == policy.Public {
			d.Spec.Public = append(d.Spec.Public, rule.To)
			continue
		}
		rule.Name = uniqueName(names, r)
		d.Spec.Rules = append(d.Spec.Rules, rule)
	}
	if len(d.Spec.Rules)+len(d.Spec.Public) == 0 {
		g.report.addNote(fmt.Sprintf("API %s: no rule of %s applies to the gateway; without a document the edge leaves the decision to the hop", x.api.Title(), callee))
		return
	}
	g.documents = append(g.documents, d)
}

var notInName = regexp.MustCompile(`[^a-z0-9.-]+`)

// documentName is a name of the form that documents have.
func documentName(id string) string { return shortName("edge-" + strings.ToLower(id)) }

func shortName(text string) string {
	text = notInName.ReplaceAllString(text, "-")
	return strings.Trim(text[:min(len(text), 63)], "-.")
}

// uniqueName joins the names of document and rule.
func uniqueName(known map[string]int, r *policy.Rule) string {
	name := shortName(r.Document().Spec().Name + "." + r.Spec().Name)
	known[name]++
	if n := known[name]; n > 1 {
		name = shortName(name[:min(len(name), 58)]) + fmt.Sprintf("-%d", n)
	}
	return name
}

// readsPlace are names in expressions whose values differ between the edge and a hop.
var readsPlace = regexp.MustCompile(`\b(request\.(path|host|port)|caller|callee)\b`)

// translateRule gives the rule as the edge decides it. applies is false for a rule that no request of the gateway matches.
func (g *edgeGenerator) translateRule(x *apiComparison, w *way, r *policy.Rule) (rule edgeRule, applies bool) {
	rule.Effect = r.Spec().Effect.String()
	for _, condition := range r.Conditions() {
		switch c := condition.(type) {
		case policy.Callers:
			if g.gateway == "" {
				g.refuse(x, r, "from.workloads: the gateway's workload is unknown; add the plugin's file, or write --gateway")
				return rule, false
			}
			if !slices.ContainsFunc(c, func(p identity.Pattern) bool { return p.Match(g.gateway) }) {
				return rule, false
			}
		case policy.NoPrincipal:
			return rule, false // the gateway has a name
		case policy.Issuers:
			rule.From = &edgeFrom{Issuers: c}
		case policy.Methods:
			rule.To.Methods = c
		case policy.Hosts:
			if w.keepsHost {
				g.refuse(x, r, "to.hosts: the API keeps the client's host (preserve_host_header)")
				return rule, false
			}
			if !slices.ContainsFunc(c, func(pattern string) bool { return host.Match(pattern, host.Normalize(w.target.Host)) }) {
				return rule, false
			}
		case policy.Ports:
			g.refuse(x, r, "to.ports: the gateway's port is not the workload's")
			return rule, false
		case policy.Scopes:
			rule.Scopes = c
		case *policy.Claim:
			if rule.Claims == nil {
				rule.Claims = map[string][]any{}
			}
			rule.Claims[c.Name()] = c.Values()
		case *policy.When:
			if name := readsPlace.FindString(c.Expression().Text()); name != "" {
				g.refuse(x, r, "when reads %s, which differs between the edge and the hop", name)
				return rule, false
			}
			rule.When = c.Expression().Text()
		default:
			g.refuse(x, r, "%s cannot be decided at the edge", condition.Field())
			return rule, false
		}
	}
	if r.Spec().AllowEncoded != 0 {
		rule.To.AllowEncoded = encodedOf(r)
	}
	rule.To.Paths = g.translatePaths(x, r)
	return rule, len(rule.To.Paths) > 0
}

func encodedOf(r *policy.Rule) (all []string) {
	for _, text := range []string{"%2F", "%5C", "%25", "%3B", "%3F", "%23"} {
		if escape, err := path.ParseEscape(text); err == nil && r.Spec().AllowEncoded&escape != 0 {
			all = append(all, text)
		}
	}
	return all
}

// translatePaths gives the paths of a rule as the gateway sees them, by the listen path and by the alias.
func (g *edgeGenerator) translatePaths(x *apiComparison, r *policy.Rule) (all []string) {
	patterns := r.Spec().Paths
	if len(patterns) == 0 {
		every, _ := path.ParsePattern("/**")
		patterns = []path.Pattern{every}
	}
	for _, w := range x.ways {
		before, err := w.segmentsBefore()
		if err != nil {
			g.refuse(x, r, "%v", err)
			return nil
		}
		for _, p := range patterns {
			rest, found, bound := restOf(p, w.upstream.prefix)
			if w.rest.exact {
				found = !w.rest.some && p.Match(path.Segments(w.upstream.prefix))
			}
			if !found {
				continue
			}
			if name := boundCapture(r, bound); name != "" {
				g.refuse(x, r, "when reads path.%s, which is a fixed part of the upstream's path behind this API", name)
				return nil
			}
			for _, text := range joinPattern(before, rest, w) {
				if !slices.Contains(all, text) {
					all = append(all, text)
				}
			}
		}
	}
	return all
}

// restOf takes a text, which ends with a slash, from the beginning of a pattern. It also gives the captures that this text binds.
func restOf(p path.Pattern, prefix string) (rest path.Pattern, some bool, bound []string) {
	parts := strings.FieldsFunc(prefix, func(r rune) bool { return r == '/' })
	for i, part := range parts {
		if i >= len(p.Segments) {
			break
		}
		switch s := p.Segments[i]; {
		case s.Capture != "":
			bound = append(bound, s.Capture)
		case s.Literal != part:
			return rest, false, nil
		}
	}
	rest.Open = p.Open
	if len(p.Segments) <= len(parts) {
		return rest, p.Open, bound
	}
	rest.Segments = p.Segments[len(parts):]
	return rest, true, bound
}

func boundCapture(r *policy.Rule, bound []string) string {
	if e := r.Expression(); e != nil {
		for _, name := range bound {
			if _, reads := e.Reads().Captures[name]; reads {
				return name
			}
		}
	}
	return ""
}

// segmentsBefore are the segments of patterns for what precedes the rest in a path at the gateway.
func (w *way) segmentsBefore() ([]string, error) {
	text := w.compared.prefix
	if w.compared.beginning {
		text = parameterForm.ReplaceAllString(w.entry.ListenPathText(), "{}")
	}
	var all []string
	for i, part := range strings.FieldsFunc(text, func(r rune) bool { return r == '/' }) {
		if part == "{}" {
			part = fmt.Sprintf("{listen_path_%d}", i)
		}
		if _, err := path.ParsePattern("/" + part); err != nil {
			return nil, fmt.Errorf("the listen path %s cannot be written as a pattern of a document: %w", w.entry.ListenPathText(), err)
		}
		all = append(all, part)
	}
	return all, nil
}

var parameterForm = regexp.MustCompile(`\{(?:[^{}]|\{[^{}]*\})*\}`)

// joinPattern writes the patterns of a way.
func joinPattern(before []string, rest path.Pattern, w *way) []string {
	beginning := ""
	for _, part := range before {
		beginning += "/" + part
	}
	switch {
	case w.rest.exact && strings.HasSuffix(w.compared.prefix, "/"), w.rest.exact && w.compared.beginning:
		return []string{beginning + "/"}
	case w.rest.exact:
		return []string{beginning}
	case w.rest.some && rest.Open && len(rest.Segments) == 0: // the empty rest is another way
		return []string{beginning + "/{rest}", beginning + "/{rest}/**"}
	case w.rest.some && !rest.Open && len(rest.Segments) == 1 && rest.Segments[0] == (path.Segment{}):
		return nil
	}
	for _, s := range rest.Segments {
		if s.Capture != "" {
			beginning += "/{" + s.Capture + "}"
		} else {
			beginning += "/" + s.Literal
		}
	}
	if rest.Open {
		beginning += "/**"
	}
	return []string{beginning}
}
