package routes_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// classic is a keyless definition with one version, unless more has version_data.
func classic(id, proxy, more string) string {
	if !strings.Contains(more, "version_data") {
		more = strings.TrimSuffix(version("")+", "+more, ", ")
	}
	if !strings.Contains(more, `"active"`) {
		more = `"active": true, ` + more
	}
	return fmt.Sprintf(`{"api_id": %[1]q, "name": %[1]q, "org_id": "demo", "use_keyless": true, "proxy": {%s}, %s}`, id, proxy, more)
}

// version is a version_data with one version, whose lists are given.
func version(lists string) string {
	return `"version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default", "use_extended_paths": true, "extended_paths": {` + lists + `}}}}`
}

const (
	orders  = "http://orders.shop.svc.cluster.local:8080"
	reports = "http://reports.shop.svc.cluster.local:8080"
	items   = "http://items.shop.svc.cluster.local:8080"
)

func list(definitions ...string) map[string]string {
	all := map[string]string{}
	for _, text := range definitions {
		var d struct {
			ID string `json:"api_id"`
		}
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			panic(fmt.Sprintf("%s: %v", text, err))
		}
		all[d.ID] = text
	}
	return all
}

// bare has the defaults of Tyk: listen paths are prefixes of a text, and patterns are not anchored.
var bare = installation{conf: `{}`, apis: list(
	classic("string-prefix", `"listen_path": "/orders", "strip_listen_path": true, "target_url": "`+orders+`/base/"`, ""),
	classic("longer", `"listen_path": "/orders-admin/", "target_url": "`+reports+`"`, ""),
	classic("slash", `"listen_path": "/slash/", "strip_listen_path": true, "target_url": "`+items+`/deep/er"`, ""),
	classic("kept", `"listen_path": "/kept", "target_url": "`+items+`/k/"`, ""),
	classic("trailing", `"listen_path": "/trailing/", "strip_listen_path": true, "disable_strip_slash": true, "target_url": "`+items+`/t/"`, ""),
	classic("tenant", `"listen_path": "/t/{tenant:[a-z]+}/orders/", "strip_listen_path": true, "target_url": "`+orders+`/tenants"`, ""),
	classic("segment", `"listen_path": "/s/{id}/items", "target_url": "`+items+`"`, ""),
	classic("balanced", `"listen_path": "/balanced/", "strip_listen_path": true, "target_url": "http://unused", "enable_load_balancing": true,
		"target_list": ["orders.shop.svc.cluster.local:8080/lb", "`+reports+`/lb", "orders.shop.svc.cluster.local:8080/lb"]`, ""),
	classic("ignored-domain", `"listen_path": "/domain/", "target_url": "`+reports+`"`, `"domain": "shop.example"`),
	classic("versioned", `"listen_path": "/versioned/", "strip_listen_path": true, "target_url": "`+orders+`/v1"`,
		`"definition": {"enabled": true, "name": "v1", "default": "self", "location": "header", "key": "X-Version", "versions": {"v2": "versioned-2", "gone": "nobody"}}`),
	classic("versioned-2", `"listen_path": "/second/", "strip_listen_path": true, "target_url": "`+reports+`/v2"`, `"internal": true`),
	classic("in-path", `"listen_path": "/inpath/", "target_url": "`+orders+`"`,
		`"definition": {"enabled": true, "name": "v1", "default": "self", "location": "url", "strip_versioning_data": true, "versions": {"v2": "in-path-2"}}`),
	classic("in-path-2", `"listen_path": "/inpath/second/", "strip_listen_path": true, "target_url": "`+items+`/v2"`, `"internal": true`),
	classic("in-query", `"listen_path": "/inquery/", "strip_listen_path": true, "target_url": "`+orders+`/one"`,
		`"definition": {"location": "url-param", "key": "v"}, "version_data": {"not_versioned": false, "default_version": "one", "versions": {"one": {"name": "one", "use_extended_paths": true}, "two": {"name": "two", "use_extended_paths": true, "override_target": "`+reports+`/two"}}}`),
	classic("internal-target", `"listen_path": "/through/", "strip_listen_path": true, "target_url": "tyk://versioned-2"`, ""),
	classic("blocked", `"listen_path": "/blocked/", "target_url": "`+orders+`"`, version(`"black_list": [{"path": "/admin/{x}", "method": "GET"}], "ignored": [{"path": "/open", "method": "GET"}]`)),
	classic("allowed", `"listen_path": "/allowed/", "target_url": "`+orders+`"`, version(`"white_list": [{"path": "/items/{id}"}, {"path": "^/only$", "method": "POST"}]`)),
	classic("mocked", `"listen_path": "/mocked/", "target_url": "`+orders+`"`, version(`"mock_response": [{"path": "/mock", "method": "GET", "code": 200, "body": "x"}]`)),
	classic("rewriting", `"listen_path": "/rewriting/", "strip_listen_path": true, "target_url": "`+orders+`/r"`, version(`"url_rewrites": [
		{"path": "/item/{id}", "method": "GET", "match_pattern": "/item/(\\w+)", "rewrite_to": "/items?id=$1"},
		{"path": "/away", "method": "GET", "match_pattern": "/away(.*)", "rewrite_to": "`+reports+`/x$1"},
		{"path": "/self", "method": "GET", "match_pattern": "/self/(.*)", "rewrite_to": "tyk://self/rewriting/item/$1"},
		{"path": "/other", "method": "GET", "match_pattern": "/other(.*)", "rewrite_to": "tyk://versioned-2/second$1"},
		{"path": "/plain", "method": "GET", "match_pattern": ".*", "rewrite_to": "/rewriting/then"}]`)),
	classic("method", `"listen_path": "/method/", "strip_listen_path": true, "target_url": "`+orders+`"`, version(`"method_transforms": [{"path": "/change", "method": "GET", "to_method": "POST"}]`)),
	classic("query", `"listen_path": "/query/", "strip_listen_path": true, "target_url": "`+orders+`/q?key=1"`, ""),
	classic("root", `"listen_path": "/", "target_url": "`+items+`/root"`, ""),
), open: map[string]string{"open": `{"openapi": "3.0.3", "info": {"title": "open", "version": "1"}, "servers": [{"url": "http://x/open/"}], "paths": {
	"/items/{id}": {"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}], "get": {"operationId": "getItem", "responses": {"200": {"description": "x"}}}, "put": {"operationId": "putItem", "responses": {"200": {"description": "x"}}}},
	"/mock": {"get": {"operationId": "mock", "responses": {"200": {"description": "x"}}}}},
	"x-tyk-api-gateway": {"info": {"id": "open", "name": "open", "orgId": "demo", "state": {"active": true}}, "server": {"listenPath": {"value": "/open/", "strip": true}},
	"upstream": {"url": "` + orders + `", "loadBalancing": {"enabled": true, "targets": [{"url": "` + items + `/o", "weight": 2}, {"url": "` + reports + `/o", "weight": 1}]}},
	"middleware": {"operations": {"getItem": {"urlRewrite": {"enabled": true, "pattern": "/items/(.*)", "rewriteTo": "/open/things/$1"}}, "putItem": {"block": {"enabled": true}},
	"mock": {"mockResponse": {"enabled": true, "code": 200, "body": "x"}}}}}}`}}

