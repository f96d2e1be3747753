package tykroute_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

// readRouter reads texts as one installation with one gateway.
func readRouter(t *testing.T, texts ...string) *tykroute.Router {
	t.Helper()
	reader := objects.NewReader()
	for i, text := range texts {
		reader.ReadText(fmt.Sprintf("%d.json", i), []byte(text))
	}
	m := model.New(reader.Set)
	for _, u := range reader.Set.Unchecked {
		t.Fatalf("%s: %s", u.Place, u.Reason)
	}
	routers := tykroute.NewRouters(m)
	if len(routers) != 1 {
		t.Fatalf("%d routers", len(routers))
	}
	return routers[0]
}

// unversioned is a version_data with the members of its only version.
func unversioned(members string) string {
	return `"version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default", ` + members + `"use_extended_paths": true}}}`
}

func classic(id, proxy, rest string) string {
	if !strings.Contains(rest, "version_data") {
		rest = strings.TrimSuffix(unversioned("")+", "+rest, ", ")
	}
	return `{"api_id": "` + id + `", "name": "` + id + `", "use_keyless": true, "proxy": {` + proxy + `}, ` + rest + `}`
}

// describe is an answer in one line: the destinations, or the status and the reason.
func describe(a tykroute.Answer) string {
	var parts []string
	for _, u := range a.Upstreams {
		text := u.URL.Scheme + "://" + u.URL.Host + u.Path()
		if u.URL.RawQuery != "" {
			text += "?" + u.URL.RawQuery
		}
		if len(a.Upstreams) > 1 {
			text += fmt.Sprintf(" x%d", u.Weight)
		}
		parts = append(parts, text)
	}
	if a.Outcome != tykroute.Passed {
		parts = append(parts, fmt.Sprintf("%s %d %s%s", a.Outcome, a.Status, a.Location, a.Reason))
	}
	if a.Unauthenticated {
		parts = append(parts, "without session")
	}
	return strings.Join(parts, ", ")
}

const strictGateway = `{"listen_port": 8080, "secret": "x", "http_server_options": {"enable_strict_routes": true, "enable_path_prefix_matching": true, "enable_path_suffix_matching": true}, "enable_custom_domains": true}`

const bareGateway = `{"listen_port": 8080, "secret": "x", "app_path": "apps"}`

