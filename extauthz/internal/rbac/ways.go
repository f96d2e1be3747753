package rbac

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/rbac/pathset"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

// way is how requests reach the upstream of an API: by its listen path or its alias, in one version. All paths of a way have one varying
// rest. Its beginning differs between the client's path, the path that Tyk compares, and the upstream's path.
type way struct {
	entry     *model.API // whose listen path or alias it is
	serving   *model.API // whose rights count
	alias     bool
	version   string      // as rights name it; "": the API has no versions
	header    http.Header // that chooses the version
	query     string
	beginning pathset.Set // of a listen path with parameters; empty: the listen path has no parameters
	listens   string      // the expression of beginning
	client    text        // of the client's path
	compared  text        // of the path that allowed_urls are compared with
	stripped  text        // of the path without the listen path, which endpoint lists and enable_path_prefix_matching see
	upstream  text
	rest      rests
	except    pathset.Set // client's paths under an alias that match the listen path too: Tyk strips them as those
	target    *url.URL
	keepsHost bool
	entrance  tykroute.Request // the host and port of entry
}

// rests are the rests that belong to a way.
type rests struct {
	set   pathset.Set // empty: any rest
	exact bool        // only the empty rest, or rests that have another form too: generated rights use the empty one alone
	some  bool        // any rest but the empty one
}

// The kinds of rests.
var (
	anyRest   = rests{}
	someRest  = rests{set: pathset.MustParse(`(?s)^.`), some: true}
	noRest    = rests{set: pathset.MustParse("^$"), exact: true}
	textRest  = rests{set: pathset.MustParse("^([^/]|$)"), exact: true} // behind a listen path without a slash at its end
	otherRest = rests{set: pathset.MustParse("^[^/]"), exact: true, some: true}
)

// text is what precedes the rest in a path.
type text struct {
	prefix    string
	beginning bool // the listen path's own text follows the prefix
}

// request is the example of a region as a request of a client.
func (w *way) request(method string, r pathset.Region) tykroute.Request {
	u := url.URL{Path: w.clientPath(r), RawQuery: w.query}
	return tykroute.Request{Method: method, Host: cmp.Or(w.entrance.Host, "gateway.invalid"), Port: w.entrance.Port, Target: u.RequestURI(), Header: w.header}
}

func (w *way) clientPath(r pathset.Region) string   { return w.client.join(r) }
func (w *way) upstreamPath(r pathset.Region) string { return w.upstream.join(r) }

func (t text) join(r pathset.Region) string {
	if t.beginning {
		return t.prefix + r.Beginning + r.Example
	}
	return t.prefix + r.Example
}

// operand makes a set an operand that is compared behind a text.
func (t text) operand(s pathset.Set) pathset.Operand {
	return pathset.Operand{Set: s, Prefix: t.prefix, Beginning: t.beginning}
}

// versionChoice is one version of an API, with the API that serves it.
type versionChoice struct {
	serving  *model.API
	name     string // "": the API has no versions
	header   http.Header
	query    string
	inPath   string // the segment that names it; "": it is not in the path
	strips   bool   // the segment
	isChild  bool   // an API of its own serves it
	override *objects.Node
}

// waysTo finds the ways to the upstreams of an API through the entries of all APIs of its gateway.
func waysTo(serving *model.API, router *tykroute.Router) (all []*way) {
	apis := router.APIs()
	for _, entry := range apis {
		if entry.Internal {
			continue
		}
		for _, v := range versionsOf(entry, apis) {
			if v.serving == serving {
				entrance := router.SampleEntrance(entry)
				for _, w := range waysThrough(entry, v, router.Switches) {
					w.entrance = entrance
					all = append(all, w)
				}
			}
		}
	}
	return all
}

func versionsOf(entry *model.API, apis []*model.API) []versionChoice {
	location, key, strips := entry.Root.FindFold("definition", "location"), entry.Root.FindFold("definition", "key"), entry.Root.FindFold("definition", "strip_versioning_data").IsTrue() || entry.Root.FindFold("definition", "strip_path").IsTrue()
	children := entry.Root.FindFold("definition", "versions").TextMap()
	enabled, base := entry.Root.FindFold("definition", "enabled").IsTrue(), entry.Root.FindFold("definition", "name").String()
	if entry.Form == model.OpenAPI {
		versioning := entry.Root.FindFold("info", "versioning")
		location, key, strips = versioning.FindFold("location"), versioning.FindFold("key"), versioning.FindFold("stripVersioningData").IsTrue()
		enabled, base, children = versioning.FindFold("enabled").IsTrue(), versioning.FindFold("name").String(), map[string]string{}
		for _, n := range versioning.FindFold("versions").Entries() {
			children[n.FindFold("name").String()] = n.FindFold("id").String()
		}
	}
	choose := func(v versionChoice, name string) versionChoice {
		switch location.String() {
		case "header":
			v.header = http.Header{http.CanonicalHeaderKey(key.String()): {name}}
		case "url-param":
			v.query = url.Values{key.String(): {name}}.Encode()
		case "url":
			v.inPath, v.strips = name, strips
		}
		return v
	}
	var all []versionChoice
	own := versionChoice{serving: entry}
	data := entry.Root.FindFold("version_data")
	switch {
	case enabled:
		if base == "" {
			base = "self"
		}
		all = append(all, choose(own, base))
		for _, name := range slices.Sorted(maps.Keys(children)) {
			for _, a := range apis {
				if a.ID == children[name] && a != entry {
					all = append(all, choose(versionChoice{serving: a, isChild: true}, name))
				}
			}
		}
	case entry.Form == model.Classic && !data.FindFold("not_versioned").IsTrue():
		for _, n := range data.FindFold("versions").Members() {
			v := choose(own, n.Key)
			v.name, v.override = n.Key, n.FindFold("override_target")
			all = append(all, v)
		}
	default:
		all = append(all, own)
	}
	return all
}

