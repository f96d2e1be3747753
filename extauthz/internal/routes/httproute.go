package routes

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/pathindex"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

type httpRouteSpec struct {
	ParentRefs []gatewayRef `json:"parentRefs" yaml:"parentRefs"`
	Hostnames  []string     `json:"hostnames,omitempty" yaml:"hostnames,omitempty"`
	Rules      []routeRule  `json:"rules" yaml:"rules"` // the last member: see printObject
}

type gatewayRef struct {
	Name      string `json:"name" yaml:"name"`
	Namespace string `json:"namespace" yaml:"namespace"`
}

type routeRule struct {
	Matches     []routeMatch  `json:"matches" yaml:"matches"`
	Filters     []routeFilter `json:"filters,omitempty" yaml:"filters,omitempty"`
	BackendRefs []backendRef  `json:"backendRefs,omitempty" yaml:"backendRefs,omitempty"`
}

type routeMatch struct {
	Path        typedValue   `json:"path" yaml:"path"`
	Headers     []typedValue `json:"headers,omitempty" yaml:"headers,omitempty"`
	QueryParams []typedValue `json:"queryParams,omitempty" yaml:"queryParams,omitempty"`
}

type typedValue struct {
	Type  string `json:"type" yaml:"type"`
	Name  string `json:"name,omitempty" yaml:"name,omitempty"`
	Value string `json:"value" yaml:"value"`
}

type routeFilter struct {
	Type       string     `json:"type" yaml:"type"`
	URLRewrite urlRewrite `json:"urlRewrite" yaml:"urlRewrite"`
}

type urlRewrite struct {
	Hostname string       `json:"hostname,omitempty" yaml:"hostname,omitempty"`
	Path     *pathRewrite `json:"path,omitempty" yaml:"path,omitempty"`
}

type pathRewrite struct {
	Type               string `json:"type" yaml:"type"`
	ReplaceFullPath    string `json:"replaceFullPath,omitempty" yaml:"replaceFullPath,omitempty"`
	ReplacePrefixMatch string `json:"replacePrefixMatch,omitempty" yaml:"replacePrefixMatch,omitempty"`
}

type backendRef struct {
	Group     string `json:"group,omitempty" yaml:"group,omitempty"`
	Kind      string `json:"kind,omitempty" yaml:"kind,omitempty"`
	Name      string `json:"name" yaml:"name"`
	Namespace string `json:"namespace,omitempty" yaml:"namespace,omitempty"`
	Port      int    `json:"port" yaml:"port"`
	Weight    int    `json:"weight,omitempty" yaml:"weight,omitempty"`
}

type grantSpec struct {
	From []grantFrom `json:"from" yaml:"from"`
	To   []grantTo   `json:"to" yaml:"to"`
}

type grantFrom struct {
	Group     string `json:"group" yaml:"group"`
	Kind      string `json:"kind" yaml:"kind"`
	Namespace string `json:"namespace" yaml:"namespace"`
}

type grantTo struct {
	Group string `json:"group" yaml:"group"`
	Kind  string `json:"kind" yaml:"kind"`
}

// The limits of the Gateway API: rules of an HTTPRoute, matches and destinations of a rule, weights and lengths.
const (
	maxRules   = 16
	maxMatches = 8 // all rules together may have 128
	maxTargets = 16
	maxWeight  = 1_000_000
	maxText    = 1024 // of a path
)

