package routes

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy/path"
)

// Report is the comparison of existing routes with definitions.
type Report struct {
	Coverage  []Coverage          `json:"coverage"`
	Holes     []Hole              `json:"holes"`
	Routes    int                 `json:"routes"` // objects that were compared
	Notes     []string            `json:"notes"`
	Unchecked []objects.Unchecked `json:"unchecked"`

	compared int // how often a route and a request were compared
}

// Coverage is the way of an API's requests.
type Coverage struct {
	API       string   `json:"api"`
	Listens   string   `json:"listens"` // host and path
	Routes    []string `json:"routes"`
	Upstreams []string `json:"upstreams"` // host, port and path
	Workloads []string `json:"workloads"`
	Documents []string `json:"documents"`
	Rules     []string `json:"rules"` // that can match the paths: DOCUMENT: RULE

	admitted  map[*model.Workload]bool // by a rule, for a path of the API
	firstPath map[*model.Workload]string
}

// Code is a kind of hole.
type Code string

// The kinds of holes.
const (
	APIWithoutRoute         Code = "api_without_route"
	RouteWithoutAPI         Code = "route_without_api"
	RouteDiffers            Code = "route_differs"
	UpstreamUnknown         Code = "upstream_unknown"
	UpstreamWithoutWorkload Code = "upstream_without_workload"
	WorkloadWithoutDocument Code = "workload_without_document"
	DocumentWithoutRoute    Code = "document_without_route"
	PathWithoutRule         Code = "path_without_rule"
	RouteWithoutListener    Code = "route_without_listener"
)

// Hole is a part of the way that is missing, or that differs.
type Hole struct {
	Code Code   `json:"code"`
	API  string `json:"api,omitempty"`
	objects.Place
	Message string `json:"message"`
}

// Passes reports whether there is no hole.
func (r Report) Passes() bool { return len(r.Holes) == 0 }

// probe is a request that routes and definitions are asked for.
type probe struct {
	method, host, target string
	header               http.Header

	api *model.API // of the rule that the request is for; nil: it is for a route, or a listen path
}

func (p probe) String() string {
	text := p.method + " " + strings.TrimPrefix(p.host, probeHost) + p.target
	for name, values := range p.header {
		text += " (" + name + ": " + values[0] + ")"
	}
	return text
}

func (p probe) request() tykroute.Request {
	return tykroute.Request{Method: p.method, Host: p.host, Target: p.target, Header: p.header}
}

// answeredProbe is a request that an upstream gets.
type answeredProbe struct {
	probe
	said tykroute.Answer
}

type checker struct {
	*existingRoutes
	report    Report
	progress  Progress
	seen      map[string]bool
	reached   map[*model.Workload]bool
	upstreams map[string]bool      // hosts that APIs and routes lead to
	missing   map[*model.API]probe // the first request without a route
	documents map[workloadAtHost][]*model.Document
}

type workloadAtHost struct {
	workload *model.Workload
	host     string
}

