package tykroute

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/redact"
)

// Table has, for the requests to a host, rules that do what the gateway does. The first rule that matches decides. Paths are compared as they
// are on the wire.
type Table struct {
	Host  string // "": every host that no other table has
	Rules []Rule
	Then  *Table // asked if no rule matches: the APIs for all hosts, which tables share; nil: they do not exist
}

// Whole is the table with the rules of the shared one, except those that its own rules cover.
func (t Table) Whole() Table {
	if t.Then == nil {
		return t
	}
	var covered pathSet
	for _, rule := range t.Rules {
		if rule.Condition == nil {
			covered.add(rule.Path)
		}
	}
	whole := Table{Host: t.Host, Rules: slices.Clone(t.Rules)}
	for _, rule := range t.Then.Rules {
		if !covered.covers(rule.Path) {
			whole.Rules = append(whole.Rules, rule)
		}
	}
	return whole
}

// Rule is a condition on requests and their destination.
type Rule struct {
	API, Serving *model.API // that takes and that forwards the requests; nil: the gateway itself
	Path         PathMatch
	Condition    *Condition    // on the version; nil: it does not matter
	Destinations []Destination // nil: the gateway answers, and no upstream gets the request
	Rewrites     bool          // the path changes to Path.Becomes
	KeepsHost    bool          // the field Host is not that of the destination
	Reason       string        // why the gateway answers
}

// PathMatch is a condition on a path: exactly one of Exact, Prefix and Pattern is set.
type PathMatch struct {
	Exact   string
	Prefix  string // the beginning of the text
	Pattern string // a regular expression (RE2) for all of the path
	Becomes string // the new path; of a prefix, the text that replaces it; of a pattern, a text with \1 for its first group
}

// Condition is a header or a query parameter with a version. Without a value, any text that is not empty matches.
type Condition struct {
	Header, Query string // one of them is set
	Value         string
}

// Destination is an upstream.
type Destination struct {
	URL    *url.URL // without a path
	Weight int
}

// State is what became of an API in the tables.
type State string

// The states.
const (
	Mapped    State = "mapped"
	NotServed State = "not served" // the gateway gives no request of a client to it
	Refused   State = "refused"    // no table can do what the gateway does
)

// Mapping is the state of an API.
type Mapping struct {
	API    *model.API
	State  State
	Reason string
	Place  *objects.Node
	Notes  []string // about parts that routes do not have
}

// refusal is why an API cannot be mapped.
type refusal struct {
	at     *objects.Node
	reason string
}

// Tables maps all APIs. Where an API is refused, its listen path has a rule without destination, so that no other API gets its requests.
func (r *Router) Tables() ([]Table, []Mapping) {
	var mappings []Mapping
	rules := map[*api][]Rule{}
	for _, a := range r.apis {
		m := Mapping{API: a.API, State: Mapped, Place: a.Root}
		switch {
		case a.skipped != "":
			m.State, m.Reason = NotServed, a.skipped
		case a.internal:
			m.State, m.Reason = NotServed, "it is internal"
		case a.IsCanary():
			m.State, m.Reason = NotServed, canaryAnswers
			rules[a] = nil
		default:
			p := &planner{router: r}
			mapped := p.mapAPI(a)
			for i := range mapped { // versions and internal targets are other APIs
				mapped[i].API = a.API
			}
			m.Notes = p.notes
			if p.refused != nil {
				m.State, m.Reason, m.Place = Refused, p.refused.reason, p.refused.at
				if m.Place == nil {
					m.Place = a.Root
				}
				mapped = nil
			}
			rules[a] = mapped
		}
		mappings = append(mappings, m)
	}
	return r.makeTables(rules), mappings
}

// makeTables makes the table of each host. The gateway asks the APIs with a domain before those that are for all hosts.
func (r *Router) makeTables(rules map[*api][]Rule) (tables []Table) {
	ofHost := map[string][]Rule{}
	for _, a := range r.apis {
		mapped, served := rules[a]
		if !served {
			continue
		}
		hosts := []string{r.hostOf(a)}
		if a.findHostFault(r) != "" { // no table is for its host alone
			hosts = append(r.hosts(), "")
		}
		for _, host := range hosts {
			ofHost[host] = append(append(ofHost[host], mapped...), a.barrier(mapped == nil))
			if a.id != "" {
				ofHost[host] = append(ofHost[host], Rule{API: a.API, Serving: a.API, Path: newBarrierPath(a.aliasPath()), Reason: "the alias of API " + a.Title()})
			}
		}
	}
	then, forwards := newSharedTable(ofHost[""])
	for _, host := range r.hosts() {
		var own []Rule
		if r.Switches.ControlPort == 0 || r.Switches.ControlPort == r.Switches.Port {
			for _, path := range []PathMatch{{Exact: "/" + r.Switches.HealthCheck}, {Prefix: "/tyk/"}} {
				own = append(own, Rule{Path: path, Reason: "the gateway's own API"})
			}
		}
		if host != "" {
			own = append(own, ofHost[host]...)
		}
		tables = append(tables, Table{Host: host, Rules: removeUnreachable(own, forwards), Then: then})
	}
	return tables
}