// charted has the values of Tyk's chart: whole segments, anchored patterns, domains.
var charted = installation{conf: `{"enable_custom_domains": true, "http_server_options": {"enable_strict_routes": true, "enable_path_prefix_matching": true, "enable_path_suffix_matching": true}}`, apis: list(
	classic("strict", `"listen_path": "/orders", "strip_listen_path": true, "target_url": "`+orders+`/base"`, ""),
	classic("slash", `"listen_path": "/slash/", "strip_listen_path": true, "target_url": "`+items+`"`, ""),
	classic("deeper", `"listen_path": "/slash/deeper/", "target_url": "`+reports+`/d"`, ""),
	classic("kept", `"listen_path": "/kept", "target_url": "`+items+`/k"`, ""),
	classic("plain", `"listen_path": "/plain/", "target_url": "`+items+`"`, `"preserve_host_header": true`),
	classic("shop", `"listen_path": "/", "strip_listen_path": true, "target_url": "`+reports+`/shop"`, `"domain": "shop.example"`),
	classic("shop-orders", `"listen_path": "/orders/", "target_url": "`+items+`"`, `"domain": "shop.example"`),
	classic("other", `"listen_path": "/other/", "strip_listen_path": true, "target_url": "`+reports+`/other"`, `"domain": "other.example"`),
	classic("versioned", `"listen_path": "/versioned", "strip_listen_path": true, "target_url": "`+orders+`/v1"`,
		`"definition": {"enabled": true, "name": "v1", "default": "v2", "location": "header", "key": "x-version", "fallback_to_default": true, "versions": {"v2": "versioned-2"}}`),
	classic("versioned-2", `"listen_path": "/versioned-2/", "strip_listen_path": true, "target_url": "`+reports+`"`, `"internal": true`),
	classic("no-default", `"listen_path": "/nodefault/", "target_url": "`+orders+`"`,
		`"definition": {"enabled": true, "name": "v1", "location": "url-param", "key": "v", "versions": {"v2": "versioned-2"}}`),
	classic("in-path", `"listen_path": "/inpath", "strip_listen_path": true, "target_url": "`+orders+`/p"`,
		`"definition": {"enabled": true, "name": "v1", "location": "url", "strip_versioning_data": true, "versions": {"v2": "versioned-2"}}`),
	classic("tenant", `"listen_path": "/t/{tenant}/items/", "target_url": "`+items+`"`, ""),
	classic("balanced", `"listen_path": "/balanced/", "strip_listen_path": true, "target_url": "http://unused", "enable_load_balancing": true, "target_list": ["`+orders+`", "`+reports+`"]`, ""),
	classic("blocked", `"listen_path": "/blocked/", "target_url": "`+orders+`"`, version(`"black_list": [{"path": "/admin", "method": "GET"}]`)),
	classic("inactive", `"listen_path": "/inactive/", "target_url": "`+orders+`"`, `"active": false`),
	classic("hidden", `"listen_path": "/hidden/", "target_url": "`+orders+`"`, `"internal": true`),
)}

