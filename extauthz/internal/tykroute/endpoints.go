package tykroute

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/gorilla/mux"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// kind is what Tyk does with requests to an endpoint, as far as routing depends on it.
type kind int

const (
	mocked kind = iota
	ignored
	blocked
	allowed
	internalOnly
	rewritten
	virtual
	methodChanged
	persisted // a stored GraphQL query replaces the request
)

// endpoint is an entry of a list of endpoints (URLSpec).
type endpoint struct {
	kind    kind
	method  string
	pattern *regexp.Regexp
	path    string
	node    *objects.Node

	actions  map[string]string // method_actions: the action by method; nil: absent
	rewrite  *rewrite
	toMethod string
}

// PreparePattern writes a pattern of an endpoint list as Tyk compiles it (internal/httputil/mux.go).
func PreparePattern(pattern string, prefix, suffix bool) string {
	if isTemplate(pattern) {
		pattern = muxName.ReplaceAllString(pattern, `([^/]+)`)
	}
	if strings.Contains(pattern, "/*") {
		pattern = strings.ReplaceAll(strings.ReplaceAll(pattern, "/*/", "/[^/]+/"), "/*", "/.*")
	}
	if prefix && strings.HasPrefix(pattern, "/") {
		pattern = "^" + pattern
	}
	if suffix && !strings.HasSuffix(pattern, "$") {
		pattern += "$"
	}
	return pattern
}

var muxName = regexp.MustCompile(`{([^}]+)}`)

// add compiles a pattern and adds an endpoint. Tyk only logs a broken pattern, and each request to the API ends in a panic.
func (a *api) addEndpoint(v *version, s Switches, e endpoint, ignoreCase bool) {
	text := PreparePattern(e.path, s.PrefixMatching, s.SuffixMatching)
	if ignoreCase || s.IgnoreCase {
		text = "(?i)" + text
	}
	pattern, err := regexp.Compile(text)
	if err != nil {
		a.addProblem(e.node, "the pattern "+quote(e.path)+" is no regular expression: "+describeRegexp(err))
	}
	e.pattern = pattern
	v.endpoints = append(v.endpoints, &e)
	v.hasAllow = v.hasAllow || e.kind == allowed
}

// readEndpoints reads the lists of a version in the order of Tyk (getExtendedPathSpecs).
func (a *api) readEndpoints(v *version, n *objects.Node, s Switches) {
	ignoreCase := n.FindFold("ignore_endpoint_case").IsTrue()
	if !n.FindFold("use_extended_paths").IsTrue() {
		for _, list := range []struct {
			key  string
			kind kind
		}{{"ignored", ignored}, {"black_list", blocked}, {"white_list", allowed}} {
			for _, p := range n.FindFold("paths", list.key).Entries() {
				a.addEndpoint(v, s, endpoint{kind: list.kind, path: p.String(), node: p}, false)
			}
		}
		return
	}
	paths := n.FindFold("extended_paths")
	for _, list := range []struct {
		key  string
		kind kind
	}{
		{"mock_response", mocked}, {"ignored", ignored}, {"black_list", blocked}, {"white_list", allowed}, {"url_rewrites", rewritten}, {"virtual", virtual},
		{"method_transforms", methodChanged}, {"internal", internalOnly}, {"persist_graphql", persisted},
	} {
		for _, n := range paths.FindFold(list.key).Entries() {
			if n.FindFold("disabled").IsTrue() || list.kind == virtual && !s.Scripts {
				continue
			}
			e := endpoint{kind: list.kind, path: n.FindFold("path").String(), method: n.FindFold("method").String(), node: n}
			if p := n.FindFold("path"); p != nil {
				e.node = p
			}
			caseless := false
			switch list.kind {
			case mocked, ignored, blocked, allowed:
				caseless = ignoreCase || n.FindFold("ignore_case").IsTrue()
				if actions := n.FindFold("method_actions"); actions != nil && actions.Kind == objects.Map && list.kind != mocked {
					e.actions = map[string]string{}
					for _, m := range actions.Members() {
						e.actions[m.Key] = m.FindFold("action").String()
					}
				}
			case rewritten:
				e.rewrite = a.readRewrite(n, "match_pattern", "rewrite_to", "triggers")
				if !n.FindFold("rewrite_to_internal").IsEmpty() {
					a.setDynamic(n, "a URL rewrite leads to another API of Tyk Operator")
				}
			case methodChanged:
				e.toMethod = n.FindFold("to_method").String()
			default:
			}
			a.addEndpoint(v, s, e, caseless)
		}
	}
	a.readMocks(v, s)
}

