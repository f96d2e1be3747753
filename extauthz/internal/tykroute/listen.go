package tykroute

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"github.com/meshpass/meshpass/extauthz/internal/pathindex"
)

// entry is a prefix that the gateway's router knows: the listen path of an API, or its alias /{api_id}/.
type entry struct {
	api    *api
	prefix string
	alias  bool
	lost   bool // the listen path that a collision took away
	router *mux.Router
}

// order registers the APIs as the gateway does: those with a domain first, then by the length of their listen paths (sortSpecsByListenPath).
// APIs with one domain and listen path are renamed at the gateway's start (processSpec).
func (r *Router) order() {
	r.ranks, r.byAlias = map[rank][]*api{}, map[string][]*api{}
	count, ids := map[string]int{}, map[string]int{}
	for _, a := range r.apis {
		count[a.domain+a.listenPath]++
		ids[a.id]++
	}
	slices.SortStableFunc(r.apis, compareRank)
	for _, a := range r.apis {
		if a.skipped == "" {
			a.skipped = a.findFault()
		}
		if a.id != "" && ids[a.id] > 1 {
			a.addProblem(a.Root.FindFold("api_id"), "another definition has this id: Tyk mixes them")
		}
		if a.skipped == "" && count[a.domain+a.declaredPath] > 1 {
			a.collides = true
			for a.listenPath += "-" + a.id; count[a.domain+a.listenPath] > 1; {
				a.listenPath += "_"
			}
		}
		if a.skipped != "" || a.internal {
			continue
		}
		r.ranks[r.rankOf(a)] = append(r.ranks[r.rankOf(a)], a)
		if a.id != "" {
			r.byAlias[a.id] = append(r.byAlias[a.id], a)
			r.addEntry(entry{api: a, prefix: a.aliasPath(), alias: true})
		}
		r.addEntry(entry{api: a, prefix: a.listenPath})
		if a.collides {
			r.addEntry(entry{api: a, prefix: a.declaredPath, lost: true})
		}
	}
	r.indexNames()
}

// rank is what APIs have in common that the gateway orders by chance.
type rank struct {
	hasDomain bool
	length    int // of the listen path
	host      string
}

func (r *Router) rankOf(a *api) rank {
	return rank{a.hasDomain, listenPathLength(a.declaredPath), r.hostOf(a)}
}

// compareRank orders APIs as the gateway asks them. It does not determine the order of equal ones.
func compareRank(a, b *api) int {
	if a.hasDomain != b.hasDomain {
		if a.hasDomain {
			return -1
		}
		return 1
	}
	return cmp.Compare(listenPathLength(b.declaredPath), listenPathLength(a.declaredPath))
}

// listenPathLength leaves segments in braces out.
func listenPathLength(listenPath string) int {
	if !strings.Contains(listenPath, "{") {
		return len(listenPath)
	}
	length := strings.Count(listenPath, "/")
	for _, segment := range strings.Split(listenPath, "/") {
		if len(segment) <= 2 || segment[0] != '{' || segment[len(segment)-1] != '}' {
			length += len(segment)
		}
	}
	return length
}

// findFault finds why the gateway does not load the API.
func (a *api) findFault() string {
	switch a.protocol {
	case "", "http", "https", "h2c":
	case "tcp", "tls":
		return "it is for the protocol " + a.protocol
	default:
		a.addProblem(a.Protocol, "Tyk knows no protocol "+quote(a.protocol))
		return "its protocol is unknown"
	}
	switch {
	case a.declaredPath == "":
		a.addProblem(a.ListenPath, "it has no listen path")
		return "it has no listen path"
	case strings.Contains(a.declaredPath, " "):
		a.addProblem(a.ListenPath, "its listen path has a space")
		return "its listen path has a space"
	}
	if reason := findRouteFault(func(r *mux.Router) *mux.Route { return r.PathPrefix(a.declaredPath) }); reason != "" {
		a.addProblem(a.ListenPath, "its listen path cannot be routed: "+reason)
		return "its listen path cannot be routed"
	}
	if a.target == nil {
		return "its target is no URL"
	}
	return ""
}

// findRouteFault finds why gorilla/mux cannot route a path or a host; "": it can.
func findRouteFault(add func(*mux.Router) *mux.Route) (reason string) {
	defer func() {
		if recover() != nil {
			reason = "the expression of a parameter has a group that captures, at which the gateway panics: write (?:a|b) for (a|b)"
		}
	}()
	if err := add(mux.NewRouter()).GetError(); err != nil {
		return strings.TrimPrefix(describeRegexp(err), "mux: ")
	}
	return ""
}