// Check compares the routes of the input with its definitions.
func Check(m *model.Model, progress Progress) Report {
	r := &renderer{Model: m, refused: map[*model.API]string{}, namespaces: map[*model.API]string{}}
	routers := tykroute.NewRouters(m)
	r.noteGateways(routers)
	reportProblems(m, routers)
	c := &checker{progress: progress, existingRoutes: r.readExisting(), seen: map[string]bool{}, reached: map[*model.Workload]bool{}, upstreams: map[string]bool{},
		missing: map[*model.API]probe{}, documents: map[workloadAtHost][]*model.Document{}}
	c.report = Report{Coverage: []Coverage{}, Holes: []Hole{}, Routes: c.count}
	switch {
	case c.count == 0 && len(m.APIs) == 0:
		m.Set.AddMissing("API definition of Tyk and no route")
	case c.count == 0:
		m.Set.AddNote("no HTTPRoute and no VirtualService are in the input")
	}
	for _, router := range routers {
		for _, a := range router.APIs() {
			r.namespaces[a] = namespaceOf(a, router)
		}
		c.checkGateway(router)
	}
	if len(routers) == 0 {
		if c.count > 0 {
			m.Set.AddNote("no API definition of Tyk is in the input")
		}
		for _, gateway := range slices.Sorted(maps.Keys(c.byGateway)) {
			for _, route := range c.byGateway[gateway] {
				c.addHole(RouteWithoutAPI, nil, route.node, "%s leads to %s, and no API has it", route.title(), describeBackends(route))
			}
		}
	}
	for _, loose := range c.loose {
		c.addHole(RouteWithoutListener, nil, loose.at, "%s: %s", loose.object.Title(), loose.reason)
	}
	c.checkDocuments()
	slices.SortStableFunc(c.report.Holes, func(a, b Hole) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), cmp.Compare(a.Line, b.Line), strings.Compare(a.Object, b.Object), strings.Compare(string(a.Code), string(b.Code)), strings.Compare(a.Message, b.Message))
	})
	for _, table := range c.tables {
		c.report.compared += table.compared
	}
	c.report.compared += c.meshTable.compared
	c.report.Notes, c.report.Unchecked = append([]string{}, m.Set.Notes...), m.Set.SortedUnchecked()
	return c.report
}

func (c *checker) addHole(code Code, a *model.API, at *objects.Node, format string, args ...any) {
	h := Hole{Code: code, Place: at.Place(), Message: fmt.Sprintf(format, args...)}
	if a != nil {
		h.API = a.Title()
	}
	if key := string(code) + h.Place.String() + h.Place.Path + h.API + h.Message; !c.seen[key] {
		c.seen[key] = true
		c.report.Holes = append(c.report.Holes, h)
	}
}

// checkGateway compares the APIs of one Tyk gateway with all routes of Gateways.
func (c *checker) checkGateway(router *tykroute.Router) {
	tables, mappings := router.Tables()
	routesOf := map[*model.API]map[string]bool{}
	for _, mapping := range mappings {
		routesOf[mapping.API] = map[string]bool{}
	}
	shared := probesOfShared(tables)
	probes := slices.Concat(probesOfTables(tables), shared)
	for _, mapping := range mappings {
		if mapping.State != tykroute.NotServed {
			probes = append(probes, probesOfPath(cmp.Or(router.SampleEntrance(mapping.API).Host, probeHost), tykroute.Sample(mapping.API.ListenPath.String()))...)
		}
	}
	answers := map[*model.API][]answeredProbe{}
	for _, p := range probes {
		if said := router.Route(p.request()); said.Outcome == tykroute.Passed {
			answers[said.API] = append(answers[said.API], answeredProbe{p, said})
		}
	}
	for _, gateway := range slices.Sorted(maps.Keys(c.byGateway)) {
		for _, route := range c.byGateway[gateway] {
			probes = append(probes, probesOfRoute(route)...)
		}
	}
	s := &comparison{checker: c, router: router, routesOf: routesOf, differs: map[string]bool{}, compared: map[string]bool{}}
	for i, p := range probes {
		c.progress("%d of %d requests are compared", i, len(probes))
		s.compareOnce(p)
	}
	s.compareHosts(tables, shared)
	for i, mapping := range mappings {
		c.progress("%d of %d APIs are followed to workloads and documents", i, len(mappings))
		if mapping.State == tykroute.NotServed {
			continue
		}
		a := mapping.API
		if p, found := c.missing[a]; found {
			c.addHole(APIWithoutRoute, a, cmp.Or(a.ListenPath, a.Root), "no route takes %s to the upstream of API %s", p, a.Title())
		}
		c.addCoverage(router, a, routesOf[a], answers[a])
	}
}

// comparison compares the APIs of one Tyk gateway.
type comparison struct {
	*checker
	router   *tykroute.Router
	routesOf map[*model.API]map[string]bool
	differs  map[string]bool // routes at Gateways, with APIs
	compared map[string]bool // requests
}

func (c *comparison) compareOnce(p probe) {
	if key := p.host + " " + p.String(); !c.compared[key] {
		c.compared[key] = true
		c.compareProbe(p)
	}
}

