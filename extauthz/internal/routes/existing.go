package routes

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// existingRoute is one rule of an HTTPRoute or VirtualService of the input.
type existingRoute struct {
	object     *objects.Object
	node       *objects.Node // the rule
	hosts      []string      // "*": every host
	path       pathCondition
	method     string
	conditions []textCondition
	backends   []backend
	rewrite    func(path string) string // nil: the path stays
	answers    bool                     // by a redirect, or without a destination
	broken     string                   // why its destination gets nothing; "": it gets requests
}

// title names the route and the rule.
func (e *existingRoute) title() string { return e.object.Title() + " " + e.node.Path() }

// pathCondition compares paths. At most one member is set; without one, every path matches.
type pathCondition struct {
	exact, prefix, segments string // prefix is the beginning of a text
	pattern                 *regexp.Regexp
	ignoreCase              bool
}

func (p pathCondition) matches(path string) bool {
	exact, prefix, segments := p.exact, p.prefix, p.segments
	if p.ignoreCase {
		path, exact, prefix = strings.ToLower(path), strings.ToLower(exact), strings.ToLower(prefix)
	}
	switch {
	case exact != "":
		return path == exact
	case prefix != "":
		return strings.HasPrefix(path, prefix)
	case segments != "":
		rest, found := strings.CutPrefix(path, segments)
		return found && (rest == "" || rest[0] == '/')
	case p.pattern != nil:
		return p.pattern.MatchString(path)
	}
	return true
}

// literal is the text that each path begins with.
func (p pathCondition) literal() string {
	switch {
	case p.ignoreCase:
		return ""
	case p.pattern != nil:
		text, _ := p.pattern.LiteralPrefix()
		return text
	}
	return p.exact + p.prefix + p.segments
}

// rank orders rules of the Gateway API: exact paths, prefixes, patterns.
func (p pathCondition) rank() (kind, length int) {
	switch {
	case p.exact != "":
		return 3, len(p.exact)
	case p.pattern != nil:
		return 1, len(p.pattern.String())
	}
	return 2, max(len(p.segments), len(p.prefix), 1)
}

// textCondition is a condition on a header or a query parameter.
type textCondition struct {
	header, query string
	exact, prefix string
	pattern       *regexp.Regexp
	absent        bool // the header may not meet the condition
}

func (c textCondition) matches(header http.Header, query url.Values) bool {
	value, present := header.Get(c.header), len(header.Values(c.header)) > 0
	if c.query != "" {
		value, present = query.Get(c.query), query.Has(c.query)
	}
	found := present
	switch {
	case !present:
	case c.exact != "":
		found = value == c.exact
	case c.prefix != "":
		found = strings.HasPrefix(value, c.prefix)
	case c.pattern != nil:
		found = c.pattern.MatchString(value)
	}
	return found != c.absent
}

// existingRoutes are the routes of the input by their Gateway, NAMESPACE/NAME.
type existingRoutes struct {
	*renderer
	byGateway map[string][]*existingRoute
	inMesh    []*existingRoute // of VirtualServices for sidecars, and of HTTPRoutes whose parent is a Service
	count     int
	listeners map[string][]listener // by Gateway; of those that are in the input
	grants    []*objects.Object     // ReferenceGrants
	loose     []looseRoute          // routes that no listener takes

	tables    map[string]*routeTable // by Gateway
	meshTable *routeTable
	workloads map[string][]*model.Workload // by host
}

func (r *renderer) readExisting() *existingRoutes {
	e := &existingRoutes{renderer: r, byGateway: map[string][]*existingRoute{}, tables: map[string]*routeTable{}, workloads: map[string][]*model.Workload{},
		grants: r.OfKind(objects.GatewayAPI, "ReferenceGrant")}
	e.readListeners()
	for _, o := range r.OfKind(objects.GatewayAPI, "HTTPRoute") {
		e.addHTTPRoute(o)
	}
	for _, routes := range e.byGateway { // the order of the Gateway API; that of VirtualServices is as written
		sortByPrecedence(routes)
	}
	for _, o := range r.OfKind(objects.Networking, "VirtualService") {
		e.addVirtualService(o)
	}
	for _, kind := range []string{"GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"} {
		if n := len(r.OfKind(objects.GatewayAPI, kind)); n > 0 {
			r.Set.AddNote(fmt.Sprintf("%d objects of the kind %s were not compared", n, kind))
		}
	}
	for gateway, routes := range e.byGateway {
		e.tables[gateway] = newRouteTable(routes)
	}
	e.meshTable = newRouteTable(e.inMesh)
	return e
}