// readMocks adds the mock responses of the OpenAPI document that lies beside a classic file.
func (a *api) readMocks(v *version, s Switches) {
	if a.Pair == nil {
		return
	}
	for _, op := range operationsOf(a.Pair.Document, a.Pair.Root) {
		if mock := op.node.FindFold("mockResponse"); mock.FindFold("enabled").IsTrue() {
			a.addMock(v, s, op, mock)
		}
	}
}

// addMock adds a mock response of an OpenAPI document: Tyk finds it by the whole path.
func (a *api) addMock(v *version, s Switches, op operation, n *objects.Node) {
	s.PrefixMatching, s.SuffixMatching = true, true
	a.addEndpoint(v, s, endpoint{kind: mocked, method: op.method, path: op.path, node: n}, false)
	v.endpoints = append([]*endpoint{v.endpoints[len(v.endpoints)-1]}, v.endpoints[:len(v.endpoints)-1]...)
}

// operation is an operation of an OpenAPI document that has settings of Tyk.
type operation struct {
	path, method string
	node         *objects.Node
}

var operationMethods = []string{"connect", "delete", "get", "head", "options", "patch", "post", "put", "trace"}

// operationsOf gives the operations in Tyk's order of paths (internal/oasutil: SortByPathLength).
func operationsOf(document, root *objects.Node) []operation {
	paths := slices.Clone(document.Find("paths").Members())
	slices.SortStableFunc(paths, func(a, b *objects.Node) int {
		switch {
		case isLongerPath(a.Key, b.Key):
			return -1
		case isLongerPath(b.Key, a.Key):
			return 1
		}
		return 0
	})
	byID := root.FindFold("middleware", "operations")
	var all []operation
	for _, path := range paths {
		for _, method := range path.Members() {
			if id := method.Find("operationId").String(); id != "" && slices.Contains(operationMethods, method.Key) {
				if op := byID.Find(id); op != nil {
					all = append(all, operation{path: path.Key, method: strings.ToUpper(method.Key), node: op})
				}
			}
		}
	}
	return all
}

// isLongerPath orders paths by their number of segments, their length without parameters, and their text.
func isLongerPath(i, j string) bool {
	a, b := pathParameter.ReplaceAllString(i, ""), pathParameter.ReplaceAllString(j, "")
	if a == b { // a literal path before one with parameters
		a, b = j, i
	}
	if k, l := strings.Count(a, "/"), strings.Count(b, "/"); k != l {
		return k > l
	}
	if len(a) == len(b) {
		return a < b
	}
	return len(a) > len(b)
}

var pathParameter = regexp.MustCompile(`\{[^}]+\}`)

// readOperations reads the operations of a document in OpenAPI form.
func (a *api) readOperations(v *version, s Switches) {
	ignoreCase := a.Root.FindFold("middleware", "global", "ignoreCase", "enabled").IsTrue()
	operations := operationsOf(a.Document, a.Root)
	for _, list := range []struct {
		key  string
		kind kind
	}{
		{"ignoreAuthentication", ignored}, {"block", blocked}, {"allow", allowed}, {"urlRewrite", rewritten}, {"virtualEndpoint", virtual},
		{"transformRequestMethod", methodChanged}, {"internal", internalOnly}, {"mockResponse", mocked},
	} {
		all := operations
		if list.kind == allowed {
			all = slices.Clone(operations)
			slices.SortStableFunc(all, func(x, y operation) int { return strings.Compare(x.path+" "+x.method, y.path+" "+y.method) })
		}
		for _, op := range all {
			n := op.node.FindFold(list.key)
			if !n.FindFold("enabled").IsTrue() || list.kind == virtual && !s.Scripts {
				continue
			}
			if list.kind == mocked {
				a.addMock(v, s, op, n)
				continue
			}
			e := endpoint{kind: list.kind, path: op.path, method: op.method, node: n}
			caseless := false
			switch list.kind {
			case ignored, blocked, allowed:
				caseless = ignoreCase || n.FindFold("ignoreCase").IsTrue()
			case rewritten:
				e.rewrite = a.readRewrite(n, "pattern", "rewriteTo", "triggers")
			case methodChanged:
				e.toMethod = n.FindFold("toMethod").String()
			default:
			}
			a.addEndpoint(v, s, e, caseless)
		}
	}
}