// compareHosts compares the requests to the hosts of APIs that a route or an API for all hosts may take. Most of them have the answer that
// all hosts have, so these are left out:
//   - at a host without routes of its own, paths that no rule of the host may meet;
//   - at a host with routes of its own, the APIs that have no route at some host already.
func (c *comparison) compareHosts(tables []tykroute.Table, shared []probe) {
	for i, t := range tables {
		c.progress("%d of %d hosts are compared", i, len(tables))
		if t.Host == "" {
			continue
		}
		hasRoutes := false
		for _, gateway := range slices.Sorted(maps.Keys(c.byGateway)) {
			if existing := c.tables[gateway]; existing.bestHost(t.Host) != "*" {
				hasRoutes = true
			} else {
				c.compareRoutesForAll(gateway, t)
			}
		}
		for _, p := range shared {
			if _, known := c.missing[p.api]; hasRoutes && !known {
				p.host = t.Host
				c.compareOnce(p)
			}
		}
	}
}

// compareRoutesForAll compares the routes for all hosts at a host whose own rules they may meet, until one differs.
func (c *comparison) compareRoutesForAll(gateway string, t tykroute.Table) {
	for _, rule := range t.Rules {
		if rule.API == nil {
			continue
		}
		before := len(c.differs)
		c.tables[gateway].visitForAll(rule.Path, func(route *existingRoute) bool {
			for _, p := range probesOfRoute(route) {
				p.host = t.Host
				c.compareOnce(p)
			}
			return len(c.differs) == before
		})
	}
}

// compareProbe asks the definitions and all Gateways for one request.
func (c *comparison) compareProbe(p probe) {
	said := c.router.Route(p.request())
	if said.Outcome == tykroute.Unknown {
		at := said.Place
		if at == nil {
			at = said.API.Root
		}
		if key := "unknown " + said.API.Title() + said.Reason; !c.seen[key] {
			c.seen[key] = true
			c.addUnchecked(at, "API %s: the upstream is not known, and was not compared: %s", said.API.Title(), said.Reason)
		}
	}
	found := false
	for _, gateway := range slices.Sorted(maps.Keys(c.byGateway)) {
		route := c.tables[gateway].find(p)
		if route == nil || route.answers {
			continue
		}
		if c.router.Gateway != nil && c.leadsTo(route, c.router.Gateway.Workload) {
			found = c.compareEntrance(p, route) || found
			continue
		}
		key := route.title() + " " + gateway
		switch {
		case said.Outcome == tykroute.Passed:
			found = true
			if text := c.difference(said, route, p); text != "" {
				if key += " " + said.API.Title(); !c.differs[key] {
					c.differs[key] = true
					c.addHole(RouteDiffers, said.API, route.node, "%s: %s sends it to %s", p, route.title(), text)
				}
			} else {
				c.routesOf[said.API][route.object.Title()] = true
			}
		case said.IsRefusal() && !c.differs[key]:
			c.differs[key] = true
			if said.API == nil {
				c.addHole(RouteWithoutAPI, nil, route.node, "%s: %s sends it to %s, and no API has this host and path", p, route.title(), describeBackends(route))
			} else {
				c.addHole(RouteDiffers, said.API, route.node, "%s: %s sends it to %s, and Tyk answers %d: %s", p, route.title(), describeBackends(route), said.Status, said.Reason)
			}
		}
		for _, b := range route.backends {
			c.reach(b.host)
		}
	}
	if !found && said.Outcome == tykroute.Passed && !said.Alias {
		if _, known := c.missing[said.API]; !known {
			c.missing[said.API] = p
		}
	}
}

// compareEntrance compares a route that leads to Tyk itself: the API that it reaches.
func (c *comparison) compareEntrance(p probe, route *existingRoute) bool {
	target, err := url.ParseRequestURI(p.target)
	if err != nil {
		return false
	}
	changed := p
	if route.rewrite != nil {
		changed.target = route.rewrite(target.EscapedPath())
	}
	before, after := c.router.Route(p.request()), c.router.Route(changed.request())
	if after.API != nil && after.Outcome == tykroute.Passed {
		c.routesOf[after.API][route.object.Title()] = true
	}
	if before.API != nil && before.Outcome == tykroute.Passed && after.API != before.API {
		c.addHole(RouteDiffers, before.API, route.node, "%s: %s sends it to Tyk as %s, which is not API %s", p, route.title(), changed.target, before.API.Title())
	}
	return true
}