// newSharedTable makes the table that others ask last, and collects the paths that it forwards. It is nil without rules.
func newSharedTable(rules []Rule) (then *Table, forwards pathSet) {
	for _, rule := range rules {
		if len(rule.Destinations) > 0 {
			forwards.add(rule.Path)
		}
	}
	if rules = removeUnreachable(rules, pathSet{}); len(rules) == 0 {
		return nil, forwards
	}
	return &Table{Rules: rules}, forwards
}

// hostOf is the host that the router asks for; "": every host.
func (r *Router) hostOf(a *api) string {
	if r.Switches.CustomDomains && a.hasDomain {
		return a.domain
	}
	return r.Switches.HostName
}

// hosts are the hosts of all served APIs; the empty one is last.
func (r *Router) hosts() []string {
	seen := map[string]bool{}
	for _, a := range r.apis {
		if a.skipped == "" && !a.internal && a.findHostFault(r) == "" {
			seen[r.hostOf(a)] = true
		}
	}
	all := slices.Sorted(maps.Keys(seen))
	if len(all) > 0 && all[0] == "" {
		all = append(all[1:], "")
	}
	return all
}

// barrier keeps what an API takes and does not forward from the APIs after it.
func (a *api) barrier(refused bool) Rule {
	b := Rule{API: a.API, Serving: a.API, Path: newBarrierPath(a.declaredPath), Reason: "API " + a.Title() + " has no upstream for it"}
	if refused {
		b.Reason = "API " + a.Title() + " is not mapped"
	}
	return b
}

// newBarrierPath is the condition that a path begins with a listen path, in every spelling.
func newBarrierPath(listenPath string) PathMatch {
	if isPlain(listenPath) {
		return PathMatch{Prefix: listenPath}
	}
	return PathMatch{Pattern: wirePattern(listenPath) + ".*"}
}

// removeUnreachable removes rules that a rule before them covers, and rules without destination that keep nothing from a rule after them:
// one of them, or one of a table that is asked later, which forwards these paths.
func removeUnreachable(rules []Rule, later pathSet) []Rule {
	var forwards pathSet
	needed := make([]bool, len(rules))
	for i, rule := range slices.Backward(rules) {
		if needed[i] = len(rule.Destinations) > 0 || forwards.mayOverlap(rule.Path) || later.mayOverlap(rule.Path); len(rule.Destinations) > 0 {
			forwards.add(rule.Path)
		}
	}
	var kept []Rule
	var covered pathSet
	for i, rule := range rules {
		if !needed[i] || covered.covers(rule.Path) {
			continue
		}
		if kept = append(kept, rule); rule.Condition == nil {
			covered.add(rule.Path)
		}
	}
	return kept
}

// Prune removes rules that do nothing, after destinations were removed from whole tables.
func Prune(tables []Table) {
	var forwards pathSet // for every host
	for _, t := range tables {
		for _, rule := range t.Rules {
			if t.Host == "" && len(rule.Destinations) > 0 {
				forwards.add(rule.Path)
			}
		}
	}
	for i, t := range tables {
		later := forwards
		if t.Host == "" {
			later = pathSet{}
		}
		tables[i].Rules = removeUnreachable(t.Rules, later)
	}
}

// pathSet finds conditions by the text that their paths begin with, without asking each of them.
type pathSet struct {
	exact, prefixes, patterns map[string]bool
	open                      map[string]bool // the texts of prefixes and patterns
	beginnings                map[string]bool // of all texts
}

func (s *pathSet) add(p PathMatch) {
	if s.exact == nil {
		s.exact, s.prefixes, s.patterns, s.open, s.beginnings = map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	}
	text := p.Literal()
	switch {
	case p.Exact != "":
		s.exact[text] = true
	case p.Prefix != "":
		s.prefixes[text] = true
	default:
		s.patterns[p.Pattern] = true
	}
	if p.Exact == "" {
		s.open[text] = true
	}
	for length := len(text); length >= 0 && !s.beginnings[text[:length]]; length-- {
		s.beginnings[text[:length]] = true
	}
}