// odd has what is easily mapped wrongly: aliases that meet listen paths, versions without an API, internal targets one behind the other, and names
// that routes cannot have.
var odd = installation{conf: `{"enable_custom_domains": true}`, apis: list(
	classic("short", `"listen_path": "/quite/long/path/", "strip_listen_path": true, "target_url": "`+reports+`/s"`, ""),
	classic("shadowed", `"listen_path": "/short/", "target_url": "`+items+`"`, ""),
	classic("beside", `"listen_path": "/beside/", "strip_listen_path": true, "target_url": "`+items+`/b"`, ""),
	classic("nameless", `"listen_path": "/nameless/", "strip_listen_path": true, "target_url": "`+orders+`/v0"`,
		`"definition": {"enabled": true, "location": "header", "key": "X-Version", "versions": {"v2": "inner"}}`),
	classic("falling", `"listen_path": "/falling/", "strip_listen_path": true, "target_url": "`+orders+`/f"`,
		`"definition": {"enabled": true, "name": "v1", "default": "v2", "fallback_to_default": true, "location": "header", "key": "X-Version", "versions": {"v2": "inner", "gone": "nobody"}}`),
	classic("placeless", `"listen_path": "/placeless/", "target_url": "`+orders+`"`,
		`"definition": {"location": "cookie", "key": "v"}, "version_data": {"not_versioned": false, "default_version": "one", "versions": {"one": {"name": "one", "use_extended_paths": true}, "two": {"name": "two", "use_extended_paths": true, "override_target": "`+reports+`/two"}}}`),
	classic("removing", `"listen_path": "/removing/", "target_url": "`+orders+`"`,
		`"definition": {"enabled": true, "name": "v1", "location": "url-param", "key": "v", "strip_versioning_data": true, "versions": {"v2": "inner"}}`),
	classic("by-host", `"listen_path": "/byhost/", "target_url": "`+orders+`"`, `"definition": {"enabled": true, "name": "v1", "location": "header", "key": "Host", "versions": {"any.example": "inner"}}`),
	classic("inner", `"listen_path": "/inner/", "strip_listen_path": true, "target_url": "`+reports+`/i"`, `"internal": true`),
	classic("through", `"listen_path": "/through/", "strip_listen_path": true, "target_url": "tyk://between"`, ""),
	classic("between", `"listen_path": "/between/", "strip_listen_path": true, "target_url": "tyk://inner"`, `"internal": true`),
	classic("colon", `"listen_path": "/co:lon/", "target_url": "`+reports+`"`, ""),
	classic("local", `"listen_path": "/local/", "target_url": "`+reports+`"`, `"domain": "localhost"`),
	classic("star", `"listen_path": "/star/", "target_url": "`+reports+`"`, `"domain": "*.example"`),
	classic("stored", `"listen_path": "/stored/", "target_url": "`+orders+`"`, version(`"persist_graphql": [{"path": "/mock", "method": "GET", "operation": "query { x }", "variables": {}}]`)),
	classic("letters", `"listen_path": "/l's/{id}/", "strip_listen_path": true, "target_url": "`+items+`/l"`, ""),
	classic("root", `"listen_path": "/", "target_url": "`+items+`"`, ""),
)}