// difference is what a route does instead; "": it leads to the same upstream under the same path.
func (c *checker) difference(said tykroute.Answer, route *existingRoute, p probe) string {
	wanted, shares := map[string]int{}, 0
	paths := map[string]bool{}
	for _, u := range said.Upstreams {
		b, reason := c.findBackend(u.URL, c.namespaces[said.Serving])
		if reason != "" {
			c.addHole(UpstreamUnknown, said.API, said.Serving.ListenPath, "API %s: %s", said.Serving.Title(), reason)
		}
		wanted[fmt.Sprintf("%s:%d", b.host, b.port)] += u.Weight
		shares += u.Weight
		paths[decodeSegments(u.Path())] = true
	}
	target, err := url.ParseRequestURI(p.target)
	if err != nil {
		return ""
	}
	got := target.EscapedPath()
	if route.rewrite != nil {
		got = route.rewrite(got)
	}
	has, total := map[string]int{}, 0
	for _, b := range route.backends {
		if b.port == 0 {
			b.port = c.onlyPort(b.host)
		}
		has[fmt.Sprintf("%s:%d", b.host, b.port)] += b.weight
		total += b.weight
	}
	same := len(has) == len(wanted)
	for name, weight := range has {
		same = same && wanted[name] > 0 && wanted[name]*total == weight*shares
	}
	switch {
	case route.broken != "":
		return route.broken
	case !same:
		return fmt.Sprintf("%s, and Tyk to %s", describeShares(has), describeShares(wanted))
	case !paths[decodeSegments(got)]:
		return fmt.Sprintf("the path %s, and Tyk to %s", got, strings.Join(slices.Sorted(maps.Keys(paths)), ", "))
	}
	return ""
}

// onlyPort is the port of a host that has one; 0: it has several.
func (c *checker) onlyPort(host string) int {
	for _, h := range c.FindHosts(host, "") {
		if len(h.Ports) == 1 {
			return max(h.Ports[0].Find("port").Int(), h.Ports[0].Find("number").Int())
		}
	}
	return 0
}

func describeShares(shares map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		if len(shares) > 1 {
			parts = append(parts, fmt.Sprintf("%s (weight %d)", name, shares[name]))
		} else {
			parts = append(parts, name)
		}
	}
	return strings.Join(parts, ", ")
}

func describeBackends(route *existingRoute) string {
	var parts []string
	for _, b := range route.backends {
		parts = append(parts, fmt.Sprintf("%s:%d", b.host, b.port))
	}
	return cmp.Or(strings.Join(parts, ", "), "no destination")
}

// decodeSegments undoes escapes segment by segment: Tyk and Envoy write different ones.
func decodeSegments(text string) string {
	segments := strings.Split(text, "/")
	for i, segment := range segments {
		if decoded, err := url.PathUnescape(segment); err == nil {
			segments[i] = strings.ReplaceAll(decoded, "/", "%2F")
		}
	}
	return strings.Join(segments, "/")
}

// probeHost is a host that no route and no API names.
const probeHost = "any-host.invalid"

// probesOfShared makes requests, to no host of a table, at the borders of the rules that tables share.
func probesOfShared(tables []tykroute.Table) []probe {
	if len(tables) == 0 || tables[0].Then == nil {
		return nil
	}
	return probesOfTables([]tykroute.Table{*tables[0].Then})
}