// covers reports whether every path of a condition is one of another condition of the set.
func (s *pathSet) covers(p PathMatch) bool {
	return s.exact[p.Exact] || s.patterns[p.Pattern] || hasBeginning(s.prefixes, p.Exact+p.Prefix)
}

// mayOverlap reports [PathMatch.MayOverlap] of one of the conditions.
func (s *pathSet) mayOverlap(p PathMatch) bool {
	text := p.Literal()
	return p.Exact == "" && s.beginnings[text] || s.exact[text] || hasBeginning(s.open, text)
}

// hasBeginning reports whether a text begins with one of a set.
func hasBeginning(set map[string]bool, text string) bool {
	for length := range len(text) + 1 {
		if set[text[:length]] {
			return true
		}
	}
	return false
}

// Apply gives what a path becomes; found is false if the path does not match.
func (p PathMatch) Apply(path string) (becomes string, found bool) {
	switch {
	case p.Exact != "":
		return p.Becomes, path == p.Exact
	case p.Prefix != "":
		rest, found := strings.CutPrefix(path, p.Prefix)
		if p.Becomes == "" {
			return path, found
		}
		return p.Becomes + rest, found
	}
	pattern := p.compile().whole
	if pattern == nil {
		return "", false
	}
	match := pattern.FindStringSubmatchIndex(path)
	if match == nil || p.Becomes == "" {
		return path, match != nil
	}
	template := groupNumber.ReplaceAllStringFunc(strings.ReplaceAll(p.Becomes, "$", "$$"), func(reference string) string { return "${" + reference[1:] + "}" })
	return string(pattern.ExpandString(nil, template, path, match)), true
}

var groupNumber = regexp.MustCompile(`\\\d`)

// MayOverlap reports whether a path can be one of both matches.
func (p PathMatch) MayOverlap(other PathMatch) bool {
	a, b := p.Literal(), other.Literal()
	return a == b || p.Exact == "" && strings.HasPrefix(b, a) || other.Exact == "" && strings.HasPrefix(a, b)
}

// Literal is the text that each path begins with.
func (p PathMatch) Literal() string {
	switch {
	case p.Exact != "":
		return p.Exact
	case p.Prefix != "":
		return p.Prefix
	}
	return p.compile().literal
}

type compiledPattern struct {
	whole   *regexp.Regexp // nil: it is broken
	literal string
}

var compiledPatterns sync.Map // by pattern

func (p PathMatch) compile() compiledPattern {
	if known, found := compiledPatterns.Load(p.Pattern); found {
		return known.(compiledPattern)
	}
	var c compiledPattern
	if compiled, err := regexp.Compile(p.Pattern); err == nil {
		c.literal, _ = compiled.LiteralPrefix()
		c.whole, _ = regexp.Compile("^(?:" + p.Pattern + ")$")
	}
	compiledPatterns.Store(p.Pattern, c)
	return c
}

// step maps paths: those that are equal to match, or begin with it, become the text with the same rest.
type step struct {
	match, text string
	exact       bool
}

// planner maps one API.
type planner struct {
	router  *Router
	refused *refusal
	notes   []string
	rules   []Rule
	through []*api // whose internal targets are followed
}

// maxSteps bounds the rules of internal targets, whose number may double with each of them.
const maxSteps = 256

func (p *planner) refuse(at *objects.Node, format string, args ...any) {
	if p.refused == nil {
		p.refused = &refusal{at: at, reason: fmt.Sprintf(format, args...)}
	}
}

func (p *planner) addNote(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(p.notes, text) {
		p.notes = append(p.notes, text)
	}
}