// renderHTTPRoutes writes HTTPRoutes for each API and table. The Gateway API has no order of rules: exact paths, longer prefixes and more
// conditions count first. Where that differs from the order of the table, an API is refused. That changes the rules of all tables, so it begins
// again then.
func (r *renderer) renderHTTPRoutes(tables []tykroute.Table) []any {
	var all []any
	for settled := false; !settled; {
		before := len(r.refused)
		all, r.grants, r.names = nil, map[string]bool{}, map[string]bool{}
		made := map[string][]routeRule{}
		for i := range tables {
			r.dropRefused(&tables[i])
		}
		if before > 0 {
			tykroute.Prune(tables)
		}
		for i := range tables {
			t := r.fitToSegments(tables[i])
			r.checkPrecedence(t)
			if len(r.refused) > before {
				continue
			}
			owners, rules := r.groupRules(t, made)
			for _, a := range owners {
				all = append(all, r.newHTTPRoutes(a, t.Host, rules[a])...)
			}
		}
		settled = len(r.refused) == before
	}
	for _, namespace := range slices.Sorted(maps.Keys(r.grants)) {
		all = append(all, manifest{"gateway.networking.k8s.io/v1beta1", "ReferenceGrant", metadata{Name: r.newName("from-" + r.options.Namespace), Namespace: namespace}, grantSpec{
			From: []grantFrom{{"gateway.networking.k8s.io", "HTTPRoute", r.options.Namespace}}, To: []grantTo{{"", "Service"}},
		}})
	}
	return all
}

// groupRules gives the rules of each API, those with one destination together. Rules without destination are last: of two rules with equal
// precedence, the first one in a route counts. Between routes, nothing decides, and an API with versions that needs several is refused. Tables share
// the rules that were made for the same rules before.
func (r *renderer) groupRules(t *tykroute.Table, made map[string][]routeRule) (owners []*model.API, grouped map[*model.API][]routeRule) {
	grouped = map[*model.API][]routeRule{}
	ofAPI := map[*model.API][]tykroute.Rule{}
	repeats := newRepeatIndex(t.Rules)
	for i, rule := range t.Rules {
		if repeats.isRepeated(i) && len(repeats.exact[rule.Path.Exact]) == 1 { // a prefix with a condition loses against another exact path
			continue
		}
		if _, known := ofAPI[rule.API]; !known {
			owners = append(owners, rule.API)
		}
		ofAPI[rule.API] = append(ofAPI[rule.API], rule)
	}
	for _, a := range owners {
		var text strings.Builder
		for _, rule := range ofAPI[a] {
			fmt.Fprintf(&text, "%p %p %p %d %q\n", rule.API, rule.Serving, rule.Condition, len(rule.Destinations), []string{rule.Path.Exact, rule.Path.Prefix, rule.Path.Pattern, rule.Path.Becomes})
		}
		key := text.String()
		if made[key] == nil {
			for _, rule := range ofAPI[a] {
				made[key] = addToGroup(made[key], r.newRouteRule(rule))
			}
			slices.SortStableFunc(made[key], func(x, y routeRule) int { return min(len(y.BackendRefs), 1) - min(len(x.BackendRefs), 1) })
		}
		grouped[a] = made[key]
		hasConditions := slices.ContainsFunc(ofAPI[a], func(rule tykroute.Rule) bool { return rule.Condition != nil })
		if hasConditions && len(grouped[a]) > maxRules {
			r.refuse(a, "its versions need more than %d rules, which is the most that an HTTPRoute has: render a VirtualService", maxRules)
		}
	}
	return owners, grouped
}

// addToGroup adds the match of a rule to the rule that has the same effect.
func addToGroup(rules []routeRule, rule routeRule) []routeRule {
	for i, other := range rules {
		if len(other.Matches) < maxMatches && reflect.DeepEqual(other.Filters, rule.Filters) && slices.Equal(other.BackendRefs, rule.BackendRefs) {
			rules[i].Matches = append(rules[i].Matches, rule.Matches...)
			return rules
		}
	}
	return append(rules, rule)
}

func (r *renderer) newHTTPRoutes(a *model.API, host string, rules []routeRule) []any {
	title, annotations := "gateway", map[string]string(nil)
	if a != nil {
		title, annotations = a.Title(), map[string]string{apiAnnotation: a.Title()}
	}
	if host != "" {
		title += "-" + host
	}
	var all []any
	for part := range slices.Chunk(rules, maxRules) {
		spec := httpRouteSpec{ParentRefs: []gatewayRef{{r.options.GatewayName, r.options.GatewayNamespace}}, Rules: part}
		if host != "" {
			spec.Hostnames = []string{host}
		}
		all = append(all, manifest{"gateway.networking.k8s.io/v1", "HTTPRoute", metadata{r.newName(title), r.options.Namespace, annotations}, spec})
	}
	return all
}

