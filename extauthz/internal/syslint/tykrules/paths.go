package tykrules

import (
	"cmp"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

var (
	unanchored = registry.Define("tyk_unanchored_pattern", finding.Error,
		"A pattern of an endpoint list is not anchored, and the gateway's switches for that are off.",
		"Tyk matches it anywhere in the path: an ignored /health also opens /v1/healthcare/records, an allowed /items/{id} also admits /x/items/7/secret.",
		"Set http_server_options.enable_path_prefix_matching and enable_path_suffix_matching, or write ^ and $ into the pattern.")
	patternInvalid = registry.Define("tyk_pattern_invalid", finding.Error,
		"A pattern is no regular expression.",
		"Tyk logs it at level debug only, and each request to the API ends in a panic: the connection is aborted.",
		"Correct the pattern.")
	rightIneffective = registry.Define("tyk_right_ineffective", finding.Error,
		"An entry of allowed_urls in a Tyk policy or key admits no request: it has no methods, its pattern is no regular expression, or it begins elsewhere than the listen path.",
		"Tyk passes over the entry: callers get 403 for what it should admit.",
		"Write methods, and a pattern that begins with the listen path, such as ^/orders/items, because Tyk compares the path before it strips the listen path.")
	aliasReachable = registry.Define("tyk_alias", finding.Error,
		"The alias /{api_id}/ of an API collides with another API, or evades the API's own block list.",
		"Tyk serves every API under its id too, and does not strip this prefix: anchored patterns of the block list do not match there.",
		"Give the API an id that is no listen path, and block by patterns that also match below /{api_id}/, or deny the path in a document.")
	collision = registry.Define("tyk_listen_path_collision", finding.Error,
		"Two APIs have one listen path on one host, or paths that differ in the names of parameters alone.",
		"At its start Tyk renames equal ones to PATH-{api_id}: the path itself is answered with 404. Of the others, chance decides which one is asked.",
		"Give each API a listen path of its own.")
	idTwice = registry.Define("tyk_api_id_duplicate", finding.Error,
		"Two APIs of a gateway have one id.",
		"Tyk serves both, and a right for the id admits to both: a key for one API opens the other.",
		"Give each API an id of its own.")
	prefixPath = registry.Define("tyk_listen_path_prefix", finding.Error,
		"A listen path does not end with a slash, and the gateway does not have enable_strict_routes.",
		"Tyk compares it as the beginning of a text: /orders also takes /orders-admin.",
		"End the listen path with /, or set http_server_options.enable_strict_routes.")
	pathInvalid = registry.Define("tyk_listen_path_invalid", finding.Error,
		"A listen path cannot be routed: it is missing, does not begin with /, has a space, its braces are not closed, or it has an invalid expression.",
		"Tyk does not load the API, or serves it nowhere.",
		"Write a path such as /orders/ or /{tenant:[a-z]+}/orders/.")
)

// checkRights checks the URLs of Tyk policies and keys, which are patterns too.
func (c *checker) checkRights() {
	var all []*objects.Node
	for _, p := range c.Policies {
		all = append(all, p.Node)
	}
	for _, key := range c.Set.ContentsOf(objects.TykKey) {
		all = append(all, key.Root)
	}
	for _, n := range all {
		for _, right := range slices.Concat(n.Find("access_rights").Members(), n.Find("access_rights_array").Entries()) {
			for _, allowed := range right.Find("allowed_urls").Entries() {
				c.checkRight(right, allowed)
			}
		}
		for _, key := range []string{"enable_detail_recording", "enable_detailed_recording"} {
			if recording := n.Find(key); recording.IsTrue() {
				c.report.Add(detailedRecording, recording, "requests of these callers are recorded in detail")
			}
		}
	}
}

func (c *checker) checkRight(right, allowed *objects.Node) {
	url := allowed.Find("url")
	id := right.Key
	if id == "" {
		id = right.Find("name").String()
	}
	api := c.FindAPI(id)
	if allowed.Find("methods").IsEmpty() {
		c.report.Add(rightIneffective, allowed, "the allowed URL %s has no methods", quote(url.String()))
	}
	g := c.GatewayIn("")
	if api != nil {
		g = c.GatewayOf(api)
	}
	compiled := tykroute.PreparePattern(url.String(), g.IsOn("http_server_options.enable_path_prefix_matching"), g.IsOn("http_server_options.enable_path_suffix_matching"))
	if facts := c.describePattern(compiled); facts.problem != "" {
		c.report.Add(rightIneffective, url, "the allowed URL %s: %s", quote(url.String()), facts.problem)
	} else if api != nil && !g.IsOn("http_server_options.enable_path_prefix_matching") && beginsElsewhere(compiled, api) {
		c.report.Add(rightIneffective, url, "the allowed URL %s does not begin with %s, the listen path of API %s", quote(url.String()), api.ListenPathText(), api.Title())
	} else if facts.missing != "" {
		c.report.Add(unanchored, url, "the allowed URL %s has no %s", quote(url.String()), facts.missing)
	}
}

// beginsElsewhere reports a pattern that begins with another text than the listen path of an API, or its alias.
func beginsElsewhere(compiled string, a *model.API) bool {
	rest, anchored := strings.CutPrefix(compiled, "^")
	pattern, err := regexp.Compile(rest)
	if !anchored || err != nil || strings.ContainsAny(a.ListenPathText(), "{") {
		return false
	}
	prefix, _ := pattern.LiteralPrefix()
	for _, start := range []string{a.ListenPathText(), "/" + a.ID + "/"} {
		start = strings.TrimSuffix(start, "/")
		if strings.HasPrefix(prefix, start) || strings.HasPrefix(start, prefix) {
			return false
		}
	}
	return true
}

func (c *checker) checkEndpoints(a *model.API) {
	g := c.GatewayOf(a)
	prefix, suffix := g.IsOn("http_server_options.enable_path_prefix_matching"), g.IsOn("http_server_options.enable_path_suffix_matching")
	for _, e := range a.Endpoints {
		if e.Pattern == "" {
			continue
		}
		compiled := e.Pattern
		if !e.Regex {
			compiled = tykroute.PreparePattern(e.Pattern, prefix, suffix)
		}
		facts := c.describePattern(compiled)
		if facts.problem != "" {
			c.report.Add(patternInvalid, e.Node, "API %s: %s: %s", a.Title(), quote(e.Pattern), facts.problem)
			continue
		}
		if e.Kind != model.Ignored && e.Kind != model.Allowed && e.Kind != model.Mocked {
			continue
		}
		if facts.missing != "" && !c.isIgnoredHere(a, e) {
			c.report.Add(unanchored, e.Node, "API %s: the %s pattern %s has no %s", a.Title(), e.Kind, quote(e.Pattern), facts.missing)
		}
	}
	c.checkBlockedAlias(a, prefix)
}

// patternFacts are what checks need of a pattern.
type patternFacts struct {
	problem string // it cannot be compiled
	missing string // anchors
}

// describePattern compiles a pattern once: many definitions have the same ones.
func (c *checker) describePattern(compiled string) patternFacts {
	facts, known := c.patterns[compiled]
	if known {
		return facts
	}
	if _, err := regexp.Compile(compiled); err != nil {
		facts.problem = strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	} else {
		facts.missing = missingAnchors(compiled)
	}
	c.patterns[compiled] = facts
	return facts
}

// isIgnoredHere leaves an ignored endpoint of a protected API to its own rule.
func (c *checker) isIgnoredHere(a *model.API, e model.Endpoint) bool {
	return e.Kind == model.Ignored && (c.leadsToUs(a) || a.ListsHooks()) && !a.Keyless && !c.mayLackIdentity(a)
}

// checkBlockedAlias finds block lists that a request under the alias passes.
func (c *checker) checkBlockedAlias(a *model.API, prefix bool) {
	if a.ID == "" || a.Internal || a.StripsPath && strings.HasPrefix("/"+a.ID+"/", a.ListenPathText()) {
		return // Tyk strips the listen path there too
	}
	for _, e := range a.Endpoints {
		if e.Kind != model.Blocked {
			continue
		}
		compiled := tykroute.PreparePattern(e.Pattern, prefix, false)
		parsed, err := syntax.Parse(compiled, syntax.Perl)
		if err != nil || !isAnchored(parsed, first) {
			continue
		}
		pattern, err := regexp.Compile(compiled)
		if text, ok := sample(parsed.Simplify()); err == nil && ok && strings.HasPrefix(text, "/") && pattern.MatchString(text) && !pattern.MatchString("/"+a.ID+text) {
			c.report.Add(aliasReachable, e.Node, "API %s: /%s%s is not blocked", a.Title(), a.ID, text)
		}
	}
}

// routeKey is where an API answers. The domain counts only if the gateway has custom domains.
func (c *checker) routeKey(a *model.API) string {
	g := c.GatewayOf(a)
	domain := ""
	if a.Domain != nil && (g == nil || g.IsOn("enable_custom_domains")) {
		domain = strings.ToLower(a.Domain.String())
	}
	return a.Namespace + " " + a.Root.FindFold("listen_port").String() + a.Root.FindFold("server", "port").String() + " " + domain
}

func (c *checker) checkListenPaths() {
	byPath := map[string]*model.API{}
	for _, a := range c.apis {
		c.checkListenPath(a)
		if a.Internal {
			continue
		}
		key := c.routeKey(a) + " " + a.ListenPathText()
		if first := byPath[key]; first != nil {
			c.report.Add(collision, at(a, a.ListenPath), "APIs %s and %s have the listen path %s", first.Title(), a.Title(), a.ListenPathText())
			continue
		}
		byPath[key] = a
	}
	c.checkParameters()
	c.checkIDs()
	for _, a := range c.apis {
		if a.ID == "" || a.Internal {
			continue
		}
		for _, path := range []string{"/" + a.ID + "/", "/" + a.ID} {
			if other := byPath[c.routeKey(a)+" "+path]; other != nil && other != a {
				c.report.Add(aliasReachable, at(other, other.ListenPath), "the listen path %s of API %s is also the alias of API %s", path, other.Title(), a.Title())
			}
		}
	}
}

// checkParameters finds listen paths that differ in the names of parameters alone: Tyk's order of such paths is by chance.
func (c *checker) checkParameters() {
	byPattern := map[string]*model.API{}
	for _, a := range c.apis {
		path := a.ListenPathText()
		pattern := tykroute.Parameter.ReplaceAllString(path, "{$1}")
		if pattern == path || a.Internal {
			continue
		}
		key := c.routeKey(a) + " " + pattern
		first := byPattern[key]
		if byPattern[key] = a; first != nil && first.ListenPathText() != path {
			c.report.Add(collision, at(a, a.ListenPath), "the listen paths of the APIs %s and %s differ in the names of parameters alone: %s, %s", first.Title(), a.Title(), first.ListenPathText(), path)
		}
	}
}

// checkIDs finds an id that two APIs of a gateway have.
func (c *checker) checkIDs() {
	byID := map[string]*model.API{}
	for _, a := range c.apis {
		key := a.Namespace + " " + a.ID
		first := byID[key]
		if byID[key] = a; a.ID != "" && first != nil && first.ListenPathText() != a.ListenPathText() {
			c.report.Add(idTwice, a.Root, "%s and %s have the id %s", first.Name, a.Name, a.ID)
		}
	}
}

func (c *checker) checkListenPath(a *model.API) {
	path := a.ListenPathText()
	g := c.GatewayOf(a)
	rest := tykroute.Parameter.ReplaceAllString(path, "x")
	switch {
	case a.ListenPath.String() == "" && !strings.HasPrefix(a.Protocol.String(), "t"): // tcp and tls have no paths
		c.report.Add(pathInvalid, at(a, a.ListenPath), "API %s has no listen path", a.Title())
		return
	case !strings.HasPrefix(path, "/"), strings.Contains(path, " "), strings.ContainsAny(rest, "{}"):
		c.report.Add(pathInvalid, at(a, a.ListenPath), "API %s: the listen path %s", a.Title(), quote(path))
		return
	}
	for _, match := range tykroute.Parameter.FindAllStringSubmatch(path, -1) {
		if _, err := regexp.Compile(match[1]); err != nil {
			c.report.Add(pathInvalid, at(a, a.ListenPath), "API %s: the listen path %s has an invalid expression", a.Title(), quote(path))
			return
		}
	}
	if a.Internal || strings.HasSuffix(path, "/") || g.IsOn("http_server_options.enable_strict_routes") && !strings.Contains(path, "{") {
		return
	}
	longer := longerPath(c.apis, path)
	if longer == "" && !a.ListsHooks() && !c.leadsToUs(a) {
		return // what it takes beyond its path belongs to no API of the input and reaches no guarded host
	}
	c.report.Add(prefixPath, at(a, a.ListenPath), "API %s: %s also takes %s%s", a.Title(), path, path, cmp.Or(longer, "-x"))
}

// longerPath shows what a prefix takes of another API: the rest of its listen path. It is empty if there is no such API.
func longerPath(apis []*model.API, path string) string {
	for _, other := range apis {
		if rest, found := strings.CutPrefix(other.ListenPathText(), path); found && rest != "" && rest[0] != '/' {
			return rest
		}
	}
	return ""
}