// mapAPI gives the rules of an API that clients reach.
func (p *planner) mapAPI(a *api) []Rule {
	for _, problem := range a.problems {
		p.refuse(problem.Place, "%s", strings.TrimPrefix(problem.Reason, "API "+a.Title()+": "))
	}
	if reason := a.findHostFault(p.router); reason != "" {
		p.refuse(a.Domain, "%s", reason)
		p.addNote("routes of the other APIs (--partial) deny its listen path on every host")
	}
	if a.collides {
		p.refuse(a.ListenPath, "another API has the listen path %s: at its start Tyk renames both", a.declaredPath)
	}
	if a.port != 0 && a.port != p.router.Switches.Port {
		p.refuse(a.Root.FindFold("listen_port"), "it listens on a port of its own, %d", a.port)
	}
	for _, other := range p.router.ranks[p.router.rankOf(a)] {
		if other != a && (isTemplate(a.declaredPath) || isTemplate(other.declaredPath)) && listenPathsMeet(a.declaredPath, other.declaredPath) {
			p.refuse(a.ListenPath, "API %s has a listen path of the same rank, and Tyk orders them by chance", other.Title())
		}
	}
	for _, other := range p.router.findAliases(a) {
		p.refuse(a.ListenPath, "the alias /%s/ of API %s takes its listen path", other.id, other.Title())
	}
	if p.refused == nil {
		p.checkListenPath(a)
	}
	if p.refused != nil {
		return nil
	}
	for _, path := range a.ownEndpoints(a.listenPath) {
		if !isTemplate(a.listenPath) {
			p.rules = append(p.rules, Rule{API: a.API, Serving: a.API, Path: PathMatch{Exact: path}, Reason: "an endpoint of Tyk's own"})
		}
	}
	if isTemplate(a.listenPath) {
		p.mapTemplate(a)
		return p.rules
	}
	if !a.isVersioned() {
		p.finish(a, a.onlyVersion(), a.takenPaths(p.router.Switches), nil)
		return p.rules
	}
	p.mapVersions(a)
	return p.rules
}

// checkListenPath refuses listen paths that Envoy compares in another way than the gateway.
func (p *planner) checkListenPath(a *api) {
	sample := parameterForm.ReplaceAllString(a.listenPath, "x")
	switch {
	case cleanPath(sample) != sample:
		p.refuse(a.ListenPath, "the listen path has empty segments, . or ..: Tyk redirects requests to the path without them")
	case !isTemplate(a.listenPath) && !isPlain(a.listenPath):
		p.refuse(a.ListenPath, "the listen path has characters that a URL can escape: Tyk compares them in both spellings, and Envoy as they are written")
	}
}

// listenPathsMeet reports whether two listen paths may take one path: it compares the segments before the first parameter that may have a slash.
func listenPathsMeet(a, b string) bool {
	for {
		first, restOfFirst, moreOfFirst := strings.Cut(a, "/")
		second, restOfSecond, moreOfSecond := strings.Cut(b, "/")
		if !moreOfFirst || !moreOfSecond || hasExpression(first) || hasExpression(second) {
			first, _, _ = strings.Cut(a, "{")
			second, _, _ = strings.Cut(b, "{")
			return strings.HasPrefix(first, second) || strings.HasPrefix(second, first)
		}
		if first != second && !strings.Contains(first+second, "{") {
			return false
		}
		a, b = restOfFirst, restOfSecond
	}
}

// hasExpression reports a parameter in a segment that is not plainly {NAME}.
func hasExpression(segment string) bool {
	open, closed := strings.Count(segment, "{"), strings.Count(segment, "}")
	return open != closed || open > 0 && strings.Contains(segment, ":")
}

// findHostFault finds why Envoy cannot compare hosts as Tyk does.
func (a *api) findHostFault(r *Router) string {
	switch host := r.hostOf(a); {
	case strings.ContainsAny(host, "{}"):
		return "its domain " + host + " has parameters"
	case strings.Contains(host, ":"):
		return "its domain " + host + " has a port"
	case host != strings.ToLower(host):
		return "its domain " + host + " has capitals: Tyk compares them, and Envoy does not"
	case strings.Contains(host, "*"):
		return "its domain " + host + " has a *: Tyk compares it as a letter, and a route takes it for a wildcard"
	case host != "" && !isDomainName(host):
		return "its domain " + host + " is no name with two labels or more, such as shop.example: a route cannot have it"
	}
	return ""
}

var domainLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func isDomainName(host string) bool {
	labels := strings.Split(host, ".")
	return len(labels) > 1 && len(host) <= 253 && net.ParseIP(host) == nil && !slices.ContainsFunc(labels, func(label string) bool { return !domainLabel.MatchString(label) })
}

// isVersioned reports whether the request chooses a version.
func (a *api) isVersioned() bool { return a.versioning.enabled || !a.notVersioned }

func (a *api) onlyVersion() *version {
	if len(a.versions) == 1 {
		for _, v := range a.versions {
			return v
		}
	}
	return nil
}

// takenPaths are the paths that the API takes and forwards, unchanged.
func (a *api) takenPaths(s Switches) []step {
	l := a.listenPath
	if strings.HasSuffix(l, "/") {
		return []step{{match: l, text: l, exact: true}, {match: l, text: l}}
	}
	steps := []step{{match: l, text: l, exact: true}, {match: l + "/", text: l + "/", exact: true}, {match: l + "/", text: l + "/"}}
	if !s.StrictRoutes {
		steps = append(steps, step{match: l, text: l})
	}
	return steps
}