func (r *Router) addEntry(e entry) {
	a, root := e.api, mux.NewRouter()
	inner, host := root, r.Switches.HostName
	if r.Switches.CustomDomains && a.hasDomain {
		host = a.domain
	}
	if host != "" {
		if reason := findRouteFault(func(r *mux.Router) *mux.Route { return r.Host(host) }); reason != "" {
			a.addProblem(a.Domain, "its domain cannot be routed: "+reason)
			return
		}
		inner = root.Host(host).Subrouter()
	}
	if reason := findRouteFault(func(r *mux.Router) *mux.Route { return r.PathPrefix(e.prefix) }); reason != "" {
		a.addProblem(a.Root.FindFold("api_id"), "its alias "+e.prefix+" cannot be routed: "+reason)
		return
	}
	inner.PathPrefix(e.prefix).Subrouter().NewRoute().Handler(http.NotFoundHandler())
	e.router = root
	index := r.indexOf(host)
	if pattern := listenPattern(e.prefix); strings.Contains(e.prefix, "{") && pattern != nil {
		index.AddPattern(pattern.String(), len(r.entries))
	} else {
		index.AddPrefix(e.prefix, len(r.entries))
	}
	r.entries = append(r.entries, &e)
}

// indexOf is the index of the entries that ask for a host.
func (r *Router) indexOf(host string) *pathindex.Index {
	if host = strings.ToLower(host); strings.Contains(host, "{") {
		host = ""
	}
	if r.byHost == nil {
		r.byHost = map[string]*pathindex.Index{}
	}
	if r.byHost[host] == nil {
		r.byHost[host] = &pathindex.Index{}
	}
	return r.byHost[host]
}

// findCandidates finds the entries that may match a host and a decoded path, in their order.
func (r *Router) findCandidates(host, path string) (candidates []*entry) {
	host = strings.ToLower(host)
	bare := host
	if name, _, err := net.SplitHostPort(host); err == nil {
		bare = name
	}
	keys := []string{"", host, bare}
	slices.Sort(keys)
	var numbers []int
	for _, key := range slices.Compact(keys) {
		if index := r.byHost[key]; index != nil {
			numbers = append(numbers, index.Find(path)...)
		}
	}
	slices.Sort(numbers)
	for _, i := range numbers {
		candidates = append(candidates, r.entries[i])
	}
	return candidates
}

func (e *entry) matches(host string, u *url.URL) bool {
	return e.router.Match(&http.Request{Method: http.MethodGet, Host: host, URL: u}, &mux.RouteMatch{})
}

// Route finds what the gateway does with a request.
func (r *Router) Route(request Request) Answer {
	u, err := url.ParseRequestURI(request.Target)
	if request.Method == http.MethodOptions && request.Target == "*" {
		return answered(nil, http.StatusOK, "OPTIONS * is for the gateway itself")
	}
	if err != nil {
		return answered(nil, http.StatusBadRequest, "the request target is no URL")
	}
	host := request.Host
	if u.Host != "" { // the absolute form
		host = u.Host
		u.Scheme, u.Host, u.User = "", "", nil
	}
	if !r.Switches.SkipCleaning {
		if clean := cleanPath(u.Path); clean != u.Path {
			moved := *u
			moved.Path = clean
			return Answer{Outcome: Answered, Status: http.StatusMovedPermanently, Location: moved.String(), Reason: "the path is not clean: the gateway redirects"}
		}
	}
	own := request.Port == 0 || request.Port == r.Switches.Port
	if own && (r.Switches.ControlPort == 0 || r.Switches.ControlPort == r.Switches.Port) && (u.Path == "/"+r.Switches.HealthCheck || strings.HasPrefix(u.Path, "/tyk/")) {
		return answered(nil, 0, "the gateway's own API answers it")
	}
	candidates := r.findCandidates(host, u.Path)
	for i, e := range candidates {
		if !e.api.listensOn(request.Port, r.Switches) || !e.matches(host, u) {
			continue
		}
		if other := r.findTie(e, candidates[i+1:], request.Port, host, u); other != nil {
			return unknown(e.api, e.api.ListenPath, "APIs "+e.api.Title()+" and "+other.Title()+" both match, and Tyk orders them by chance")
		}
		alias := e.alias && !slices.ContainsFunc(candidates, func(other *entry) bool {
			return other.api == e.api && !other.alias && !other.lost && !r.leavesRest(other.prefix, u.Path) && other.matches(host, u)
		})
		return r.enter(e, alias, request, host, u)
	}
	return answered(nil, http.StatusNotFound, "no API has this host and path")
}