// fitToSegments makes the rules of a table such that the Gateway API gives them the same effect. A prefix there has whole segments, and takes
// the path without its last slash too: that one gets a rule of its own.
func (r *renderer) fitToSegments(whole tykroute.Table) *tykroute.Table {
	t := &tykroute.Table{Host: whole.Host, Rules: slices.Clone(whole.Rules)}
	for i := range t.Rules {
		rule := &t.Rules[i]
		switch prefix := rule.Path.Prefix; {
		case len(rule.Destinations) == 0:
		case len(rule.Destinations) > maxTargets:
			r.refuse(rule.API, "it has %d targets, and a rule of an HTTPRoute at most %d: render a VirtualService", len(rule.Destinations), maxTargets)
		case slices.ContainsFunc(rule.Destinations, func(d tykroute.Destination) bool { return d.Weight > maxWeight }):
			r.refuse(rule.API, "a weight of its targets is more than %d, the most of an HTTPRoute: render a VirtualService", maxWeight)
		case max(len(rule.Path.Exact+rule.Path.Prefix+rule.Path.Pattern), len(rule.Path.Becomes)) > maxText:
			r.refuse(rule.API, "a path has more than %d letters, the most of an HTTPRoute: render a VirtualService", maxText)
		case rule.Path.Pattern != "" && rule.Rewrites:
			r.refuse(rule.API, "its listen path has parameters, and its path changes: an HTTPRoute cannot rewrite it, a VirtualService can")
		case prefix != "" && !strings.HasSuffix(prefix, "/"):
			r.refuse(rule.API, "Tyk also takes %sx: an HTTPRoute compares whole segments; end the listen path with /, set enable_strict_routes, or render a VirtualService", prefix)
		case prefix == "/" && rule.Rewrites:
			r.refuse(rule.API, "its listen path is /, and its target has the path %s: Istio joins them without a slash in an HTTPRoute; render a VirtualService", strings.TrimSuffix(rule.Path.Becomes, "/"))
		case prefix != "" && rule.Rewrites && !strings.HasSuffix(rule.Path.Becomes, "/"):
			r.refuse(rule.API, "a part of a segment of %s changes: an HTTPRoute cannot rewrite it", prefix)
		}
	}
	for i := range t.Rules {
		prefix := t.Rules[i].Path.Prefix
		if len(t.Rules[i].Destinations) == 0 && prefix != "" && !strings.HasSuffix(prefix, "/") {
			r.splitBarrier(t, i)
		}
	}
	var index pathindex.Index
	for i, rule := range t.Rules {
		if rule.Path.Pattern != "" {
			index.AddPattern(rule.Path.Pattern, i)
		} else {
			index.AddPrefix(rule.Path.Exact+rule.Path.Prefix, i)
		}
	}
	var bares []string
	owners, exact := map[string]tykroute.Rule{}, []tykroute.Rule(nil)
	for _, rule := range t.Rules {
		bare := strings.TrimSuffix(rule.Path.Prefix, "/")
		owner, seen := owners[bare]
		if !seen && bare != "" {
			bares = append(bares, bare)
		}
		if !seen || len(owner.Destinations) == 0 {
			owners[bare] = rule
		}
	}
	for _, bare := range bares {
		exact = append(exact, rulesOfExact(t, index.Find(bare), bare, owners[bare])...)
	}
	t.Rules = append(exact, t.Rules...)
	shieldConditions(t)
	return t
}