// stripPaths removes a listen path (StripListenPath) from what the steps give.
func stripPaths(a *api, steps []step, s Switches) []step {
	if !a.strip {
		return steps
	}
	var all []step
	for _, st := range steps {
		if rest, found := strings.CutPrefix(st.text, a.listenPath); found {
			if !strings.HasPrefix(rest, "/") {
				rest = "/" + rest
			}
			all = append(all, step{match: st.match, text: rest, exact: st.exact})
			continue
		}
		if more, found := strings.CutPrefix(a.listenPath, st.text); found && !st.exact { // the rest may be the listen path of a version
			for _, taken := range a.takenPaths(Switches{}) {
				rest := strings.TrimPrefix(taken.text, a.listenPath)
				if !strings.HasPrefix(rest, "/") {
					rest = "/" + rest
				}
				all = append(all, step{match: st.match + more + strings.TrimPrefix(taken.text, a.listenPath), text: rest, exact: taken.exact})
			}
		}
		all = append(all, st)
	}
	return all
}

// checkEndpoints refuses what no route does, and notes what authorization does.
func (p *planner) checkEndpoints(a *api, v *version) {
	denied, open := 0, 0
	for _, e := range v.endpoints {
		switch e.kind {
		case mocked:
			p.refuse(e.node, "Tyk answers %s with a mock response", e.path)
		case virtual:
			p.refuse(e.node, "a virtual endpoint answers %s", e.path)
		case rewritten:
			p.refuse(e.node, "a URL rewrite changes %s: Tyk compares and replaces the path together with the query, and a route keeps the query", e.path)
		case methodChanged:
			p.refuse(e.node, "the method of requests to %s changes", e.path)
		case persisted:
			p.refuse(e.node, "a stored GraphQL query replaces requests to %s", e.path)
		case allowed, blocked, internalOnly:
			denied++
			if e.actions != nil && slices.Contains(slices.Collect(maps.Values(e.actions)), "reply") {
				p.refuse(e.node, "Tyk answers %s with a mock response", e.path)
			}
		case ignored:
			open++
		}
	}
	if denied > 0 {
		p.addNote("%d entries of allow, block and internal lists are no part of routes: write them as AccessPolicy documents", denied)
	}
	if open > 0 {
		p.addNote("%d endpoints are without authentication", open)
	}
	if a.answersPreflights {
		p.addNote("Tyk answers preflight requests (CORS), and a route sends them to the upstream")
	}
	for _, entries := range a.Hooks {
		for _, e := range entries {
			if !e.Disabled && !isOwnHook(e.Name) {
				p.addNote("the plugin %s may change requests: no route shows it", e.Name)
			}
		}
	}
	if a.Bundle != nil {
		p.addNote("the plugins of a bundle may change requests: no route shows it")
	}
}

// finish maps the paths of an API to its targets.
func (p *planner) finish(a *api, v *version, steps []step, condition *Condition) {
	switch {
	case slices.Contains(p.through, a):
		p.refuse(a.targetNode, "its internal targets lead back to itself")
		return
	case len(steps) > maxSteps:
		p.refuse(a.targetNode, "its internal targets need more than %d rules", maxSteps)
		return
	case p.refused != nil:
		return
	case a.dynamic != "":
		p.refuse(a.dynamicNode, "%s", a.dynamic)
		return
	case v == nil:
		p.refuse(a.Root.FindFold("version_data"), "it has not_versioned, and not one version")
		return
	case a.notVersioned && isExpired(a.expires) || !a.notVersioned && isExpired(v.expires):
		p.addNote("API %s, or its version %s, is expired", a.Title(), quote(v.name))
		return
	}
	p.checkEndpoints(a, v)
	if a.target.Scheme == "tyk" {
		next := p.router.findAPI(a.target.Host)
		switch {
		case next == nil:
			p.refuse(a.targetNode, "its target %s is no API", redact.URL(a.target.String()))
		case next.isVersioned(), isTemplate(next.listenPath):
			p.refuse(a.targetNode, "its target %s has versions or parameters", redact.URL(a.target.String()))
		default:
			p.through = append(p.through, a)
			p.finish(next, next.onlyVersion(), stripPaths(a, steps, p.router.Switches), condition)
			p.through = p.through[:len(p.through)-1]
		}
		return
	}
	destinations, base := p.destinationsOf(a, v)
	if p.refused != nil {
		return
	}
	for _, st := range stripPaths(a, steps, p.router.Switches) {
		if !isPlain(st.match) {
			p.refuse(a.ListenPath, "the path %s has characters that a URL can escape: Tyk compares them in both spellings, and Envoy as they are written", st.match)
			return
		}
		rule := Rule{API: a.API, Serving: a.API, Condition: condition, Destinations: destinations, KeepsHost: a.keepHost}
		if st.exact {
			rule.Path = PathMatch{Exact: st.match, Becomes: joinPaths(base, st.text, a.keepTrailingSlash)}
			if rule.Path.Becomes == "" {
				rule.Path.Becomes = "/"
			}
		} else {
			rule.Path = PathMatch{Prefix: st.match, Becomes: strings.TrimRight(base, "/") + st.text}
		}
		rule.Rewrites = rule.Path.Becomes != st.match
		p.rules = append(p.rules, rule)
	}
}