// waysThrough finds the ways by the listen path of an entry and by its alias.
func waysThrough(entry *model.API, v versionChoice, switches tykroute.Switches) (all []*way) {
	listen := entry.ListenPathText()
	alias := "/" + entry.ID + "/"
	targets := targetsOf(v.serving)
	if u := (model.Target{Text: v.override.String()}).URL(); v.override.String() != "" && u != nil {
		targets = []*url.URL{u}
	}
	for _, target := range targets {
		add := func(isAlias bool, listenText text, pattern string, rest rests, slash string) {
			w := &way{
				entry: entry, serving: v.serving, alias: isAlias, version: v.name, header: v.header, query: v.query, rest: rest, target: target,
				keepsHost: keepsHost(v.serving),
			}
			stripped := text{prefix: "/"}
			if isAlias {
				stripped.prefix = strings.TrimSuffix(tykroute.StripListenPath(listen, alias+"x"), "x")
				if expression := beginningOf(listen); expression != "" {
					w.except = pathset.MustParse(expression)
				}
			}
			segment := ""
			if v.inPath != "" {
				segment = v.inPath + "/"
			}
			if pattern != "" { // the segment of a version in the path is a part of the beginning there
				w.listens = pattern + regexp.QuoteMeta(segment)
				w.client, w.beginning = text{beginning: true}, pathset.MustParse(w.listens+"$")
			} else {
				w.client = text{prefix: listenText.prefix + slash + segment}
			}
			forwarded := text{prefix: stripped.prefix + segment}
			if !entry.StripsPath {
				forwarded = w.client
			}
			if v.inPath != "" && v.strips {
				forwarded.prefix = strings.Replace(forwarded.prefix, segment, "", 1)
			}
			w.compared, w.stripped = w.client, text{prefix: stripped.prefix + segment}
			if v.inPath != "" && v.strips { // before Tyk looks at rights
				w.compared.prefix = strings.Replace(w.compared.prefix, segment, "", 1)
			}
			if v.isChild { // its chain sees what the base API passes on
				w.compared = forwarded
				w.stripped = text{prefix: strings.TrimSuffix(tykroute.StripListenPath(v.serving.ListenPathText(), forwarded.prefix+"x"), "x")}
				if v.serving.StripsPath {
					forwarded = w.stripped
				}
			}
			w.upstream = text{prefix: strings.TrimRight(target.Path, "/") + forwarded.prefix, beginning: forwarded.beginning}
			all = append(all, splitEmptyRest(w, forwarded)...)
		}
		if pattern := beginningOf(listen); pattern != "" {
			add(false, text{}, strings.TrimSuffix(pattern, "/")+"/", anyRest, "")
		} else {
			add(false, text{prefix: strings.TrimSuffix(listen, "/")}, "", anyRest, "/")
			if !strings.HasSuffix(listen, "/") {
				rest := textRest
				if switches.StrictRoutes {
					rest = noRest
				}
				add(false, text{prefix: listen}, "", rest, "")
			}
		}
		if entry.ID != "" && strings.TrimSuffix(listen, "/") != "/"+entry.ID {
			add(true, text{prefix: "/" + entry.ID}, "", anyRest, "/")
		}
	}
	return all
}

// splitEmptyRest makes the path of the target itself a way of its own: Tyk adds no slash to it, unless disable_strip_slash keeps the one that
// the target has.
func splitEmptyRest(w *way, forwarded text) []*way {
	base := strings.TrimRight(w.target.Path, "/")
	keeps := w.serving.Root.FindFold("proxy", "disable_strip_slash").IsTrue() || w.serving.Root.FindFold("upstream", "preserveTrailingSlash", "enabled").IsTrue()
	if base == "" || forwarded.prefix != "/" || forwarded.beginning || keeps && base != w.target.Path {
		return []*way{w}
	}
	target := *w
	target.rest, target.upstream.prefix = noRest, base
	switch {
	case w.rest.exact && w.rest.set == noRest.set:
		return []*way{&target}
	case w.rest.exact:
		w.rest = otherRest
	default:
		w.rest = someRest
	}
	return []*way{w, &target}
}

// beginningOf is the expression of a listen path with parameters, as gorilla/mux reads it; "": it has no parameters.
func beginningOf(listen string) string {
	if !strings.Contains(listen, "{") {
		return ""
	}
	return muxGroup.ReplaceAllString(tykroute.ListenExpression(listen), "(?:") // without one, the router has named it
}

var muxGroup = regexp.MustCompile(`\(\?P<v\d+>`)

func keepsHost(a *model.API) bool {
	return a.Root.FindFold("proxy", "preserve_host_header").IsTrue() || a.Root.FindFold("upstream", "preserveHostHeader", "enabled").IsTrue()
}

// targetsOf gives the URLs that the API balances its requests among, without those of versions and rewrites.
func targetsOf(a *model.API) (all []*url.URL) {
	seen := map[string]bool{}
	for _, t := range a.Targets {
		u := t.URL()
		if u == nil || t.What != "target_url" && t.What != "target_list" && t.What != "upstream.url" || seen[u.String()] {
			continue
		}
		seen[u.String()] = true
		all = append(all, u)
	}
	return all
}
