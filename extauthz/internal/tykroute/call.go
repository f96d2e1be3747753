package tykroute

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/redact"
)

// call is a request on its way through the gateway. An internal loop gives it to another API.
type call struct {
	router  *Router
	method  string
	url     url.URL
	host    string
	header  http.Header
	version *string  // the name that the request has; nil: it is not known yet
	chosen  *version // by the first API; a loop to the API itself keeps it
	loops   int
	depth   int
	ignored bool
}

// maxLoops is the number of internal loops that Tyk permits (defaultLoopLevelLimit).
const maxLoops = 5

const canaryAnswers = "the plugin's canary answers it"

// run gives the request to the chain of an API.
func (c *call) run(a *api) Answer {
	if c.depth++; c.depth > 32 {
		return answered(a, http.StatusInternalServerError, "internal loops do not end")
	}
	if a.skipped != "" {
		return answered(a, http.StatusNotFound, "Tyk does not load API "+a.Title()+": "+a.skipped)
	}
	if a.IsCanary() {
		return answered(a, http.StatusOK, canaryAnswers)
	}
	if next, answer := c.findVersion(a); next != nil {
		c.strip(a)
		return c.run(next)
	} else if answer != nil {
		return *answer
	}
	v, answer := c.chooseVersion(a)
	if answer != nil {
		return *answer
	}
	if a.notVersioned && isExpired(a.expires) || !a.notVersioned && isExpired(v.expires) {
		return answered(a, http.StatusForbidden, "the API, or its version, is expired")
	}
	switch result := v.checkLists(a, c); {
	case result.aborted:
		return Answer{Outcome: Answered, API: a.API, Serving: a.API, Reason: result.reason, Place: result.node}
	case result.status != 0:
		answer := answered(a, result.status, result.reason)
		answer.Place, answer.byEndpoint = result.node, true
		return answer
	case result.unauthenticated:
		c.ignored = true
	}
	if a.dynamic != "" {
		return unknown(a, a.dynamicNode, a.dynamic)
	}
	if e := v.findEndpoint(a, c, virtual); e != nil {
		return unknown(a, e.node, "a virtual endpoint answers it")
	}
	return c.forward(a, v)
}

// findVersion finds the API that is the version of a request (VersionCheck.ProcessRequest). No API and no answer: the API itself serves it.
func (c *call) findVersion(a *api) (*api, *Answer) {
	d := &a.versioning
	name := c.readVersion(a)
	if name == "" {
		name = d.defaultName
	}
	if !d.enabled || d.isBase(name) {
		return nil, nil
	}
	if name == "" {
		answer := answered(a, http.StatusForbidden, "the request has no version, and there is no default")
		return nil, &answer
	}
	if next := c.router.findAPI(d.ids[name]); next != nil {
		return next, nil
	}
	if !d.fallback {
		answer := answered(a, http.StatusNotFound, "there is no version "+quote(name))
		return nil, &answer
	}
	if d.isBase(d.defaultName) {
		return nil, nil
	}
	if next := c.router.findAPI(d.ids[d.defaultName]); next != nil {
		return next, nil
	}
	answer := answered(a, http.StatusInternalServerError, "the default version has no API")
	return nil, &answer
}

func (d *versioning) isBase(name string) bool { return name == "self" || name == d.name }

// findAPI finds an API as internal loops and versions do: by id, or by name without regard to case and special characters.
func (r *Router) findAPI(search string) *api {
	if a := r.byID[search]; a != nil && search != "" {
		return a
	}
	return r.byName[strings.ToLower(search)]
}

// indexNames lists the APIs by id and by name. Of several ones, the first counts.
func (r *Router) indexNames() {
	r.byID, r.byName = map[string]*api{}, map[string]*api{}
	for _, a := range r.apis {
		name := strings.ToLower(loopingName(a.Name))
		if a.skipped == "" && r.byID[a.id] == nil {
			r.byID[a.id] = a
		}
		if a.skipped == "" && r.byName[name] == nil && name != "" {
			r.byName[name] = a
		}
	}
}

