package routes

import (
	"net/url"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/pathindex"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

// routeTable finds the route of a request among many: the most specific host decides, then the order of the routes.
type routeTable struct {
	byHost   map[string]*hostRoutes
	compared int // how many routes were compared with requests
}

type hostRoutes struct {
	routes   []*existingRoute
	index    pathindex.Index
	overlaps *overlapIndex // of the routes; nil: not made yet
}

func newRouteTable(routes []*existingRoute) *routeTable {
	t := &routeTable{byHost: map[string]*hostRoutes{}}
	for _, route := range routes {
		for i, host := range route.hosts {
			if slices.Contains(route.hosts[:i], host) {
				continue
			}
			if t.byHost[host] == nil {
				t.byHost[host] = &hostRoutes{}
			}
			t.byHost[host].add(route)
		}
	}
	return t
}

func (h *hostRoutes) add(route *existingRoute) {
	number := len(h.routes)
	h.routes = append(h.routes, route)
	switch p := route.path; {
	case p.ignoreCase:
		h.index.AddPrefix("", number)
	case p.pattern != nil:
		h.index.AddPattern(p.pattern.String(), number)
	default:
		h.index.AddPrefix(p.exact+p.prefix+p.segments, number)
	}
}

// find gives the first route that takes a request; nil: no route does.
func (t *routeTable) find(q probe) *existingRoute {
	target, err := url.ParseRequestURI(q.target)
	routes := t.byHost[t.bestHost(q.host)]
	if err != nil || routes == nil {
		return nil
	}
	path := target.EscapedPath()
	for _, i := range routes.index.Find(path) {
		route := routes.routes[i]
		t.compared++
		if route.path.matches(path) && (route.method == "" || route.method == q.method) &&
			!slices.ContainsFunc(route.conditions, func(c textCondition) bool { return !c.matches(q.header, target.Query()) }) {
			return route
		}
	}
	return nil
}

// visitForAll calls a function for the routes for all hosts that may take a path of a rule, until it reports false.
func (t *routeTable) visitForAll(p tykroute.PathMatch, call func(*existingRoute) bool) {
	h := t.byHost["*"]
	if h == nil {
		return
	}
	if h.overlaps == nil {
		index := newOverlapIndex(len(h.routes), func(i int) string { return h.routes[i].path.literal() })
		h.overlaps = &index
	}
	h.overlaps.visit(p, func(i int) bool { return call(h.routes[i]) })
}

// bestHost is the most specific host of the routes that fits; "*" if no other does.
func (t *routeTable) bestHost(host string) string {
	host = strings.ToLower(host)
	if t.byHost[host] != nil {
		return host
	}
	for at := strings.IndexByte(host, '.'); at >= 0; {
		if wildcard := "*" + host[at:]; t.byHost[wildcard] != nil {
			return wildcard
		}
		next := strings.IndexByte(host[at+1:], '.')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return "*"
}