// probesOfTables makes requests at the borders of the tables' own rules.
func probesOfTables(tables []tykroute.Table) []probe {
	var all []probe
	for _, t := range tables {
		for _, rule := range t.Rules {
			if len(rule.Destinations) == 0 {
				continue
			}
			p := probe{method: http.MethodGet, host: cmp.Or(t.Host, probeHost), header: http.Header{}, api: rule.API}
			query := ""
			if c := rule.Condition; c != nil && c.Header != "" {
				p.header.Set(c.Header, cmp.Or(c.Value, "any"))
			} else if c != nil {
				query = "?" + url.QueryEscape(c.Query) + "=" + url.QueryEscape(cmp.Or(c.Value, "any"))
			}
			targets := []string{rule.Path.Exact}
			if rule.Path.Prefix != "" {
				targets = []string{rule.Path.Prefix, rule.Path.Prefix + "probe", rule.Path.Prefix + "probe/7"}
			}
			for _, target := range targets {
				if target != "" {
					p.target = target + query
					all = append(all, p)
				}
			}
		}
	}
	return all
}

// probesOfPath makes requests at and below a listen path.
func probesOfPath(host, start string) []probe {
	var all []probe
	for _, target := range []string{strings.TrimSuffix(start, "/") + "/probe/7", start} {
		if strings.HasPrefix(target, "/") {
			all = append(all, probe{method: http.MethodGet, host: host, target: target, header: http.Header{}})
		}
	}
	return all
}

// probesOfRoute makes requests that a route of a Gateway takes.
func probesOfRoute(route *existingRoute) []probe {
	p := probe{method: cmp.Or(route.method, http.MethodGet), header: http.Header{}}
	query := url.Values{}
	for _, condition := range route.conditions {
		value := cmp.Or(condition.exact, condition.prefix, "any")
		switch {
		case condition.absent:
		case condition.query != "":
			query.Set(condition.query, value)
		default:
			p.header.Set(condition.header, value)
		}
	}
	var targets []string
	switch {
	case route.path.exact != "":
		targets = []string{route.path.exact}
	case route.path.segments != "":
		targets = []string{route.path.segments, route.path.segments + "/", route.path.segments + "/probe"}
	case route.path.prefix != "":
		targets = []string{route.path.prefix, route.path.prefix + "probe"}
	case route.path.pattern != nil:
		literal, whole := route.path.pattern.LiteralPrefix()
		targets = []string{literal}
		if !whole {
			targets = append(targets, literal+"probe", literal+"/probe", literal+"7")
		}
	default:
		targets = []string{"/", "/probe"}
	}
	hosts := map[string]bool{}
	for _, host := range route.hosts {
		switch {
		case host == "*":
			hosts[probeHost] = true
		case strings.HasPrefix(host, "*."):
			hosts["probe"+host[1:]] = true
		default:
			hosts[host] = true
		}
	}
	var all []probe
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		for _, target := range targets {
			if strings.HasPrefix(target, "/") {
				p.host, p.target = host, target
				if len(query) > 0 {
					p.target += "?" + query.Encode()
				}
				all = append(all, p)
			}
		}
	}
	return all
}

// reach marks the workloads of a host.
func (c *checker) reach(host string) []*model.Workload {
	all := c.workloadsBehind(host)
	if !c.upstreams[host] {
		c.upstreams[host] = true
		for _, w := range all {
			c.reached[w] = true
		}
	}
	return all
}