func loopingName(name string) string {
	if i := strings.Index(name, "#"); i > 0 {
		name = name[:i-1]
	}
	return notAlphanumeric.ReplaceAllString(name, "-")
}

// readVersion reads the name of the version, and removes it if the definition wants that (APISpec.getVersionFromRequest).
func (c *call) readVersion(a *api) string {
	if c.version != nil {
		return *c.version
	}
	d := &a.versioning
	if a.notVersioned && !d.enabled {
		return ""
	}
	name := ""
	switch d.location {
	case "header":
		name = c.header.Get(d.key)
	case "url-param":
		query := c.url.Query()
		name = query.Get(d.key)
		if d.strips {
			query.Del(d.key)
			c.url.RawQuery = query.Encode()
		}
	case "url":
		rest := strings.TrimPrefix(StripListenPath(a.listenPath, c.url.Path), "/"+a.Root.FindFold("slug").String())
		for _, part := range strings.Split(rest, "/") {
			if part == "" {
				continue
			}
			if d.strips && d.isVersion(part) {
				c.url.Path = strings.Replace(c.url.Path, part+"/", "", 1)
				c.url.RawPath = strings.Replace(c.url.RawPath, part+"/", "", 1)
			}
			name = part
			break
		}
	}
	c.version = &name
	return name
}

func (d *versioning) isVersion(part string) bool {
	return d.pattern == nil || d.pattern.MatchString(part)
}

// stripFromPath removes the version from a path without the listen path (APISpec.StripVersionPath).
func (d *versioning) stripFromPath(path string) string {
	part, _, _ := strings.Cut(strings.Trim(path, "/"), "/")
	if d.strips && d.isVersion(part) {
		return strings.Replace(path, "/"+part+"/", "/", 1)
	}
	return path
}

// chooseVersion finds the version of version_data (APISpec.Version).
func (c *call) chooseVersion(a *api) (*version, *Answer) {
	if c.chosen != nil {
		return c.chosen, nil
	}
	deny := func(reason string) (*version, *Answer) {
		answer := answered(a, http.StatusForbidden, reason)
		return nil, &answer
	}
	var v *version
	if a.notVersioned {
		if len(a.versions) > 1 {
			answer := unknown(a, a.Root.FindFold("version_data"), "it has not_versioned and several versions: Tyk takes one by chance")
			return nil, &answer
		}
		for _, v = range a.versions {
		}
		if v == nil {
			return deny("version_data has no version")
		}
	} else {
		name := c.readVersion(a)
		if name == "" {
			if name = a.defaultVersion; name == "" {
				return deny("the request has no version, and there is no default")
			}
		}
		v = a.versions[name]
		if v == nil && a.versioning.fallback {
			v = a.versions[a.defaultVersion]
		}
		if v == nil {
			return deny("there is no version " + quote(name))
		}
	}
	for _, other := range a.versions {
		if other != v && other.name == v.name {
			answer := unknown(a, other.node, "two versions have the name "+quote(v.name))
			return nil, &answer
		}
	}
	c.chosen = v
	return v, nil
}

// strip removes the listen path (APISpec.SanitizeProxyPaths).
func (c *call) strip(a *api) {
	if !a.strip {
		return
	}
	c.url.Path = StripListenPath(a.listenPath, c.url.Path)
	if c.url.RawPath != "" {
		c.url.RawPath = StripListenPath(a.listenPath, c.url.RawPath)
	}
}