// outside are refusals that are wanted, by kind of routes: no route can do what the gateway does.
var outside = map[string]map[string][]string{
	"bare": {
		"virtualservice": {"mocked", "rewriting", "method", "query", "open"},
		"httproute":      {"mocked", "rewriting", "method", "query", "open", "string-prefix", "kept", "tenant", "segment", "root"},
	},
	"charted": {"virtualservice": nil, "httproute": {"shop"}},
	"odd": {
		"virtualservice": {"shadowed", "by-host", "colon", "local", "star", "stored"},
		"httproute":      {"shadowed", "by-host", "colon", "local", "star", "stored", "letters", "root"},
	},
}

// TestRoutes sends the same requests through the gateway and through Envoys with the rendered routes.
func TestRoutes(t *testing.T) {
	for name, i := range map[string]installation{"bare": bare, "charted": charted, "odd": odd} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, i)
			rendered := map[string]string{}
			refused := map[string][]string{}
			for _, kind := range []string{"httproute", "virtualservice"} {
				text, states, code := r.meshpass(t, "", "routes", "render", "-f", r.path("input"), "--kind", kind, "--gateway", "edge/"+kind, "--partial")
				rendered[kind] = text
				for _, line := range strings.Split(states, "\n") {
					if before, _, found := strings.Cut(line, ": refused:"); found {
						refused[kind] = append(refused[kind], before[strings.LastIndex(before, "API ")+4:])
					}
				}
				slices.Sort(refused[kind])
				want := slices.Sorted(slices.Values(outside[name][kind]))
				if !slices.Equal(refused[kind], want) || code != min(len(want), 1) {
					t.Errorf("%s: refused %q, want %q (exit code %d)\n%s", kind, refused[kind], want, code, states)
				}
			}
			r.checkRendered(t, rendered)
			r.startEnvoys(t, rendered)
			number, seed := 300, uint64(1)
			if text := os.Getenv("ROUTES_REQUESTS"); text != "" {
				var err error
				number, err = strconv.Atoi(text)
				must(t, err)
				seed = rand.Uint64()
				t.Logf("seed %d", seed)
			}
			r.compare(t, generate(i, rand.New(rand.NewPCG(seed, seed)), number), refused)
		})
	}
}

// checkRendered wants that `meshpass routes check` finds nothing wrong with rendered routes: those of refused APIs are missing, and no others.
func (r *rig) checkRendered(t *testing.T, rendered map[string]string) {
	t.Helper()
	for kind, text := range rendered {
		r.write(t, "rendered/"+kind+".yaml", text)
		out, _, _ := r.meshpass(t, "", "routes", "check", "-f", r.path("input"), "-f", r.path("rendered/"+kind+".yaml"), "-o", "json")
		var report struct {
			Holes []struct{ Code, API, Message string }
		}
		must(t, json.Unmarshal([]byte(out), &report))
		for _, h := range report.Holes {
			if h.Code != "api_without_route" {
				t.Errorf("%s: %s: %s", kind, h.Code, h.Message)
			}
		}
	}
}