// matchesPath compares a path without listen path and version, without listen path, and as it is (URLSpec.matchesPath).
func (e *endpoint) matchesPath(a *api, path string) bool {
	clean := StripListenPath(a.listenPath, path)
	if bare := a.versioning.stripFromPath(clean); bare != clean && e.pattern.MatchString(bare) {
		return true
	}
	return e.pattern.MatchString(clean) || e.pattern.MatchString(path)
}

// verdict is the result of the lists of endpoints.
type verdict struct {
	status          int // 0: the request goes on
	reason          string
	node            *objects.Node
	unauthenticated bool
	aborted         bool
}

// checkLists asks the lists of a version (APISpec.URLAllowedAndIgnored).
func (v *version) checkLists(a *api, c *call) verdict {
	for _, e := range v.endpoints {
		if e.pattern == nil {
			return verdict{aborted: true, node: e.node, reason: "the pattern " + quote(e.path) + " is broken: Tyk aborts each request"}
		}
	}
	for _, e := range v.endpoints {
		if e.kind == internalOnly && e.method == c.method && c.loops == 0 && e.matchesPath(a, c.url.Path) {
			return verdict{status: http.StatusForbidden, node: e.node, reason: "the endpoint is internal"}
		}
	}
	for _, e := range v.endpoints {
		if e.kind > allowed || !e.matchesPath(a, c.url.Path) {
			continue
		}
		if e.actions != nil {
			action, found := e.actions[c.method]
			switch {
			case !found:
				continue
			case action == "reply":
				return verdict{status: http.StatusOK, node: e.node, reason: "Tyk answers with a mock response"}
			case action != "no_action":
				return verdict{status: http.StatusForbidden, node: e.node, reason: "the endpoint has an unknown action"}
			}
		} else if e.method != c.method && (e.method != "" || e.kind == mocked) {
			continue
		}
		switch e.kind {
		case mocked:
			return verdict{status: http.StatusOK, node: e.node, reason: "Tyk answers with a mock response"}
		case ignored:
			return verdict{unauthenticated: true}
		case blocked:
			return verdict{status: http.StatusForbidden, node: e.node, reason: "the endpoint is blocked"}
		default:
			return verdict{}
		}
	}
	if v.hasAllow && !v.admitsLoop(a, c) {
		return verdict{status: http.StatusForbidden, node: v.node, reason: "no entry of the allow list has the endpoint"}
	}
	return verdict{}
}

// admitsLoop reports an internal endpoint, which a request of an internal loop may use in spite of an allow list.
func (v *version) admitsLoop(a *api, c *call) bool {
	return c.loops > 0 && slices.ContainsFunc(v.endpoints, func(e *endpoint) bool {
		return e.kind == internalOnly && e.method == c.method && e.matchesPath(a, c.url.Path)
	})
}

// find gives the first endpoint of a kind that has the method and the path (APISpec.CheckSpecMatchesStatus).
func (v *version) findEndpoint(a *api, c *call, wanted kind) *endpoint {
	path := c.url.Path
	if a.listenPath != "/" {
		path = StripListenPath(a.listenPath, path)
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	for _, e := range v.endpoints {
		if e.kind == wanted && e.method == c.method && e.matchesPath(a, path) {
			return e
		}
	}
	return nil
}

var listenPatterns sync.Map // by listen path

// ListenExpression is the regular expression of gorilla/mux for the beginning of paths that a listen path takes; "": it cannot be routed.
func ListenExpression(listenPath string) string {
	if pattern := listenPattern(listenPath); pattern != nil {
		return pattern.String()
	}
	return ""
}

// listenPattern is the expression of gorilla/mux for a listen path; nil: it cannot be routed.
func listenPattern(listenPath string) *regexp.Regexp {
	if known, found := listenPatterns.Load(listenPath); found {
		return known.(*regexp.Regexp)
	}
	var pattern *regexp.Regexp
	findRouteFault(func(r *mux.Router) *mux.Route {
		route := r.PathPrefix(listenPath)
		if text, err := route.GetPathRegexp(); err == nil {
			pattern, _ = regexp.Compile(text)
		}
		return route
	})
	listenPatterns.Store(listenPath, pattern)
	return pattern
}