// forward rewrites the URL and sends the request to its target (DummyProxyHandler).
func (c *call) forward(a *api, v *version) Answer {
	if e := v.findEndpoint(a, c, persisted); e != nil {
		return unknown(a, e.node, "a stored GraphQL query replaces the request")
	}
	changed, keepsHost := v.findEndpoint(a, c, methodChanged), false
	if changed != nil && !slices.Contains([]string{"GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}, strings.ToUpper(changed.toMethod)) {
		answer := answered(a, http.StatusMethodNotAllowed, "Tyk does not change a method to "+quote(changed.toMethod))
		answer.Place = changed.node
		return answer
	}
	original := c.url
	if e := v.findEndpoint(a, c, rewritten); e != nil {
		u, reason := e.rewrite.apply(&c.url)
		if reason != "" {
			return unknown(a, e.node, reason)
		}
		if u != nil {
			keepsHost = u.Scheme != "" && u.Scheme != "tyk" && u.Host != original.Host
			c.url = *u
		}
	}
	if changed != nil {
		c.method = strings.ToUpper(changed.toMethod)
	}
	if c.url.Scheme == "tyk" {
		return c.loop(a, &original)
	}
	if a.target.Scheme == "tyk" {
		next := c.router.findAPI(a.target.Host)
		if next == nil {
			return answered(a, http.StatusInternalServerError, "the target "+redact.URL(a.target.String())+" is no API")
		}
		c.strip(a)
		c.chosen = nil
		return c.run(next)
	}
	c.strip(a)
	return c.send(a, v, keepsHost)
}

// loop follows a URL rewrite to tyk://.
func (c *call) loop(a *api, original *url.URL) Answer {
	if c.loops > maxLoops {
		return answered(a, http.StatusInternalServerError, "more than 5 internal loops")
	}
	c.loops++
	if c.url.Query().Get("loop_limit") != "" {
		return unknown(a, nil, "the number of internal loops is part of the request")
	}
	if method := c.url.Query().Get("method"); method != "" {
		c.method = method
	}
	next := a
	if host := c.url.Hostname(); host != "self" {
		c.chosen = nil
		if next = c.router.findAPI(host); next == nil {
			return answered(a, http.StatusInternalServerError, "no API is called "+quote(host))
		}
	}
	c.url.Scheme, c.url.Host, c.url.RawQuery = "", original.Host, original.RawQuery
	return c.run(next)
}

// send gives the upstreams (TykNewSingleHostReverseProxy).
func (c *call) send(a *api, v *version, keepsHost bool) Answer {
	targets := []target{{url: a.target, weight: 1}}
	if v.target != nil && !a.notVersioned {
		targets[0].url = v.target
	}
	if a.targets != nil {
		targets = a.targets
	}
	answer := Answer{Outcome: Passed, API: a.API, Serving: a.API, Unauthenticated: c.ignored}
	if len(targets) == 0 {
		return answered(a, http.StatusServiceUnavailable, "load balancing has no target")
	}
	if keepsHost {
		final := c.url
		targets = []target{{url: &final, weight: 1}}
	}
	for _, t := range targets {
		u := c.url
		if !keepsHost {
			u.Scheme, u.Host = t.url.Scheme, t.url.Host
			u.Path = joinPaths(t.url.Path, c.url.Path, a.keepTrailingSlash)
			if u.RawPath != "" {
				u.RawPath = joinPaths(t.url.Path, c.url.RawPath, a.keepTrailingSlash)
			}
		}
		query := a.target.RawQuery
		if !keepsHost {
			query = t.url.RawQuery
		}
		if query != "" && u.RawQuery != "" {
			query += "&"
		}
		u.RawQuery = query + u.RawQuery
		if c.router.Switches.SkipEscaping {
			if u.RawPath != "" {
				return unknown(a, nil, "skip_target_path_escaping sends the path as it is written")
			}
		} else if u.RawPath == u.Path {
			u.RawPath = ""
		}
		u.Fragment, u.RawFragment = "", ""
		switch u.Scheme {
		case "ws":
			u.Scheme = "http"
		case "wss":
			u.Scheme = "https"
		case "http", "https":
		default:
			return unknown(a, a.targetNode, "its target "+quote(redact.URL(t.url.String()))+" is no http or https URL")
		}
		host := u.Host
		if a.keepHost {
			host = c.host
		}
		answer.Upstreams = append(answer.Upstreams, Upstream{URL: &u, Host: host, Method: c.method, Weight: t.weight})
	}
	return answer
}

// joinPaths joins the path of the target and of the request (singleJoiningSlash).
func joinPaths(base, rest string, keepTrailingSlash bool) string {
	if keepTrailingSlash && (rest == "" || rest == "/") {
		return base
	}
	base, rest = strings.TrimRight(base, "/"), strings.TrimLeft(rest, "/")
	if rest != "" {
		return base + "/" + rest
	}
	return base
}