// explanation is an answer of `meshpass routes explain`.
type explanation struct {
	Outcome, API, Serving, Reason, Location string
	Status                                  int
	Alias                                   bool
	Upstreams                               []struct{ URL, Path, Query, Method, Host string }
}

func (r *rig) explain(t *testing.T, requests []request) []explanation {
	t.Helper()
	var lines strings.Builder
	for _, q := range requests {
		text, err := json.Marshal(q)
		must(t, err)
		lines.Write(append(text, '\n'))
	}
	out, _, _ := r.meshpass(t, lines.String(), "routes", "explain", "-f", r.path("input"), "--requests", "-", "-o", "json")
	var explained struct{ Requests []explanation }
	must(t, json.Unmarshal([]byte(out), &explained))
	return explained.Requests
}

func (e explanation) upstreamNames() (names []string) {
	for _, u := range e.Upstreams {
		service, _, _ := strings.Cut(strings.TrimPrefix(u.URL, "http://"), ".")
		names = append(names, service+":8080")
	}
	return names
}

// sameQuery reports whether both have the same parameters, but for values that the explanation hides.
func sameQuery(arrived, explained string) bool {
	return slices.EqualFunc(strings.Split(arrived, "&"), strings.Split(explained, "&"), func(a, e string) bool {
		name, hidden := strings.CutSuffix(e, "=…")
		return a == e || hidden && strings.HasPrefix(a, name+"=")
	})
}

// compare wants the same upstream and path from all, apart from the differences that docs/routes.md lists.
func (r *rig) compare(t *testing.T, requests []request, refused map[string][]string) {
	t.Helper()
	counts := map[string]int{}
	for i, said := range r.explain(t, requests) {
		q := requests[i]
		tyk := r.send(t, r.tyk, q)
		var want string // upstream path
		switch {
		case said.Outcome == "unknown" && said.API == "stored":
			counts["not determined"]++
			continue
		case said.Outcome == "unknown":
			t.Errorf("%s: unknown: %s", q, said.Reason)
			continue
		case said.Outcome == "passed":
			if len(tyk.arrived) != 1 || !slices.Contains(said.upstreamNames(), tyk.arrived[0].upstream) || tyk.arrived[0].path != said.Upstreams[0].Path ||
				!sameQuery(tyk.arrived[0].query, said.Upstreams[0].Query) || tyk.arrived[0].method != said.Upstreams[0].Method || tyk.arrived[0].host != said.Upstreams[0].Host && len(said.Upstreams) == 1 {
				t.Errorf("%s: Tyk: %+v, explained as %+v", q, tyk, said)
				continue
			}
			want = tyk.arrived[0].path
		case len(tyk.arrived) > 0 || said.Status != 0 && tyk.status != said.Status:
			t.Errorf("%s: Tyk: %+v, explained as %+v", q, tyk, said)
			continue
		}
		counts[said.Outcome]++
		for _, kind := range []string{"httproute", "virtualservice"} {
			if kindOf := difference(q, said, refused[kind]); kindOf != "" {
				counts[kindOf]++
				continue
			}
			got := r.send(t, r.envoys[kind], q)
			agrees := len(got.arrived) == 0
			if said.Outcome == "passed" {
				agrees = len(got.arrived) == 1 && slices.Contains(said.upstreamNames(), got.arrived[0].upstream) && decodePath(got.arrived[0].path) == decodePath(want)
			}
			switch {
			case agrees:
				counts[kind+" agrees"]++
			case strings.Contains(strings.ToUpper(q.Target), "%2F"): // Tyk compares decoded paths
				counts["escaped slash"]++
			default:
				t.Errorf("%s: %s: %+v, Tyk: %+v, explained as %+v", q, kind, got, tyk, said)
			}
		}
	}
	t.Logf("%d requests: %v", len(requests), counts)
}