// shieldConditions repeats rules with a condition for longer paths that a later rule of the API has without it, and would win.
func shieldConditions(t *tykroute.Table) {
	paths, ofAPI := newPathOwners(t.Rules), map[*model.API][]int{}
	for i, rule := range t.Rules {
		ofAPI[rule.API] = append(ofAPI[rule.API], i)
	}
	var all []tykroute.Rule
	for i, first := range t.Rules {
		for _, j := range ofAPI[first.API] {
			later := t.Rules[j]
			path := later.Path.Exact + later.Path.Prefix
			if first.Condition == nil || j <= i || path == "" || comparePrecedence(later, first) <= 0 || !meet(first, later) || paths.isShielded(j, first, later) {
				continue
			}
			becomes, found := first.Path.Apply(path)
			if !found {
				continue
			}
			shield := first
			shield.Path = tykroute.PathMatch{Exact: later.Path.Exact, Prefix: later.Path.Prefix, Becomes: becomes}
			shield.Rewrites = first.Rewrites && becomes != path
			all = append(all, shield)
			paths.add(i, shield)
		}
		all = append(all, first)
	}
	t.Rules = all
}

// splitBarrier writes a rule without destination for a prefix that is no whole segment.
func (r *renderer) splitBarrier(t *tykroute.Table, i int) {
	rule := t.Rules[i]
	prefix := rule.Path.Prefix
	for _, after := range t.Rules[i+1:] {
		if len(after.Destinations) > 0 && after.Path.MayOverlap(rule.Path) && !strings.HasPrefix(after.Path.Prefix+after.Path.Exact, prefix+"/") {
			r.refuse(after.API, "it would get requests to %sx, which Tyk gives to API %s: render a VirtualService", prefix, rule.API.Title())
		}
	}
	t.Rules[i].Path.Prefix = prefix + "/"
}

// rulesOfExact gives the rules for one path, as the table has them by their numbers; without any, requests to it are denied.
func rulesOfExact(t *tykroute.Table, candidates []int, path string, owner tykroute.Rule) []tykroute.Rule {
	var all []tykroute.Rule
	for _, i := range candidates {
		rule := t.Rules[i]
		becomes, found := rule.Path.Apply(path)
		if !found {
			continue
		}
		if rule.Path.Exact != "" { // it has a rule of its own
			if rule.Condition == nil {
				return all
			}
			continue
		}
		rule.Path, rule.Rewrites = tykroute.PathMatch{Exact: path, Becomes: becomes}, rule.Rewrites && becomes != path
		all = append(all, rule)
		if rule.Condition == nil {
			return all
		}
	}
	if len(owner.Destinations) == 0 && len(all) == 0 {
		return nil
	}
	return append(all, tykroute.Rule{API: owner.API, Serving: owner.Serving, Path: tykroute.PathMatch{Exact: path}, Reason: "Tyk does not take it"})
}

// checkPrecedence refuses APIs whose rules would win against an earlier rule. If that is not enough, because rules without destination have to
// stay, the earlier one is refused too.
func (r *renderer) checkPrecedence(t *tykroute.Table) {
	paths, overlaps := newPathOwners(t.Rules), newOverlapIndex(len(t.Rules), func(i int) string { return t.Rules[i].Path.Literal() })
	for i, first := range t.Rules {
		overlaps.visit(first.Path, func(j int) bool {
			later := t.Rules[j]
			if j <= i || len(first.Destinations)+len(later.Destinations) == 0 || comparePrecedence(later, first) <= 0 || !meet(first, later) || paths.isShielded(j, first, later) {
				return true
			}
			name, refused := "Tyk itself", later.API
			if first.API != nil {
				name = "API " + first.API.Title()
			}
			if later.API == nil || r.refused[later.API] != "" {
				refused = first.API
			}
			r.refuse(refused, "%s takes requests to %s first, and HTTPRoutes give them to another rule: render a VirtualService", name, describePath(first))
			return true
		})
	}
}

func describePath(rule tykroute.Rule) string {
	if rule.Path.Pattern != "" && rule.API != nil {
		return rule.API.ListenPath.String()
	}
	return rule.Path.Exact + rule.Path.Prefix + rule.Path.Pattern
}