// destinationsOf gives the upstreams and the path that they have in common.
func (p *planner) destinationsOf(a *api, v *version) (all []Destination, base string) {
	targets := []target{{url: a.target, weight: 1, node: a.targetNode}}
	if v.target != nil && !a.notVersioned {
		targets[0].url = v.target
	}
	if a.targets != nil {
		targets = a.targets
	}
	if len(targets) == 0 {
		p.refuse(a.targetNode, "load balancing has no target")
		return nil, ""
	}
	base = targets[0].url.Path
	for _, t := range targets {
		switch {
		case t.url.Scheme == "" && t.url.Host == "":
			p.refuse(t.node, "its target %s is no URL with a host", quote(t.url.Path))
		case t.url.Scheme != "http" && t.url.Host == "":
			p.refuse(t.node, "its target %s is no URL: write http://HOST:PORT", quote(redact.URL(t.url.String())))
		case t.url.Scheme != "http":
			p.refuse(t.node, "its target has the scheme %s: a route does not encrypt, write the target with http and let the mesh or a DestinationRule encrypt", quote(t.url.Scheme))
		case t.url.Hostname() == "":
			p.refuse(t.node, "its target has no host")
		case t.url.RawQuery != "":
			p.refuse(t.node, "its target has a query")
		case t.url.EscapedPath() != t.url.Path:
			p.refuse(t.node, "the path of its target has characters that a URL escapes")
		case strings.TrimRight(t.url.Path, "/") != strings.TrimRight(base, "/"):
			p.refuse(t.node, "its targets have different paths, %s and %s", quote(base), quote(t.url.Path))
		}
		all = append(all, Destination{URL: &url.URL{Scheme: t.url.Scheme, Host: t.url.Host}, Weight: t.weight})
	}
	return all, base
}

// mapTemplate maps a listen path with parameters.
func (p *planner) mapTemplate(a *api) {
	v := a.onlyVersion()
	switch {
	case a.isVersioned(), a.target.Scheme == "tyk":
		p.refuse(a.ListenPath, "its listen path has parameters, and its versions or target are other APIs")
		return
	case v == nil, a.dynamic != "", isExpired(a.expires):
		p.finish(a, v, nil, nil)
		return
	}
	pattern := listenPattern(a.listenPath)
	if pattern == nil {
		p.refuse(a.ListenPath, "its listen path cannot be routed")
		return
	}
	p.checkEndpoints(a, v)
	destinations, base := p.destinationsOf(a, v)
	if p.refused != nil {
		return
	}
	text := wirePattern(a.listenPath)
	groups := regexp.MustCompile(text).NumSubexp()
	if groups > 8 {
		p.refuse(a.ListenPath, "its listen path has more than 8 parameters and groups")
		return
	}
	rule := Rule{API: a.API, Serving: a.API, Destinations: destinations, KeepsHost: a.keepHost}
	base = strings.TrimRight(base, "/")
	switch {
	case !a.strip && base == "":
		rule.Path = PathMatch{Pattern: text + ".*"}
	case !a.strip:
		rule.Path, rule.Rewrites = PathMatch{Pattern: fmt.Sprintf("(%s.*)", text), Becomes: base + `\1`}, true
	default:
		empty := rule
		empty.Path, empty.Rewrites = PathMatch{Pattern: text + "/?", Becomes: joinPaths(destinationPath(a), "/", a.keepTrailingSlash)}, true
		if empty.Path.Becomes == "" {
			empty.Path.Becomes = "/"
		}
		p.rules = append(p.rules, empty)
		rule.Path, rule.Rewrites = PathMatch{Pattern: text + "/*(.*)", Becomes: fmt.Sprintf(`%s/\%d`, base, groups+1)}, true
	}
	p.rules = append(p.rules, rule)
}

func destinationPath(a *api) string {
	if len(a.targets) > 0 {
		return a.targets[0].url.Path
	}
	return a.target.Path
}