// addCoverage writes the row of an API, and finds the holes behind its upstreams.
func (c *checker) addCoverage(router *tykroute.Router, a *model.API, routes map[string]bool, answers []answeredProbe) {
	host := "*"
	if router.Switches.CustomDomains && a.Domain != nil {
		host = a.Domain.String()
	}
	row := Coverage{API: a.Title(), Listens: host + a.ListenPath.String(), Upstreams: []string{}, Workloads: []string{}, Documents: []string{}, Rules: []string{},
		admitted: map[*model.Workload]bool{}, firstPath: map[*model.Workload]string{}}
	behind := map[string]bool{}
	for title := range routes {
		behind[title] = true
	}
	add := func(list *[]string, text string) {
		if !slices.Contains(*list, text) {
			*list = append(*list, text)
		}
	}
	for _, p := range answers {
		said := p.said
		for _, u := range said.Upstreams {
			b, reason := c.findBackend(u.URL, c.namespaces[said.Serving])
			if reason != "" {
				c.addHole(UpstreamUnknown, a, cmp.Or(said.Serving.ListenPath, a.Root), "API %s: %s", said.Serving.Title(), reason)
				continue
			}
			add(&row.Upstreams, fmt.Sprintf("%s:%d", b.host, b.port))
			hosts, path := []string{b.host}, u.Path()
			if route := c.meshTable.find(probe{method: u.Method, host: b.host, target: path, header: p.header}); route != nil {
				behind[route.object.Title()] = true
				if !route.answers {
					hosts = nil
					for _, to := range route.backends {
						hosts = append(hosts, to.host)
					}
				}
				if route.rewrite != nil {
					path = route.rewrite(path)
				}
			}
			for _, host := range hosts {
				c.followHost(a, host, path, &row, add)
			}
		}
	}
	for w, admitted := range row.admitted {
		if !admitted {
			c.addHole(PathWithoutRule, a, cmp.Or(a.ListenPath, a.Root), "API %s: no rule of %s allows %s, or another of its paths, at %s", a.Title(), strings.Join(row.Documents, ", "), row.firstPath[w], w.Title())
		}
	}
	row.Routes = slices.Sorted(maps.Keys(behind))
	if row.Routes == nil {
		row.Routes = []string{}
	}
	c.report.Coverage = append(c.report.Coverage, row)
}

// followHost follows a host to its workloads, documents and rules.
func (c *checker) followHost(a *model.API, host, upstreamPath string, row *Coverage, add func(*[]string, string)) {
	at := cmp.Or(a.ListenPath, a.Root)
	workloads := c.reach(host)
	if len(c.Workloads) == 0 {
		c.Set.AddNote("no workloads are in the input: what is behind Services was not compared")
	} else if len(workloads) == 0 {
		c.addHole(UpstreamWithoutWorkload, a, at, "API %s: %s leads to no workload of the input", a.Title(), host)
	}
	if len(c.Documents) == 0 {
		c.Set.AddNote("no AccessPolicy is in the input: documents were not compared")
	}
	for _, w := range workloads {
		add(&row.Workloads, w.Title())
		documents := c.documentsBehind(w, host)
		if len(documents) == 0 && len(c.Documents) > 0 {
			c.addHole(WorkloadWithoutDocument, a, w.Object.Root, "no document targets %s (%s), which API %s leads to", w.Title(), w.Identity(), a.Title())
		}
		admitted := len(documents) == 0
		for _, d := range documents {
			add(&row.Documents, d.Name)
			for _, rule := range rulesFor(d, upstreamPath) {
				add(&row.Rules, d.Name+": "+rule.name)
				admitted = admitted || rule.allows
			}
		}
		before, known := row.admitted[w]
		if row.admitted[w] = before || admitted; !known && !admitted {
			row.firstPath[w] = upstreamPath
		}
	}
}

// documentsBehind are the documents for a workload, or for the Service in front of it behind a waypoint.
func (c *checker) documentsBehind(w *model.Workload, host string) []*model.Document {
	key := workloadAtHost{w, host}
	if known, found := c.documents[key]; found {
		return known
	}
	all := c.DocumentsFor(w)
	if name, namespace, found := c.SplitServiceName(host, ""); found {
		service := identity.Workload("service/" + namespace + "/" + name)
		for _, d := range c.Documents {
			if !slices.Contains(all, d) && slices.ContainsFunc(d.Compiled.Spec().Targets, func(p identity.Pattern) bool { return p.Match(service) }) {
				all = append(all, d)
			}
		}
	}
	c.documents[key] = all
	return all
}

type ruleMatch struct {
	name   string
	allows bool
}