func TestRoute(t *testing.T) {
	for _, test := range []struct {
		name  string
		texts []string
		want  map[string]string // by METHOD HOST TARGET, with fields after it
	}{
		{"string prefix", []string{bareGateway, classic("a", `"listen_path": "/orders", "strip_listen_path": true, "target_url": "http://up/base/"`, "")}, map[string]string{
			"GET h /orders/1?q=2": "http://up/base/1?q=2", "GET h /ordersfoo": "http://up/base/foo", "GET h /orders": "http://up/base", "GET h /orders/": "http://up/base",
			"GET h /a/x": "http://up/base/a/x", "GET h /order": "answered 404 no API has this host and path", "GET h /orders/a%2Fb": "http://up/base/a%2Fb",
			"GET h /orders/../x": "answered 301 /xthe path is not clean: the gateway redirects", "GET h /hello": "answered 0 the gateway's own API answers it",
			"GET h /%6Frders/1": "http://up/base/1", "OPTIONS h *": "answered 200 OPTIONS * is for the gateway itself", "GET h x": "answered 400 the request target is no URL",
		}},
		{"segment prefix", []string{strictGateway, classic("a", `"listen_path": "/orders", "target_url": "http://up?k=1"`, ""), classic("b", `"listen_path": "/", "target_url": "http://other"`, "")}, map[string]string{
			"GET h /orders/1?q=2": "http://up/orders/1?k=1&q=2", "GET h /orders": "http://up/orders?k=1", "GET h /x": "http://other/x",
			"GET h /ordersfoo": "answered 404 with enable_strict_routes the listen path /orders does not take the rest of a segment",
		}},
		{"parameters", []string{bareGateway, classic("p", `"listen_path": "/{tenant:[a-z]+}/orders", "strip_listen_path": true, "target_url": "http://up"`, "")}, map[string]string{
			"GET h /acme/orders/1": "http://up/1", "GET h /acme/ordersx": "http://up/x", "GET h /7/orders/1": "answered 404 no API has this host and path",
			"GET h /a%2Fb/orders/": "answered 404 no API has this host and path",
		}},
		{"domains", []string{
			strictGateway, classic("a", `"listen_path": "/", "target_url": "http://up"`, `"domain": "shop.example"`), classic("b", `"listen_path": "/orders/", "target_url": "http://other"`, ""),
			classic("c", `"listen_path": "/orders/v1/", "target_url": "http://off"`, `"domain": "off.example", "domain_disabled": true`),
		}, map[string]string{
			"GET shop.example /orders/1": "http://up/orders/1", "GET shop.example:8080 /orders/1": "http://up/orders/1", "GET x /orders/1": "http://other/orders/1",
			"GET SHOP.example /orders/1": "http://other/orders/1", "GET x /orders/v1/2": "http://off/orders/v1/2",
		}},
		{"a domain without custom domains", []string{bareGateway, classic("a", `"listen_path": "/a/", "target_url": "http://up"`, `"domain": "shop.example"`)}, map[string]string{
			"GET x /a/1": "http://up/a/1",
		}},
		{"load balancing", []string{bareGateway, classic("a", `"listen_path": "/a/", "strip_listen_path": true, "target_url": "http://unused", "enable_load_balancing": true, "target_list": ["one:8080/x", "http://two", "one:8080/x"]`, "")}, map[string]string{
			"GET h /a/1": "http://one:8080/x/1 x2, http://two/1 x1",
		}},
		{"lists", []string{bareGateway, classic("a", `"listen_path": "/a/", "target_url": "http://up"`, unversioned(`"extended_paths": {
			"ignored": [{"path": "/open", "method": "GET"}], "white_list": [{"path": "^/items/{id}$"}, {"path": "/off", "disabled": true}], "black_list": [{"path": "/items/7"}],
			"mock_response": [{"path": "/mock", "method": "GET", "code": 200}], "internal": [{"path": "/open", "method": "PUT"}]}, `))}, map[string]string{
			"GET h /a/items/1": "http://up/a/items/1", "GET h /a/items/7": "answered 403 the endpoint is blocked", "GET h /a/x": "answered 403 no entry of the allow list has the endpoint",
			"GET h /a/x/open/y": "http://up/a/x/open/y, without session", "PUT h /a/open": "answered 403 the endpoint is internal", "GET h /a/mock": "answered 200 Tyk answers with a mock response",
			"GET h /a/off": "answered 403 no entry of the allow list has the endpoint",
		}},
		{"a broken pattern", []string{bareGateway, classic("a", `"listen_path": "/a/", "target_url": "http://up"`, unversioned(`"extended_paths": {"black_list": [{"path": "/x["}]}, `))}, map[string]string{
			"GET h /a/1": `answered 0 the pattern "/x[" is broken: Tyk aborts each request`,
		}},
		{"rewriting", []string{bareGateway, classic("a", `"listen_path": "/a/", "strip_listen_path": true, "target_url": "http://up/base"`, unversioned(`"extended_paths": {"url_rewrites": [
			{"path": "/item/{id}", "method": "GET", "match_pattern": "/item/(\\w+)", "rewrite_to": "/items?id=$1"},
			{"path": "/away", "method": "GET", "match_pattern": "/away(.*)", "rewrite_to": "https://other.example/x$1"},
			{"path": "/self", "method": "GET", "match_pattern": "/self/(.*)", "rewrite_to": "tyk://self/a/item/$1"},
			{"path": "/other", "method": "GET", "match_pattern": "/other(.*)", "rewrite_to": "tyk://Other Name/b$1"},
			{"path": "/prefixed", "method": "GET", "match_pattern": ".*", "rewrite_to": "/a/then"},
			{"path": "/session", "method": "GET", "match_pattern": ".*", "rewrite_to": "/$tyk_meta.id"},
			{"path": "/forever", "method": "GET", "match_pattern": ".*", "rewrite_to": "tyk://self/a/forever"}]}, `)),
			`{"api_id": "b", "name": "other name", "use_keyless": true, "internal": true, "proxy": {"listen_path": "/b/", "strip_listen_path": true, "target_url": "http://b"}, ` + unversioned("") + `}`,
		}, map[string]string{
			"GET h /a/item/7?q=1": "http://up/base/items?id=7", "POST h /a/item/7": "http://up/base/item/7", "GET h /a/away/1?q=2": "https://other.example/x/1?q=2",
			"GET h /a/self/9": "http://up/base/items?id=9", "GET h /a/other/1": "http://b/1", "GET h /a/prefixed/1": "http://up/base/then",
			"GET h /a/session": "unknown 0 a URL rewrite reads variables of the session or the request", "GET h /a/forever": "answered 500 more than 5 internal loops",
			"GET h /b/1": "answered 404 no API has this host and path",
		}},
		{"versions in a header", []string{bareGateway,
			classic("base", `"listen_path": "/a/", "strip_listen_path": true, "target_url": "http://up1"`, `"definition": {"enabled": true, "name": "v1", "default": "self", "location": "header", "key": "X-V", "versions": {"v2": "child"}}`),
			classic("child", `"listen_path": "/child/", "strip_listen_path": true, "target_url": "http://up2/two"`, `"internal": true`),
		}, map[string]string{
			"GET h /a/1": "http://up1/1", "GET h /a/1 X-V: v2": "http://up2/two/1", "GET h /a/1 X-V: v1": "http://up1/1", "GET h /a/1 X-V: v3": `answered 404 there is no version "v3"`,
			"GET h /a/child/1 X-V: v2": "http://up2/two/1", "GET h /child/1": "answered 404 no API has this host and path",
		}},
		{"versions in the path", []string{bareGateway,
			classic("base", `"listen_path": "/a/", "target_url": "http://up1"`, `"definition": {"enabled": true, "name": "v1", "location": "url", "strip_versioning_data": true, "versions": {"v2": "child"}}`),
			classic("child", `"listen_path": "/a/", "strip_listen_path": true, "target_url": "http://up2"`, `"internal": true, "domain": "x.example"`),
		}, map[string]string{
			"GET h /a/v1/x": "http://up1/a/x", "GET h /a/v2/x": "http://up2/x", "GET h /a/v2": "http://up2/v2", "GET h /a/x/v2/": `answered 404 there is no version "x"`,
			"GET h /a/": "answered 403 the request has no version, and there is no default",
		}},
		{"versions of one definition", []string{bareGateway, classic("a", `"listen_path": "/a/", "strip_listen_path": true, "target_url": "http://up"`,
			`"definition": {"location": "url-param", "key": "v", "strip_versioning_data": true}, "version_data": {"not_versioned": false, "default_version": "one", "versions": {"one": {"name": "one"}, "two": {"name": "two", "override_target": "http://two/x"}, "old": {"name": "old", "expires": "2020-01-01 00:00"}}}`)}, map[string]string{
			"GET h /a/1?v=one": "http://up/1", "GET h /a/1": "http://up/1", "GET h /a/1?v=two&q=1": "http://two/x/1?q=1", "GET h /a/1?v=old": "answered 403 the API, or its version, is expired",
			"GET h /a/1?v=3": `answered 403 there is no version "3"`,
		}},
		{"what is not determined", []string{bareGateway,
			classic("a", `"listen_path": "/a/", "target_url": "http://up", "service_discovery": {"use_discovery_service": true}`, ""), classic("b", `"listen_path": "/b/", "target_url": "consul://x"`, ""),
			classic("c", `"listen_path": "/{x}/c/", "target_url": "http://c"`, ""), classic("d", `"listen_path": "/{y}/c/", "target_url": "http://d"`, ""),
			classic("e", `"listen_path": "/same/", "target_url": "http://e"`, ""), classic("f", `"listen_path": "/same/", "target_url": "http://f"`, ""),
		}, map[string]string{
			"GET h /a/": "unknown 0 service discovery finds its hosts while the gateway runs", "GET h /b/": "unknown 0 its target is a value that the input does not have",
			"GET h /1/c/": "unknown 0 APIs c and d both match, and Tyk orders them by chance", "GET h /same/": "unknown 0 several APIs have the listen path /same/: at its start Tyk renames all of them",
			"GET h /same/-e/x": "http://e/same/-e/x",
		}},
		{"OpenAPI form", []string{strictGateway, `{"openapi": "3.0.3", "info": {"title": "x", "version": "1"}, "paths": {"/items/{id}": {"get": {"operationId": "getItem"}, "put": {"operationId": "putItem"}}, "/mock": {"get": {"operationId": "mock"}}},
			"x-tyk-api-gateway": {"info": {"id": "o", "name": "o", "state": {"active": true}}, "server": {"listenPath": {"value": "/o/", "strip": true}}, "upstream": {"url": "http://unused", "preserveTrailingSlash": {"enabled": true},
			"loadBalancing": {"enabled": true, "targets": [{"url": "http://one/b/", "weight": 3}, {"url": "http://two", "weight": 1}]}},
			"middleware": {"operations": {"getItem": {"allow": {"enabled": true}, "urlRewrite": {"enabled": true, "pattern": "/items/(.*)", "rewriteTo": "/o/things/$1"}}, "putItem": {"ignoreAuthentication": {"enabled": true}, "transformRequestMethod": {"enabled": true, "toMethod": "POST"}}, "mock": {"mockResponse": {"enabled": true, "code": 200}}}}}}`,
		}, map[string]string{
			"GET h /o/items/1": "http://one/b/things/1 x3, http://two/things/1 x1", "PUT h /o/items/1": "http://one/b/items/1 x3, http://two/items/1 x1, without session", "GET h /o/mock": "answered 200 Tyk answers with a mock response",
			"GET h /o/x": "answered 403 no entry of the allow list has the endpoint",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			router := readRouter(t, test.texts...)
			for request, want := range test.want {
				fields := strings.SplitN(request, " ", 4)
				r := tykroute.Request{Method: fields[0], Host: fields[1], Target: fields[2]}
				if len(fields) > 3 {
					name, value, _ := strings.Cut(fields[3], ": ")
					r.Header = http.Header{name: {value}}
				}
				if got := describe(router.Route(r)); got != want {
					t.Errorf("%s:\n got %s\nwant %s", request, got, want)
				}
			}
		})
	}
}