// parameterForm finds the parameters of a listen path, {NAME} or {NAME:EXPRESSION}.
var parameterForm = regexp.MustCompile(`\{(?:[^{}]|\{[^{}]*\})*\}`)

// wirePattern is an expression for the beginning of paths on the wire that a listen path takes, with a group for each parameter. The gateway
// compares decoded paths: a parameter has no slash, also not as %2F, and the other text may be escaped.
func wirePattern(listenPath string) string {
	var b strings.Builder
	at := 0
	for _, place := range append(parameterForm.FindAllStringIndex(listenPath, -1), []int{len(listenPath), len(listenPath)}) {
		for _, letter := range []byte(listenPath[at:place[0]]) {
			switch plain := regexp.QuoteMeta(string(rune(letter))); {
			case isPlain(string(rune(letter))):
				b.WriteString(plain)
			case letter > 127:
				b.WriteString(escapedPattern(letter))
			default:
				b.WriteString("(?:" + plain + "|" + escapedPattern(letter) + ")")
			}
		}
		if at = place[1]; place[0] < place[1] {
			_, expression, found := strings.Cut(listenPath[place[0]+1:place[1]-1], ":")
			if !found {
				expression = "[^/]+"
			}
			if before, found := strings.CutSuffix(expression, "[^/]+"); found {
				expression = before + `(?:[^/%]|%(?:[013-9A-Fa-f][0-9A-Fa-f]|2[0-9A-Ea-e]))+`
			}
			b.WriteString("(" + expression + ")")
		}
	}
	return b.String()
}

// escapedPattern matches the escape of a byte.
func escapedPattern(letter byte) string {
	text := "%"
	for _, digit := range fmt.Sprintf("%02X", letter) {
		if text += string(digit); digit > '9' {
			text = text[:len(text)-1] + "[" + string(digit) + strings.ToLower(string(digit)) + "]"
		}
	}
	return text
}

// isPlain reports a path that a client can write in one way only. Envoy undoes escapes of these letters (RFC 3986 section 2.3), and of no others.
func isPlain(path string) bool {
	return !strings.ContainsFunc(path, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~/", r))
	})
}

// mapVersions maps an API whose requests choose a version.
func (p *planner) mapVersions(a *api) {
	d := &a.versioning
	switch {
	case d.enabled && !a.notVersioned:
		p.refuse(d.node, "it has versions of both kinds, in definition and in version_data")
	case d.location != "header" && d.location != "url-param" && d.location != "url":
		if a.defaultVersion == "" || d.enabled {
			p.refuse(d.node, "its versions have the location %s", quote(d.location))
		}
	case d.location != "url" && d.key == "":
		p.refuse(d.node, "its versions have no key")
	case d.location == "header" && !isOwnField(d.key):
		p.refuse(d.node, "its versions are in the field %s, which is no name of a field, or which Envoy sets or removes", quote(d.key))
	case d.location == "url-param" && url.QueryEscape(d.key) != d.key:
		p.refuse(d.node, "its versions are in the parameter %s, which has characters that a query escapes", quote(d.key))
	case d.location == "url" && a.Root.FindFold("slug").String() != "":
		p.refuse(a.Root.FindFold("slug"), "its versions are in the path, and it has a slug")
	}
	if p.refused != nil {
		return
	}
	if d.strips && (d.location == "header" || d.location == "url-param") {
		p.addNote("Tyk removes the version from requests (strip_versioning_data), and a route keeps it")
	}
	for _, name := range a.versionNames() {
		switch {
		case d.location == "url-param" && url.QueryEscape(name) != name:
			p.refuse(d.node, "its version %s has characters that a query escapes: Envoy compares them as they are written", quote(name))
			return
		case d.location == "url" && (strings.Contains(name, "/") || cleanPath("/"+name) != "/"+name || !isPlain(name)):
			p.refuse(d.node, "its version %s is no plain segment of a path", quote(name))
			return
		}
		if d.location == "url" {
			p.serve(a, name, a.versionPaths(name, p.router.Switches), nil)
			continue
		}
		p.serve(a, name, a.takenPaths(p.router.Switches), a.newCondition(name))
	}
	byDefault, hasDefault := d.defaultName, d.defaultName != "" || d.isBase("")
	if !d.enabled {
		byDefault, hasDefault = a.defaultVersion, a.defaultVersion != ""
	}
	switch {
	case d.location == "url":
		if d.fallback && hasDefault {
			p.refuse(d.node, "its versions are in the path, and unknown ones fall back to the default")
			return
		}
		steps := slices.DeleteFunc(a.takenPaths(p.router.Switches), func(s step) bool { return !s.exact })
		if hasDefault {
			p.serve(a, byDefault, steps, nil)
		}
		return
	case d.fallback && hasDefault:
		p.serve(a, byDefault, a.takenPaths(p.router.Switches), nil)
		return
	case d.location == "header" || d.location == "url-param":
		for _, s := range a.takenPaths(p.router.Switches) {
			rule := Rule{API: a.API, Serving: a.API, Condition: a.newCondition(""), Reason: "there is no such version"}
			if rule.Path.Prefix = s.match; s.exact {
				rule.Path = PathMatch{Exact: s.match}
			}
			p.rules = append(p.rules, rule)
		}
	}
	if hasDefault {
		p.serve(a, byDefault, a.takenPaths(p.router.Switches), nil)
	}
}