// meet reports whether a request can meet both rules.
func meet(a, b tykroute.Rule) bool {
	if a.Condition != nil && b.Condition != nil && a.Condition.Value != b.Condition.Value && a.Condition.Value != "" && b.Condition.Value != "" && a.API == b.API {
		return false
	}
	return a.Path.MayOverlap(b.Path)
}

// comparePrecedence orders rules as Istio does for the Gateway API: exact paths, prefixes, patterns; then longer ones; then conditions.
func comparePrecedence(a, b tykroute.Rule) int {
	rank := func(p tykroute.PathMatch) int {
		switch {
		case p.Exact != "":
			return 3
		case p.Prefix != "":
			return 2
		}
		return 1
	}
	count := func(c *tykroute.Condition, query bool) int {
		if c == nil || (c.Query != "") != query {
			return 0
		}
		return 1
	}
	length := func(p tykroute.PathMatch) int {
		if p.Prefix != "" && p.Prefix != "/" {
			return len(p.Prefix) - 1
		}
		return len(p.Exact + p.Prefix + p.Pattern)
	}
	return cmp.Or(cmp.Compare(rank(a.Path), rank(b.Path)), cmp.Compare(length(a.Path), length(b.Path)),
		cmp.Compare(count(a.Condition, false), count(b.Condition, false)), cmp.Compare(count(a.Condition, true), count(b.Condition, true)))
}

func (r *renderer) newRouteRule(rule tykroute.Rule) routeRule {
	match := routeMatch{Path: typedValue{Type: "PathPrefix", Value: strings.TrimSuffix(rule.Path.Prefix, "/")}}
	switch {
	case rule.Path.Prefix == "/":
		match.Path.Value = "/"
	case rule.Path.Exact != "":
		match.Path = typedValue{Type: "Exact", Value: rule.Path.Exact}
	case rule.Path.Pattern != "":
		match.Path = typedValue{Type: "RegularExpression", Value: rule.Path.Pattern}
	}
	if c := rule.Condition; c != nil {
		value := typedValue{Type: "Exact", Name: c.Header + c.Query, Value: c.Value}
		if c.Value == "" {
			value.Type, value.Value = "RegularExpression", ".+"
		}
		if c.Header != "" {
			match.Headers = []typedValue{value}
		} else {
			match.QueryParams = []typedValue{value}
		}
	}
	written := routeRule{Matches: []routeMatch{match}}
	if len(rule.Destinations) == 0 {
		return written
	}
	rewrite := urlRewrite{}
	switch {
	case rule.Rewrites && rule.Path.Exact != "":
		rewrite.Path = &pathRewrite{Type: "ReplaceFullPath", ReplaceFullPath: rule.Path.Becomes}
	case rule.Rewrites:
		rewrite.Path = &pathRewrite{Type: "ReplacePrefixMatch", ReplacePrefixMatch: cmp.Or(strings.TrimSuffix(rule.Path.Becomes, "/"), "/")}
	}
	backends := r.backendsOf(rule)
	if len(backends) == 1 && !rule.KeepsHost {
		rewrite.Hostname = strings.TrimSuffix(strings.ToLower(rule.Destinations[0].URL.Hostname()), ".")
	}
	if rewrite != (urlRewrite{}) {
		written.Filters = []routeFilter{{Type: "URLRewrite", URLRewrite: rewrite}}
	}
	for _, b := range backends {
		written.BackendRefs = append(written.BackendRefs, r.newBackendRef(b, len(backends) > 1))
	}
	return written
}

func (r *renderer) newBackendRef(b backend, weighted bool) backendRef {
	ref := backendRef{Name: b.name, Namespace: b.namespace, Port: b.port}
	switch {
	case b.name == "":
		ref = backendRef{Group: "networking.istio.io", Kind: "Hostname", Name: b.host, Port: b.port}
	case b.namespace == r.options.Namespace:
		ref.Namespace = ""
	default:
		r.grants[b.namespace] = true
	}
	if weighted {
		ref.Weight = b.weight
	}
	return ref
}