func sortByPrecedence(routes []*existingRoute) {
	slices.SortStableFunc(routes, func(a, b *existingRoute) int {
		aKind, aLength := a.path.rank()
		bKind, bLength := b.path.rank()
		count := func(r *existingRoute, query bool) (n int) {
			for _, c := range r.conditions {
				if (c.query != "") == query {
					n++
				}
			}
			return n
		}
		return -cmp.Or(cmp.Compare(aKind, bKind), cmp.Compare(aLength, bLength), cmp.Compare(min(len(a.method), 1), min(len(b.method), 1)),
			cmp.Compare(count(a, false), count(b, false)), cmp.Compare(count(a, true), count(b, true)))
	})
}

// addUnchecked names a part of a route that cannot be compared.
func (e *existingRoutes) addUnchecked(n *objects.Node, format string, args ...any) {
	e.Set.Unchecked = append(e.Set.Unchecked, objects.Unchecked{Place: n.Place(), Reason: fmt.Sprintf(format, args...)})
}

func (e *existingRoutes) compile(n *objects.Node, text string) *regexp.Regexp {
	pattern, err := regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		e.addUnchecked(n, "the pattern %q is no regular expression: %s", text, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return regexp.MustCompile("^\x00$")
	}
	return pattern
}

func (e *existingRoutes) addHTTPRoute(o *objects.Object) {
	e.count++
	hosts := o.Spec().Find("hostnames").Texts()
	if len(hosts) == 0 {
		hosts = []string{"*"}
	}
	hostsAt := map[string][]string{} // by Gateway
	inMesh := false
	for _, ref := range o.Spec().Find("parentRefs").Entries() {
		namespace := cmp.Or(ref.Find("namespace").String(), o.Namespace)
		switch kind := ref.Find("kind").String(); {
		case kind == "Service" || kind == "ServiceEntry":
			inMesh = true
		case kind == "" || kind == "Gateway":
			if e.isWaypoint(namespace, ref.Find("name").String()) {
				inMesh = true
				continue
			}
			gateway := objects.GatewayAPI + " " + namespace + "/" + ref.Find("name").String()
			hostsAt[gateway] = append(hostsAt[gateway], e.attach(o, ref, gateway, hosts)...)
		default:
			e.addUnchecked(ref, "a parent of the kind %s is not known", kind)
		}
	}
	for _, rule := range o.Spec().Find("rules").Entries() {
		matches := rule.Find("matches").Entries()
		if len(matches) == 0 {
			matches = []*objects.Node{nil}
		}
		for _, match := range matches {
			route := &existingRoute{object: o, node: rule, hosts: hosts, path: pathCondition{prefix: "/"}, method: match.Find("method").String()}
			path := match.Find("path")
			switch value := path.Find("value").String(); path.Find("type").String() {
			case "Exact":
				route.path = pathCondition{exact: value}
			case "RegularExpression":
				route.path = pathCondition{pattern: e.compile(path, value)}
			case "", "PathPrefix":
				if trimmed := strings.TrimSuffix(value, "/"); trimmed != "" {
					route.path = pathCondition{segments: trimmed}
				}
			default:
				e.addUnchecked(path, "a path match of the type %s is not known", path.Find("type").String())
			}
			for key, list := range map[string][]*objects.Node{"header": match.Find("headers").Entries(), "query": match.Find("queryParams").Entries()} {
				for _, n := range list {
					c := textCondition{exact: n.Find("value").String()}
					if n.Find("type").String() == "RegularExpression" {
						c = textCondition{pattern: e.compile(n, n.Find("value").String())}
					}
					if key == "header" {
						c.header = n.Find("name").String()
					} else {
						c.query = n.Find("name").String()
					}
					route.conditions = append(route.conditions, c)
				}
			}
			e.readHTTPRouteRule(route, rule, o)
			e.addAt(hostsAt, route)
			if inMesh {
				for _, ref := range o.Spec().Find("parentRefs").Entries() {
					if ref.Find("kind").String() == "Service" {
						of := *route
						of.hosts = []string{e.fullHost(ref.Find("name").String()+"."+cmp.Or(ref.Find("namespace").String(), o.Namespace), o.Namespace)}
						e.inMesh = append(e.inMesh, &of)
					}
				}
			}
		}
	}
}