func (a *api) newCondition(value string) *Condition {
	if a.versioning.location == "header" {
		return &Condition{Header: http.CanonicalHeaderKey(a.versioning.key), Value: value}
	}
	return &Condition{Query: a.versioning.key, Value: value}
}

// versionNames are the names that a request can write.
func (a *api) versionNames() []string {
	d := &a.versioning
	if d.location != "header" && d.location != "url-param" && d.location != "url" {
		return nil
	}
	if !d.enabled {
		return slices.DeleteFunc(slices.Sorted(maps.Keys(a.versions)), func(name string) bool { return name == "" })
	}
	names := map[string]bool{"self": true}
	for name := range d.ids {
		names[name] = true
	}
	names[d.name] = true
	delete(names, "")
	return slices.Sorted(maps.Keys(names))
}

// serve maps the requests of one version.
func (p *planner) serve(a *api, name string, steps []step, condition *Condition) {
	d := &a.versioning
	if !d.enabled {
		v := a.versions[name]
		if v == nil {
			return
		}
		for key, other := range a.versions {
			if key != name && other.name == v.name {
				p.refuse(other.node, "two versions have the name %s", quote(v.name))
			}
		}
		p.finish(a, v, steps, condition)
		return
	}
	if d.isBase(name) {
		p.finish(a, a.onlyVersion(), steps, condition)
		return
	}
	next := p.router.findAPI(d.ids[name])
	if next == nil && d.fallback && name != d.defaultName {
		p.serve(a, d.defaultName, steps, condition)
		return
	}
	switch {
	case next == nil:
		p.addNote("version %s leads to the API %s, which no definition has", quote(name), quote(d.ids[name]))
		for _, s := range steps {
			rule := Rule{API: a.API, Serving: a.API, Condition: condition, Path: PathMatch{Prefix: s.match}, Reason: "its version has no API"}
			if s.exact {
				rule.Path = PathMatch{Exact: s.match}
			}
			p.rules = append(p.rules, rule)
		}
	case next.isVersioned(), isTemplate(next.listenPath):
		p.refuse(d.node, "version %s, API %s, has versions or parameters itself", quote(name), next.Title())
	default:
		p.finish(next, next.onlyVersion(), stripPaths(a, steps, p.router.Switches), condition)
	}
}

// versionPaths are the paths of a version whose name is in the path.
func (a *api) versionPaths(name string, s Switches) []step {
	d := &a.versioning
	starts := []string{a.listenPath}
	if !strings.HasSuffix(a.listenPath, "/") {
		starts = []string{a.listenPath + "/"}
		if !s.StrictRoutes {
			starts = append(starts, a.listenPath)
		}
	}
	remove := func(path string) string {
		if d.strips && d.isVersion(name) {
			return strings.Replace(path, name+"/", "", 1)
		}
		return path
	}
	var all []step
	for _, start := range starts {
		bare := start + name
		all = append(all, step{match: bare, text: remove(bare), exact: true}, step{match: bare + "/", text: remove(bare + "/"), exact: true}, step{match: bare + "/", text: remove(bare + "/")})
	}
	return all
}

func isOwnHook(name string) bool {
	return slices.Contains([]string{"StripIdentity", "SignIdentity", "GuardUpstream", "Canary"}, name)
}

// envoysField finds the fields of requests that Envoy sets or removes, and those of a connection.
var envoysField = regexp.MustCompile(`(?i)^(host|connection|content-length|expect|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|x-request-id|x-forwarded-.*|x-envoy-.*)$`)

// isOwnField reports the name of a header field that Envoy leaves as the client writes it.
func isOwnField(name string) bool {
	return fieldName.MatchString(name) && !envoysField.MatchString(name)
}

// fieldName is a token (RFC 9110 section 5.6.2).
var fieldName = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")