// difference names a difference of docs/routes.md; "": there is none.
func difference(q request, said explanation, refused []string) string {
	switch {
	case said.Alias:
		return "alias"
	case slices.Contains(refused, said.API):
		return "refused"
	case slices.Contains(refused, "local") && (strings.HasPrefix(q.Target, "/local") || strings.HasPrefix(q.Target, "/star")):
		return "a refused domain" // its listen path is denied on every host
	case said.Status == 301:
		return "redirect"
	case strings.ContainsFunc(q.Target, func(r rune) bool { return r > 126 }), strings.Contains(q.Target, `\`), strings.Contains(q.Target, "%00"), strings.Contains(q.Target, "%zz"):
		return "characters"
	case said.Status == 403 && said.API != "" && (strings.Contains(said.Reason, "blocked") || strings.Contains(said.Reason, "allow list")):
		return "lists"
	}
	return ""
}

// generate makes requests around the listen paths.
func generate(i installation, random *rand.Rand, number int) []request {
	var starts []string
	for _, text := range i.apis {
		var d struct {
			ID    string `json:"api_id"`
			Proxy struct {
				ListenPath string `json:"listen_path"`
			}
		}
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			panic(err)
		}
		path := strings.NewReplacer("{tenant:[a-z]+}", "acme", "{tenant}", "acme", "{id}", "7", "co:lon", "co%3Alon", "l's", "l%27s").Replace(d.Proxy.ListenPath)
		starts = append(starts, path, path, path, strings.TrimSuffix(path, "/"))
	}
	starts = append(starts, "/slash/", "/in-path/", "/versioned-2/")
	starts = append(starts, "/open/", "/t/7/orders/", "/t/a%2Fb/items/", "/s/a%20b/items", "/%6Frders", "/Orders", "/nothing", "/tyk/", "/hello", "/inpath/v1/", "/inpath/v2/", "/inpath/v2/second/", "/versioned/second/", "/versioned/versioned-2/")
	slices.Sort(starts)
	rests := []string{
		"", "", "/", "1", "/1", "x", "-x", "/a/b", "a/b/", "//a", "/../orders/1", "/./a", "%2Fa", "/a%2Fb", "/a%20b", "/%41", "/a;b=c", "/a%25b", "?q=1", "/1?v=two&q=/orders", "?v=one", "/?v=v2", "/x?v=v1&v=v2",
		"/admin/1", "/admin", "/open", "/items/7", "/only", "/mock", "/item/7", "/item/7?q=1", "/away/1?q=2", "/self/9", "/other/1", "/plain/x", "/change", "/v1/x", "/v2/x", "/v2", "/v3/x", "v2x/", "/second/1", "/%C3%A9", "/é", "/a+b", "/a,b", "/a:b@c", "/$1", `/\1`, "/a'b", "/(x)", "/~u", "/a=b&c", "/tyk/rate-limits/", "/a%2e%2e/b", "/%2e%2e/b", "/a%5Cb", "/a//b", "/%00", "/a%zz",
	}
	if strings.Contains(i.apis["shadowed"], "shadowed") {
		starts = append(starts, "/short/", "/short", "/beside", "/co:lon/", "/l's/7/", "/between/", "/through/between/inner/", "/through/inner/", "/placeless/")
	}
	hosts := []string{"localhost", "any.example:80", "shop.example", "other.example", "any.example", "any.example", "any.example:8080", "shop.example:80"}
	var all []request
	for range number {
		q := request{Method: "GET", Host: hosts[random.IntN(len(hosts))], Target: starts[random.IntN(len(starts))] + rests[random.IntN(len(rests))]}
		if random.IntN(8) > 0 {
			q.Target = strings.ReplaceAll(q.Target, "//", "/")
		}
		if random.IntN(6) == 0 {
			q.Target += rests[random.IntN(len(rests))]
		}
		if random.IntN(6) == 0 {
			q.Method = []string{"POST", "PUT", "DELETE", "HEAD"}[random.IntN(4)]
		}
		if (strings.Contains(q.Target, "ersion") || strings.Contains(q.Target, "ing/") || strings.Contains(q.Target, "less")) && random.IntN(3) > 0 {
			q.Headers = map[string]string{"X-Version": []string{"v1", "v2", "v3", "self", "gone", ""}[random.IntN(6)]}
		}
		if strings.HasPrefix(q.Target, "/") {
			all = append(all, q)
		}
	}
	return all
}