func (e *existingRoutes) isWaypoint(namespace, name string) bool {
	return slices.ContainsFunc(e.OfKind(objects.GatewayAPI, "Gateway"), func(g *objects.Object) bool {
		return g.Namespace == namespace && g.Name == name && strings.HasSuffix(g.Spec().Find("gatewayClassName").String(), "waypoint")
	})
}

func (e *existingRoutes) readHTTPRouteRule(route *existingRoute, rule *objects.Node, o *objects.Object) {
	for _, ref := range rule.Find("backendRefs").Entries() {
		b := backend{port: ref.Find("port").Int(), weight: 1}
		if w := ref.Find("weight"); w != nil {
			b.weight = w.Int()
		}
		if ref.Find("kind").String() == "Hostname" {
			b.host = ref.Find("name").String()
		} else {
			b.host = e.fullHost(ref.Find("name").String()+"."+cmp.Or(ref.Find("namespace").String(), o.Namespace), o.Namespace)
		}
		if b.weight > 0 {
			route.backends = append(route.backends, b)
			if namespace := ref.Find("namespace").String(); ref.Find("kind").String() != "Hostname" && namespace != "" && !e.isGranted(o, namespace, ref.Find("name").String()) {
				route.broken = fmt.Sprintf("%s:%d, and no ReferenceGrant of the namespace %s admits that to HTTPRoutes of %s", b.host, b.port, namespace, o.Namespace)
			}
		}
	}
	for _, filter := range rule.Find("filters").Entries() {
		switch filter.Find("type").String() {
		case "ExtensionRef":
			e.addUnchecked(filter, "a filter of the type ExtensionRef is not compared")
		case "RequestRedirect":
			route.answers = true
		case "URLRewrite":
			path := filter.FindPath("urlRewrite", "path")
			if full := path.Find("replaceFullPath"); full != nil {
				route.rewrite = func(string) string { return cmp.Or(full.String(), "/") }
			} else if replace := path.Find("replacePrefixMatch"); replace != nil {
				prefix, base := route.path.segments, strings.TrimSuffix(replace.String(), "/")
				if prefix == "" && base != "" { // Istio replaces the slash
					prefix = "/"
				}
				route.rewrite = func(path string) string { return cmp.Or(base+strings.TrimPrefix(path, prefix), "/") }
			}
		}
	}
	route.answers = route.answers || len(route.backends) == 0
}

// fullHost is the name of a host in Istio's registry, for a text that an object of a namespace has.
func (e *existingRoutes) fullHost(text, namespace string) string {
	if hosts := e.FindHosts(text, namespace); len(hosts) > 0 {
		return hosts[0].Name
	}
	if name, ns, found := e.SplitServiceName(text, namespace); found {
		return name + "." + ns + ".svc." + e.ClusterDomain
	}
	return strings.ToLower(text)
}

func (e *existingRoutes) addVirtualService(o *objects.Object) {
	if o.Spec().Find("http").IsEmpty() {
		e.Set.AddNote(o.Title() + " has no http routes, and was not compared")
		return
	}
	e.count++
	hosts := o.Spec().Find("hosts").Texts()
	hostsAt := map[string][]string{} // by Gateway
	names := o.Spec().Find("gateways").Entries()
	inMesh := len(names) == 0
	for _, n := range names {
		name := n.String()
		if name == "mesh" {
			inMesh = true
			continue
		}
		if !strings.Contains(name, "/") {
			name = o.Namespace + "/" + name
		}
		gateway := objects.Networking + " " + name
		hostsAt[gateway] = append(hostsAt[gateway], e.attach(o, n, gateway, hosts)...)
	}
	for _, rule := range o.Spec().Find("http").Entries() {
		if !rule.Find("delegate").IsEmpty() {
			e.addUnchecked(rule.Find("delegate"), "%s delegates to another VirtualService, which is not compared", o.Title())
			continue
		}
		matches := rule.Find("match").Entries()
		if len(matches) == 0 {
			matches = []*objects.Node{nil}
		}
		for _, match := range matches {
			route := &existingRoute{object: o, node: rule, hosts: hosts}
			e.readVSMatch(route, match)
			e.readVSRule(route, rule, o)
			e.addAt(hostsAt, route)
			if inMesh {
				of := *route
				of.hosts = nil
				for _, host := range route.hosts {
					of.hosts = append(of.hosts, e.fullHost(host, o.Namespace))
				}
				e.inMesh = append(e.inMesh, &of)
			}
		}
	}
}