// rulesFor are the rules and public entries whose paths can match a path.
func rulesFor(d *model.Document, upstreamPath string) []ruleMatch {
	segments := path.Segments(upstreamPath)
	matches := func(list *objects.Node) bool {
		texts := list.Texts()
		return len(texts) == 0 || slices.ContainsFunc(texts, func(text string) bool {
			pattern, err := path.ParsePattern(text)
			return err == nil && meetsBelow(pattern, segments)
		})
	}
	var all []ruleMatch
	for i, n := range d.Spec().Find("public").Entries() {
		if matches(n.Find("paths")) {
			all = append(all, ruleMatch{name: fmt.Sprintf("public[%d]", i), allows: true})
		}
	}
	for _, n := range d.Spec().Find("rules").Entries() {
		if matches(n.FindPath("to", "paths")) {
			all = append(all, ruleMatch{name: n.Find("name").String(), allows: n.Find("effect").String() != "deny" && n.Find("mode").String() != "shadow"})
		}
	}
	return all
}

// meetsBelow reports whether a pattern has a path in common with those that begin as a sample does: its last segments are samples.
func meetsBelow(pattern path.Pattern, sample []string) bool {
	for i, segment := range sample {
		if segment == "probe" || segment == "" || segment == "7" {
			return true
		}
		if i >= len(pattern.Segments) {
			return pattern.Open
		}
		if s := pattern.Segments[i]; s.Capture == "" && s.Literal != segment {
			return false
		}
	}
	return true
}

// checkDocuments finds documents whose targets no API and no route reaches.
func (c *checker) checkDocuments() {
	reached := map[identity.Pattern]bool{}
	add := func(w identity.Workload) {
		for _, p := range w.MatchingPatterns() {
			reached[p] = true
		}
	}
	for w := range c.reached {
		add(identity.Workload(w.Identity()))
	}
	for host := range c.upstreams {
		if name, namespace, ok := c.SplitServiceName(host, ""); ok {
			add(identity.Workload("service/" + namespace + "/" + name))
		}
	}
	for _, d := range c.Documents {
		targets := d.Compiled.Spec().Targets
		if slices.ContainsFunc(targets, func(p identity.Pattern) bool { return strings.HasPrefix(p.String(), "gateway/") }) {
			continue // decided at a gateway
		}
		if !c.hasInnerCallers(d) && !slices.ContainsFunc(targets, func(p identity.Pattern) bool { return reached[p] }) {
			c.addHole(DocumentWithoutRoute, nil, d.Root, "the document %s is for workloads that no API and no route leads to", d.Name)
		}
	}
}

// hasInnerCallers reports a document with a rule for callers that are no Tyk gateway: other workloads of the mesh lead to it.
func (c *checker) hasInnerCallers(d *model.Document) bool {
	for _, n := range d.Spec().Find("rules").Entries() {
		for _, caller := range n.FindPath("from", "workloads").Texts() {
			if !slices.ContainsFunc(c.Gateways, func(g *model.TykGateway) bool { return g.Workload != nil && g.Workload.Identity() == caller }) {
				return true
			}
		}
	}
	return false
}

// Print writes the table and the holes for people.
func (r Report) Print(to io.Writer) error {
	var b strings.Builder
	for _, row := range r.Coverage {
		printer.Fprintf(&b, "API %s at %s\n", row.API, row.Listens)
		for _, part := range []struct {
			name  string
			texts []string
		}{{"routes", row.Routes}, {"upstreams", row.Upstreams}, {"workloads", row.Workloads}, {"documents", row.Documents}, {"rules", row.Rules}} {
			printer.Fprintf(&b, "  %-10s %s\n", part.name, cmp.Or(strings.Join(part.texts, ", "), "-"))
		}
	}
	for _, h := range r.Holes {
		printer.Fprintf(&b, "%s: %s [%s]\n", h.Place, h.Message, h.Code)
	}
	for _, u := range r.Unchecked {
		printer.Fprintf(&b, "%s: not checked: %s\n", u.Place, u.Reason)
	}
	for _, note := range r.Notes {
		printer.Fprintf(&b, "note: %s\n", note)
	}
	printer.Fprintf(&b, "APIs: %d, routes: %d, holes: %d, not checked: %d\n", len(r.Coverage), r.Routes, len(r.Holes), len(r.Unchecked))
	_, err := io.WriteString(to, b.String())
	return err
}