// listensOn reports whether the API is on a port of the gateway.
func (a *api) listensOn(port int, s Switches) bool {
	if a.port == 0 || a.port == s.Port {
		return port == 0 || port == s.Port
	}
	return a.port == port
}

// findTie finds another API of the same rank that matches too.
func (r *Router) findTie(e *entry, after []*entry, port int, host string, u *url.URL) *api {
	for _, other := range after {
		if other.api != e.api && !e.lost && !other.lost && compareRank(other.api, e.api) == 0 && other.api.listensOn(port, r.Switches) && other.matches(host, u) {
			return other.api
		}
	}
	return nil
}

// enter gives the request to the API of an entry; alias: that is the only way that the path has to it.
func (r *Router) enter(e *entry, alias bool, request Request, host string, u *url.URL) Answer {
	a := e.api
	if e.lost {
		return unknown(a, a.ListenPath, "several APIs have the listen path "+a.declaredPath+": at its start Tyk renames all of them")
	}
	if slices.Contains(a.ownEndpoints(e.prefix), u.Path) {
		answer := answered(a, 0, "Tyk has an endpoint of its own there")
		answer.Alias = alias
		return answer
	}
	if r.leavesRest(e.prefix, u.Path) {
		return answered(a, http.StatusNotFound, "with enable_strict_routes the listen path "+e.prefix+" does not take the rest of a segment")
	}
	c := &call{router: r, method: request.Method, url: *u, host: host, header: request.Header.Clone()}
	if c.header == nil {
		c.header = http.Header{}
	}
	answer := c.run(a)
	answer.API, answer.Alias = a.API, alias
	return answer
}

// leavesRest reports that a listen path does not take the rest of a segment (explicitRouteSubpaths).
func (r *Router) leavesRest(prefix, path string) bool {
	return r.Switches.StrictRoutes && !strings.HasSuffix(prefix, "/") && !(strings.Contains(prefix, "{") && strings.Contains(prefix, "}")) &&
		path != prefix && !strings.HasPrefix(path, prefix+"/")
}

// ownEndpoints are the paths below a listen path without parameters that Tyk answers by itself.
func (a *api) ownEndpoints(prefix string) []string {
	var all []string
	base := strings.TrimRight(prefix, "/")
	if a.expose {
		all = append(all, base+"/tyk/rate-limits/")
	}
	if a.batch {
		all = append(all, base+"/tyk/batch/")
	}
	if a.oauth {
		for _, path := range []string{"/oauth/authorize", "/oauth/token", "/tyk/oauth/authorize-client"} {
			all = append(all, base+path, base+path+"/")
		}
		all = append(all, base+"/oauth/revoke", base+"/oauth/revoke_all")
	}
	return all
}

// aliasPath is the path under which an API is served too.
func (a *api) aliasPath() string { return "/" + a.id + "/" }

// findAliases finds the APIs whose aliases take the listen path of another one: the gateway asks them first, or orders both by chance.
func (r *Router) findAliases(a *api) (all []*api) {
	segment, _, found := strings.Cut(strings.TrimPrefix(a.declaredPath, "/"), "/")
	if !found || segment == "" {
		return nil
	}
	for _, other := range r.byAlias[segment] {
		if other != a && r.hostOf(other) == r.hostOf(a) && compareRank(other, a) <= 0 {
			all = append(all, other)
		}
	}
	return all
}

// cleanPath is the path without empty, . and .. segments, as gorilla/mux redirects to it.
func cleanPath(p string) string {
	if p == "" {
		return "/"
	}
	if p[0] != '/' {
		p = "/" + p
	}
	clean := path.Clean(p)
	if p[len(p)-1] == '/' && clean != "/" {
		clean += "/"
	}
	return clean
}

// StripListenPath removes a listen path from the beginning of a path, as Tyk does: the rest always begins with a slash.
func StripListenPath(listenPath, urlPath string) string {
	rest := urlPath
	if after, found := strings.CutPrefix(urlPath, listenPath); found {
		rest = after
	} else if isTemplate(listenPath) {
		if pattern := listenPattern(listenPath); pattern != nil {
			rest = pattern.ReplaceAllString(urlPath, "")
		}
	}
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	return rest
}

func isTemplate(pattern string) bool {
	open, closed := strings.Count(pattern, "{"), strings.Count(pattern, "}")
	return open > 0 && open == closed
}