func (e *existingRoutes) readVSMatch(route *existingRoute, match *objects.Node) {
	for _, m := range match.Members() {
		switch m.Key {
		case "uri":
			route.path = pathCondition{exact: m.Find("exact").String(), prefix: m.Find("prefix").String(), ignoreCase: match.Find("ignoreUriCase").IsTrue()}
			if regex := m.Find("regex"); regex != nil {
				route.path = pathCondition{pattern: e.compile(regex, regex.String())}
			}
		case "method":
			if route.method = m.Find("exact").String(); route.method == "" {
				e.addUnchecked(m, "a match of methods by prefix or pattern is not compared")
			}
		case "headers", "withoutHeaders", "queryParams":
			for _, n := range m.Members() {
				c := textCondition{exact: n.Find("exact").String(), prefix: n.Find("prefix").String(), absent: m.Key == "withoutHeaders"}
				if regex := n.Find("regex"); regex != nil {
					c.pattern = e.compile(regex, regex.String())
				}
				if m.Key == "queryParams" {
					c.query = n.Key
				} else {
					c.header = n.Key
				}
				route.conditions = append(route.conditions, c)
			}
		case "name", "ignoreUriCase", "statPrefix":
		default:
			e.addUnchecked(m, "the condition %s is not compared", m.Key)
		}
	}
}

func (e *existingRoutes) readVSRule(route *existingRoute, rule *objects.Node, o *objects.Object) {
	for _, n := range rule.Find("route").Entries() {
		b := backend{host: e.fullHost(n.FindPath("destination", "host").String(), o.Namespace), port: n.FindPath("destination", "port", "number").Int(), weight: 1}
		if w := n.Find("weight"); w != nil {
			b.weight = w.Int()
		}
		if b.weight > 0 || len(rule.Find("route").Entries()) == 1 {
			b.weight = max(b.weight, 1)
			route.backends = append(route.backends, b)
		}
	}
	route.answers = len(route.backends) == 0
	if abort := rule.FindPath("fault", "abort"); !abort.IsEmpty() {
		e.addUnchecked(abort, "a fault that is injected is not compared")
	}
	rewrite := rule.Find("rewrite")
	if regex := rewrite.Find("uriRegexRewrite"); regex != nil {
		pattern, err := regexp.Compile(regex.Find("match").String())
		if err != nil {
			e.addUnchecked(regex, "the pattern of a rewrite is no regular expression")
			return
		}
		template := groupNumber.ReplaceAllString(strings.ReplaceAll(regex.Find("rewrite").String(), "$", "$$"), "$${$1}")
		route.rewrite = func(path string) string { return pattern.ReplaceAllString(path, template) }
	} else if uri := rewrite.Find("uri"); uri.String() != "" {
		prefix := cmp.Or(route.path.prefix, "/") // a route without a condition has this prefix
		whole := route.path.exact != "" || route.path.pattern != nil
		route.rewrite = func(path string) string {
			if whole {
				return uri.String()
			}
			return uri.String() + path[len(prefix):]
		}
	}
}

var groupNumber = regexp.MustCompile(`\\(\d)`)

// leadsTo reports whether a destination of the route is a workload.
func (e *existingRoutes) leadsTo(route *existingRoute, w *model.Workload) bool {
	return w != nil && slices.ContainsFunc(route.backends, func(b backend) bool { return slices.Contains(e.workloadsBehind(b.host), w) })
}

// workloadsBehind are those that a host leads to.
func (e *existingRoutes) workloadsBehind(host string) []*model.Workload {
	all, known := e.workloads[host]
	if !known {
		for _, h := range e.FindHosts(host, "") {
			for _, w := range e.WorkloadsOf(h) {
				if !slices.Contains(all, w) {
					all = append(all, w)
				}
			}
		}
		e.workloads[host] = all
	}
	return all
}
