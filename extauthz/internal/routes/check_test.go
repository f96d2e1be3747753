package routes_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/routes"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

func readModel(t *testing.T, texts ...string) *model.Model {
	t.Helper()
	reader := objects.NewReader()
	for i, text := range texts {
		reader.ReadText(fmt.Sprintf("%d.yaml", i), []byte(text))
	}
	return model.New(reader.Set)
}

func ignoreProgress(string, ...any) {}

const conf = `{"listen_port": 8080, "secret": "x", "app_path": "apps", "control_api_port": 8081}`

const versionData = `"version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default", "use_extended_paths": true}}}`

const ordersAPI = `{"api_id": "orders", "name": "orders", "use_keyless": true, "proxy": {"listen_path": "/orders/", "strip_listen_path": true, "target_url": "http://orders.shop.svc:8080/v1"}, ` + versionData + `}`

const reportsAPI = `{"api_id": "reports", "name": "reports", "use_keyless": true, "proxy": {"listen_path": "/reports/", "target_url": "http://reports.shop.svc:8080"}, ` + versionData + `}`

// workloads are orders and reports, with their Services.
var workloads = strings.Join([]string{workload("orders"), workload("reports")}, "---\n")

func workload(name string) string {
	return strings.ReplaceAll(`apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: shop}
spec: {selector: {app: NAME}, ports: [{name: http, port: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: shop}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {serviceAccountName: NAME, containers: [{name: NAME, image: NAME}]}
`, "NAME", name)
}

// publicGateway is a Gateway of the namespace edge with one listener.
func publicGateway(name, members string) string {
	return "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: " + name + ", namespace: edge}\nspec: {gatewayClassName: istio, listeners: [{name: http, " + members + "port: 80, protocol: HTTP}]}\n"
}

func document(name, paths string) string {
	return fmt.Sprintf(`apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: %[1]s}
spec:
  targets: {workloads: [ns/shop/sa/%[1]s]}
  rules:
    - {name: read, effect: allow, to: {methods: [GET], paths: [%[2]s]}}
`, name, paths)
}

const httpRoutes = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: orders, namespace: edge}
spec:
  parentRefs: [{name: public}]
  rules:
    - matches: [{path: {type: PathPrefix, value: /orders}}]
      filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /v1}}}]
      backendRefs: [{name: orders, namespace: shop, port: 8080}]
    - matches: [{path: {type: Exact, value: /orders}}]
    - matches: [{path: {type: Exact, value: /orders/}}]
      filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /v1}}}]
      backendRefs: [{name: orders, namespace: shop, port: 8080}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reports, namespace: edge}
spec:
  parentRefs: [{name: public}]
  rules:
    - matches: [{path: {type: PathPrefix, value: /reports}}]
      backendRefs: [{name: reports, namespace: shop, port: 8080}]
    - matches: [{path: {type: Exact, value: /reports}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: edge, namespace: shop}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: edge}], to: [{group: "", kind: Service}]}
`

const virtualService = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all, namespace: edge}
spec:
  hosts: ["*"]
  gateways: [public]
  http:
    - match: [{uri: {exact: /orders/}}]
      rewrite: {uri: /v1}
      route: [{destination: {host: orders.shop.svc.cluster.local, port: {number: 8080}}}]
    - match: [{uri: {prefix: /orders/}}]
      rewrite: {uri: /v1/}
      route: [{destination: {host: orders.shop.svc.cluster.local, port: {number: 8080}}}]
    - match: [{uri: {prefix: /reports/}}]
      route: [{destination: {host: reports.shop.svc.cluster.local}}]
`

// parts is a complete installation.
func parts(existing string) map[string]string {
	return map[string]string{
		"conf": conf, "orders": ordersAPI, "reports": reportsAPI, "routes": existing, "workloads": workloads,
		"orders document": document("orders", "/v1/**"), "reports document": document("reports", "/reports/**"),
	}
}

func checkParts(t *testing.T, all map[string]string) routes.Report {
	t.Helper()
	var texts []string
	for _, name := range []string{"conf", "orders", "reports", "routes", "workloads", "orders document", "reports document", "more"} {
		if all[name] != "" {
			texts = append(texts, all[name])
		}
	}
	return routes.Check(readModel(t, texts...), ignoreProgress)
}

func TestCheckWithoutHoles(t *testing.T) {
	for name, existing := range map[string]string{"HTTPRoute": httpRoutes, "VirtualService": virtualService} {
		report := checkParts(t, parts(existing))
		if !report.Passes() || len(report.Unchecked) > 0 || len(report.Notes) > 0 {
			t.Errorf("%s: %+v %+v %q", name, report.Holes, report.Unchecked, report.Notes)
		}
		want := routes.Coverage{
			API: "orders", Listens: "*/orders/", Routes: []string{name + " edge/orders"}, Upstreams: []string{"orders.shop.svc.cluster.local:8080"},
			Workloads: []string{"Deployment shop/orders"}, Documents: []string{"orders"}, Rules: []string{"orders: read"},
		}
		if name == "VirtualService" {
			want.Routes = []string{"VirtualService edge/all"}
		}
		at := slices.IndexFunc(report.Coverage, func(c routes.Coverage) bool { return c.API == "orders" })
		if got := report.Coverage[at]; jsonOf(t, got) != jsonOf(t, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}
}

func jsonOf(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Each fault is one change of a complete installation.
func TestCheckFindsOneFault(t *testing.T) {
	const none = ""
	for _, test := range []struct {
		name, existing, part, before, after string
		want                                []routes.Code
		message                             string // of the first hole, or of what is not checked
	}{
		{"no route for an API", httpRoutes, "routes", "value: /reports}}]\n      backendRefs", "value: /other}}]\n      backendRefs", []routes.Code{routes.APIWithoutRoute, routes.RouteWithoutAPI}, "no route takes GET"},
		{"a route is removed", virtualService, "routes", "    - match: [{uri: {prefix: /reports/}}]\n      route: [{destination: {host: reports.shop.svc.cluster.local}}]\n", none, []routes.Code{routes.APIWithoutRoute}, "API reports"},
		{"an API is removed", httpRoutes, "reports", reportsAPI, none, []routes.Code{routes.RouteWithoutAPI}, "no API has this host and path"},
		{"another upstream", httpRoutes, "routes", "value: /reports}}]\n      backendRefs: [{name: reports", "value: /reports}}]\n      backendRefs: [{name: orders", []routes.Code{routes.RouteDiffers}, "orders.shop.svc.cluster.local:8080, and Tyk to reports.shop.svc.cluster.local:8080"},
		{"another port", virtualService, "routes", "uri: /v1/}\n      route: [{destination: {host: orders.shop.svc.cluster.local, port: {number: 8080}}}]", "uri: /v1/}\n      route: [{destination: {host: orders.shop.svc.cluster.local, port: {number: 9090}}}]", []routes.Code{routes.RouteDiffers}, "9090"},
		{"another path", virtualService, "routes", "rewrite: {uri: /v1/}", "rewrite: {uri: /v2/}", []routes.Code{routes.RouteDiffers}, "the path /v2/probe"},
		{"no rewrite", httpRoutes, "routes", "      filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /v1}}}]\n", none, []routes.Code{routes.RouteDiffers}, "the path /orders/probe"},
		{"the target moved", httpRoutes, "orders", "8080/v1", "8080/v2", []routes.Code{routes.PathWithoutRule, routes.RouteDiffers}, ""},
		{"a wider route", httpRoutes, "routes", "    - matches: [{path: {type: Exact, value: /reports}}]\n", none, []routes.Code{routes.RouteWithoutAPI}, "GET /reports:"},
		{"a text prefix", virtualService, "routes", "prefix: /reports/", "prefix: /reports", []routes.Code{routes.RouteWithoutAPI}, "/reports"},
		{"a method", httpRoutes, "routes", "value: /reports}}]\n      backendRefs", "value: /reports}, method: POST}]\n      backendRefs", []routes.Code{routes.APIWithoutRoute}, "API reports"},
		{"a header", virtualService, "routes", "{uri: {prefix: /reports/}}", "{uri: {prefix: /reports/}, headers: {x-team: {exact: a}}}", []routes.Code{routes.APIWithoutRoute}, "API reports"},
		{"another host", httpRoutes, "routes", "metadata: {name: reports, namespace: edge}\nspec:", "metadata: {name: reports, namespace: edge}\nspec:\n  hostnames: [reports.example]", []routes.Code{routes.APIWithoutRoute}, "API reports"},
		{"weights", virtualService, "routes", "route: [{destination: {host: reports.shop.svc.cluster.local}}]", "route: [{destination: {host: reports.shop.svc.cluster.local}, weight: 90}, {destination: {host: orders.shop.svc.cluster.local}, weight: 10}]", []routes.Code{routes.RouteDiffers}, "(weight 10)"},
		{"a workload without a document", httpRoutes, "reports document", "ns/shop/sa/reports", "ns/shop/sa/archive", []routes.Code{routes.DocumentWithoutRoute, routes.WorkloadWithoutDocument}, ""},
		{"a path that no rule allows", httpRoutes, "reports document", "/reports/**", "/archive/**", []routes.Code{routes.PathWithoutRule}, "no rule of reports allows /reports/, or another"},
		{"a document more", httpRoutes, "more", none, document("archive", "/**"), []routes.Code{routes.DocumentWithoutRoute}, "the document archive"},
		{"a Service without workload", httpRoutes, "workloads", "spec: {selector: {app: reports}", "spec: {selector: {app: old}", []routes.Code{routes.DocumentWithoutRoute, routes.UpstreamWithoutWorkload}, ""},
		{"an unknown Service", httpRoutes, "reports", "reports.shop.svc", "report.shop.svc", []routes.Code{routes.RouteDiffers, routes.UpstreamUnknown}, ""},
		{"a port that the Service lacks", httpRoutes, "reports", "reports.shop.svc:8080", "reports.shop.svc:80", []routes.Code{routes.RouteDiffers, routes.UpstreamUnknown}, ""},
		{"an internal API", httpRoutes, "reports", `"use_keyless"`, `"internal": true, "use_keyless"`, []routes.Code{routes.RouteWithoutAPI}, ""},
		{"a longer listen path", httpRoutes, "more", none, strings.NewReplacer(`"reports"`, `"inner"`, "/reports/", "/orders/inner/").Replace(reportsAPI), []routes.Code{routes.PathWithoutRule, routes.RouteDiffers}, "API inner"},
		{"no grant", httpRoutes, "routes", "namespace: edge}], to:", "namespace: other}], to:", []routes.Code{routes.RouteDiffers}, "no ReferenceGrant of the namespace shop admits that to HTTPRoutes of edge"},
		{"a grant for another Service", httpRoutes, "routes", `kind: Service}]}`, `kind: Service, name: orders}]}`, []routes.Code{routes.RouteDiffers}, "sends it to reports.shop.svc.cluster.local:8080, and no ReferenceGrant"},
		{"another Gateway", httpRoutes, "more", none, publicGateway("other", ""), []routes.Code{routes.APIWithoutRoute, routes.RouteWithoutListener}, "the Gateway edge/public is not in the input"},
		{"a listener for another host", httpRoutes, "more", none, publicGateway("public", "hostname: shop.example, "), []routes.Code{routes.APIWithoutRoute}, "no route takes GET"},
		{"a listener for another namespace", httpRoutes, "more", none, strings.Replace(publicGateway("public", ""), "namespace: edge", "namespace: other", 1), []routes.Code{routes.APIWithoutRoute, routes.RouteWithoutListener}, "edge/public is not in the input"},
		{"Istio's Gateway for another host", virtualService, "more", none, "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: public, namespace: edge}\nspec: {selector: {app: x}, servers: [{hosts: [shop.example], port: {name: http, number: 80, protocol: HTTP}}]}\n", []routes.Code{routes.APIWithoutRoute}, "no route takes GET"},
		{"a version that the route does not ask for", virtualService, "reports", `"use_keyless": true`, `"definition": {"enabled": true, "name": "v1", "location": "header", "key": "X-V", "versions": {"v2": "orders"}}, "use_keyless": true`, []routes.Code{routes.RouteDiffers}, "and Tyk answers 403: the request has no version, and there is no default"},
		{"a rewrite of a pattern", virtualService, "routes", "{uri: {prefix: /reports/}}]\n", "{uri: {regex: /reports/.*}}]\n      rewrite: {uri: /reports/}\n", []routes.Code{routes.RouteDiffers}, "the path /reports/, and Tyk to /reports/probe"},
		{"a mesh route to another workload", httpRoutes, "more", none, "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: inner, namespace: shop}\nspec:\n  hosts: [reports]\n  http: [{route: [{destination: {host: orders}}]}]\n", []routes.Code{routes.PathWithoutRule}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := parts(test.existing)
			if test.before == none {
				all[test.part] = test.after
			} else {
				if strings.Count(all[test.part], test.before) != 1 {
					t.Fatalf("%q is there %d times", test.before, strings.Count(all[test.part], test.before))
				}
				all[test.part] = strings.Replace(all[test.part], test.before, test.after, 1)
			}
			report := checkParts(t, all)
			var got []routes.Code
			var messages []string
			for _, h := range report.Holes {
				got, messages = append(got, h.Code), append(messages, h.Message+" "+h.API)
				if h.Source == "" || h.Line == 0 {
					t.Errorf("no place: %+v", h)
				}
			}
			slices.Sort(got)
			got = slices.Compact(got)
			if !slices.Equal(got, test.want) || len(report.Unchecked) > 0 {
				t.Errorf("got %q, want %q\n%s\n%+v", got, test.want, strings.Join(messages, "\n"), report.Unchecked)
			}
			if !strings.Contains(strings.Join(messages, "\n"), test.message) {
				t.Errorf("no message has %q:\n%s", test.message, strings.Join(messages, "\n"))
			}
		})
	}
}

// What cannot be compared is named.
func TestCheckNamesWhatItCannotCompare(t *testing.T) {
	for name, change := range map[string][4]string{
		"a broken pattern of a route":    {"routes", "{prefix: /reports/}", "{regex: '/reports/['}", "the pattern \"/reports/[\" is no regular expression"},
		"a broken pattern of an API":     {"reports", `"use_extended_paths": true`, `"use_extended_paths": true, "extended_paths": {"black_list": [{"path": "/x["}]}`, `API reports: the pattern "/x[" is no regular expression`},
		"service discovery":              {"reports", `"listen_path"`, `"service_discovery": {"use_discovery_service": true}, "listen_path"`, "API reports: the upstream is not known"},
		"a capture group":                {"reports", "/reports/", "/{a:(x|y)}/", "write (?:a|b) for (a|b)"},
		"an id that is there twice":      {"reports", `"api_id": "reports"`, `"api_id": "orders"`, "another definition has this id"},
		"an injected fault":              {"routes", "    - match: [{uri: {prefix: /reports/}}]\n", "    - fault: {abort: {httpStatus: 500, percentage: {value: 100}}}\n      match: [{uri: {prefix: /reports/}}]\n", "a fault that is injected is not compared"},
		"a delegate":                     {"routes", "    - match: [{uri: {prefix: /reports/}}]\n", "    - delegate: {name: other}\n      match: [{uri: {prefix: /x/}}]\n    - match: [{uri: {prefix: /reports/}}]\n", "delegates to another VirtualService"},
		"a condition that is not known":  {"routes", "{uri: {prefix: /reports/}}", "{uri: {prefix: /reports/}, port: 80}", "the condition port is not compared"},
		"an unknown kind":                {"more", "", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRout\nmetadata: {name: x, namespace: edge}\n", "unknown kind HTTPRout"},
		"an unknown version":             {"more", "", "apiVersion: gateway.networking.k8s.io/v7\nkind: HTTPRoute\nmetadata: {name: x, namespace: edge}\n", `HTTPRoute has no version "v7"`},
		"a target that is no URL":        {"reports", "http://reports.shop.svc:8080", "http://a b", "its target is no URL"},
		"an API without a listen path":   {"reports", `"listen_path": "/reports/"`, `"listen_path": ""`, "it has no listen path"},
		"a listen path that has no end":  {"reports", `"listen_path": "/reports/"`, `"listen_path": "/{a/"`, "its listen path cannot be routed"},
		"a protocol that does not exist": {"reports", `"use_keyless"`, `"protocol": "gopher", "use_keyless"`, `Tyk knows no protocol "gopher"`},
		"broken JSON":                    {"reports", `"use_keyless": true`, `"use_keyless": `, ""},
	} {
		t.Run(name, func(t *testing.T) {
			all := parts(virtualService)
			if change[1] == "" {
				all[change[0]] = change[2]
			} else {
				all[change[0]] = strings.Replace(all[change[0]], change[1], change[2], 1)
			}
			report := checkParts(t, all)
			found := false
			for _, u := range report.Unchecked {
				found = found || strings.Contains(u.Reason, change[3]) && u.Source != "" && u.Line > 0
			}
			if !found {
				t.Errorf("%q is not named: %+v", change[3], report.Unchecked)
			}
		})
	}
}

// What render writes is what check wants.
func TestRenderedRoutesHaveNoHoles(t *testing.T) {
	for _, kind := range []routes.Kind{routes.HTTPRoute, routes.VirtualService} {
		rendered := routes.Render(readModel(t, conf, ordersAPI, reportsAPI, workloads), routes.Options{Kind: kind, GatewayNamespace: "edge", GatewayName: "public", Namespace: "edge"}, ignoreProgress)
		if !rendered.IsComplete() || len(rendered.Unchecked) > 0 {
			t.Fatalf("%+v", rendered)
		}
		var text strings.Builder
		if err := rendered.Print(&text); err != nil {
			t.Fatal(err)
		}
		if report := checkParts(t, parts(text.String())); !report.Passes() || len(report.Unchecked) > 0 {
			t.Errorf("%s: %+v %+v\n%s", kind, report.Holes, report.Unchecked, text.String())
		}
	}
}

// TestRefusals: an API that no route can reproduce is refused with the reason.
func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		change [2]string
		kind   routes.Kind
		reason string
	}{
		"service discovery":      {[2]string{`"listen_path"`, `"service_discovery": {"use_discovery_service": true}, "listen_path"`}, routes.VirtualService, "service discovery finds its hosts"},
		"a value of a store":     {[2]string{"http://orders.shop.svc:8080/v1", "vault://orders"}, routes.VirtualService, "its target is a value that the input does not have"},
		"https":                  {[2]string{"http://orders", "https://orders"}, routes.VirtualService, `its target has the scheme "https"`},
		"an address":             {[2]string{"orders.shop.svc:8080", "10.0.0.7:8080"}, routes.VirtualService, "its target is the address 10.0.0.7"},
		"an unknown host":        {[2]string{"orders.shop.svc", "order.shop.svc"}, routes.VirtualService, "its target order.shop.svc.cluster.local is no Service"},
		"a query":                {[2]string{"8080/v1", "8080/v1?k=1"}, routes.VirtualService, "its target has a query"},
		"a port of its own":      {[2]string{`"use_keyless"`, `"listen_port": 9000, "use_keyless"`}, routes.VirtualService, "it listens on a port of its own, 9000"},
		"different paths":        {[2]string{`"target_url"`, `"enable_load_balancing": true, "target_list": ["orders.shop.svc:8080/a", "reports.shop.svc:8080/b"], "target_url"`}, routes.VirtualService, `its targets have different paths, "/a" and "/b"`},
		"an escaped listen path": {[2]string{"/orders/", "/órders/"}, routes.VirtualService, "characters that a URL can escape"},
		"a rewrite":              {[2]string{`"use_extended_paths": true`, `"use_extended_paths": true, "extended_paths": {"url_rewrites": [{"path": "/a", "method": "GET", "match_pattern": "a", "rewrite_to": "/b"}]}`}, routes.VirtualService, "a URL rewrite changes /a: Tyk compares and replaces the path together with the query"},
		"a mock response":        {[2]string{`"use_extended_paths": true`, `"use_extended_paths": true, "extended_paths": {"mock_response": [{"path": "/a", "method": "GET"}]}`}, routes.VirtualService, "Tyk answers /a with a mock response"},
		"a text prefix":          {[2]string{"/orders/", "/orders"}, routes.HTTPRoute, "Tyk also takes /ordersx"},
		"the root with a path":   {[2]string{"/orders/", "/"}, routes.HTTPRoute, "its listen path is /, and its target has the path /v1"},
		"parameters":             {[2]string{"/orders/", "/x/{a}/orders/"}, routes.HTTPRoute, "its listen path has parameters, and its path changes"},
		"a target of its own":    {[2]string{"http://orders.shop.svc:8080/v1", "tyk://orders"}, routes.VirtualService, "its internal targets lead back to itself"},
		"a stored query":         {[2]string{`"use_extended_paths": true`, `"use_extended_paths": true, "extended_paths": {"persist_graphql": [{"path": "/a", "method": "GET", "operation": "{x}"}]}`}, routes.VirtualService, "a stored GraphQL query replaces requests to /a"},
		"an unclean listen path": {[2]string{"/orders/", "/a/../orders/"}, routes.VirtualService, "empty segments, . or .."},
		"a listen path with :":   {[2]string{"/orders/", "/or:ders/"}, routes.VirtualService, "characters that a URL can escape"},
		"a field of Envoy":       {[2]string{`"use_keyless"`, `"definition": {"enabled": true, "name": "v1", "location": "header", "key": "Host", "versions": {"v2": "reports"}}, "use_keyless"`}, routes.VirtualService, `its versions are in the field "Host"`},
		"an escaped version":     {[2]string{`"use_keyless"`, `"definition": {"enabled": true, "name": "v1", "location": "url-param", "key": "v", "versions": {"v 2": "reports"}}, "use_keyless"`}, routes.VirtualService, `its version "v 2" has characters that a query escapes`},
		"a version with a slash": {[2]string{`"use_keyless"`, `"definition": {"enabled": true, "name": "v1", "location": "url", "versions": {"v2/x": "reports"}}, "use_keyless"`}, routes.VirtualService, `its version "v2/x" is no plain segment`},
		"an equal rank":          {[2]string{"/orders/", "/{a}/orders/"}, routes.VirtualService, "API reports has a listen path of the same rank"},
		"a broken pattern":       {[2]string{`"use_extended_paths": true`, `"use_extended_paths": true, "extended_paths": {"white_list": [{"path": "/x["}]}`}, routes.VirtualService, "is no regular expression"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(ordersAPI, test.change[0]) {
				t.Fatalf("%q is not there", test.change[0])
			}
			options := routes.Options{Kind: test.kind, GatewayNamespace: "edge", GatewayName: "public", Namespace: "edge"}
			api := strings.Replace(ordersAPI, test.change[0], test.change[1], 1)
			rendered := routes.Render(readModel(t, conf, api, reportsAPI, workloads), options, ignoreProgress)
			at := slices.IndexFunc(rendered.APIs, func(a routes.APIState) bool { return a.API == "orders" })
			if got := rendered.APIs[at]; got.State != tykroute.Refused || !strings.Contains(got.Reason, test.reason) || got.Line == 0 {
				t.Errorf("got %s %s at %s, want the reason %q", got.State, got.Reason, got.Place, test.reason)
			}
			if rendered.IsComplete() || len(rendered.Objects) > 0 {
				t.Errorf("%d objects in spite of a refusal", len(rendered.Objects))
			}
			options.Partial = true
			rendered = routes.Render(readModel(t, conf, api, reportsAPI, workloads), options, ignoreProgress)
			mapped := slices.ContainsFunc(rendered.APIs, func(a routes.APIState) bool { return a.State == tykroute.Mapped })
			if mapped != (len(rendered.Objects) > 0) {
				t.Errorf("--partial: %d objects, and an API is mapped: %t", len(rendered.Objects), mapped)
			}
		})
	}
}

func render(t *testing.T, options routes.Options, texts ...string) (rendered routes.Rendered, text string) {
	t.Helper()
	options.GatewayNamespace, options.GatewayName, options.Namespace = "edge", "public", "edge"
	rendered = routes.Render(readModel(t, texts...), options, ignoreProgress)
	var b strings.Builder
	if err := rendered.Print(&b); err != nil {
		t.Fatal(err)
	}
	return rendered, b.String()
}

// stateOf is the state of an API with its reason.
func stateOf(r routes.Rendered, api string) string {
	for _, a := range r.APIs {
		if a.API == api {
			return strings.TrimSuffix(string(a.State)+": "+a.Reason, ": ")
		}
	}
	return ""
}

// A domain that a route would read in another way than Tyk is refused.
func TestDomainsThatRoutesCannotHave(t *testing.T) {
	for domain, want := range map[string]string{
		"shop.example": "mapped", "*.example": "has a *", "localhost": "no name with two labels or more", "a_b.example": "no name", "10.0.0.1": "no name", "shop.example.": "no name",
		"shop.example/x": "no name", "bücher.example": "no name", strings.Repeat("a", 64) + ".example": "no name", "Shop.example": "capitals", "shop.example:80": "port", "{x}.example": "parameters",
	} {
		api := strings.Replace(ordersAPI, `"use_keyless"`, `"domain": "`+domain+`", "use_keyless"`, 1)
		for _, kind := range []routes.Kind{routes.HTTPRoute, routes.VirtualService} {
			rendered, _ := render(t, routes.Options{Kind: kind}, strings.Replace(conf, "{", `{"enable_custom_domains": true, `, 1), api, workloads)
			if got := stateOf(rendered, "orders"); !strings.Contains(got, want) || (want == "mapped") != (len(rendered.Objects) > 0) {
				t.Errorf("%s: %s: %s, want %s", kind, domain, got, want)
			}
		}
	}
}

// An HTTPRoute has at most 16 destinations in a rule.
func TestManyTargets(t *testing.T) {
	for number, want := range map[int]string{16: "mapped", 17: "refused: it has 17 targets, and a rule of an HTTPRoute at most 16: render a VirtualService"} {
		var names []string
		for i := range number {
			names = append(names, fmt.Sprintf(`"h%d.example"`, i))
		}
		api := strings.Replace(ordersAPI, `"target_url"`, `"enable_load_balancing": true, "target_list": [`+strings.Join(names, ", ")+`], "target_url"`, 1)
		rendered, _ := render(t, routes.Options{Kind: routes.HTTPRoute}, conf, api)
		if got := stateOf(rendered, "orders"); got != want {
			t.Errorf("%d targets: %s", number, got)
		}
	}
}

// The alias of an API takes the listen path of another one, which no route can have then.
func TestAliasTakesAListenPath(t *testing.T) {
	first := strings.NewReplacer("/orders/", "/a/long/path/", `"api_id": "orders"`, `"api_id": "reports"`, `"name": "orders"`, `"name": "first"`).Replace(ordersAPI)
	second := strings.Replace(reportsAPI, `"api_id": "reports"`, `"api_id": "second"`, 1)
	root := strings.NewReplacer("/reports/", "/", `"reports"`, `"root"`).Replace(reportsAPI)
	for _, kind := range []routes.Kind{routes.HTTPRoute, routes.VirtualService} {
		rendered, _ := render(t, routes.Options{Kind: kind}, conf, first, second, workloads)
		if got := stateOf(rendered, "second"); got != "refused: the alias /reports/ of API reports takes its listen path" {
			t.Errorf("%s: %s", kind, got)
		}
		_, text := render(t, routes.Options{Kind: kind}, conf, first, root, workloads) // no route serves an alias
		find := routes.FindRoute(readModel(t, workloads, text))
		for target, forwards := range map[string]bool{"/reports/x": false, "/a/long/path/x": true, "/other/x": true} {
			if got := find(tykroute.Request{Method: "GET", Host: "any.example", Target: target}); (got != nil) != forwards {
				t.Errorf("%s: %s: %+v", kind, target, got)
			}
		}
	}
}

// A definition that cannot be read may have any listen path, so nothing is written without --partial.
func TestNothingIsWrittenOfAnUnreadableInput(t *testing.T) {
	broken := strings.Replace(reportsAPI, `"use_keyless": true`, `"use_keyless": `, 1)
	rendered, _ := render(t, routes.Options{Kind: routes.VirtualService}, conf, ordersAPI, broken, workloads)
	partial, _ := render(t, routes.Options{Kind: routes.VirtualService, Partial: true}, conf, ordersAPI, broken, workloads)
	if len(rendered.Objects) != 0 || len(rendered.Unchecked) == 0 || len(partial.Objects) != 1 {
		t.Errorf("%d objects, with --partial %d, not checked %+v", len(rendered.Objects), len(partial.Objects), rendered.Unchecked)
	}
}

// Routes of two gateways would take each other's requests.
func TestSeveralGateways(t *testing.T) {
	gateway := func(namespace, api string) string {
		deployment := strings.NewReplacer("metadata: {name: tyk-gateway, namespace: edge}", "metadata: {name: tyk-gateway, namespace: "+namespace+"}").Replace(gatewayForms["a Deployment"])
		return deployment + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: apis, namespace: " + namespace + "}\ndata: {api.json: '" + api + "'}\n"
	}
	rendered, _ := render(t, routes.Options{Kind: routes.VirtualService, Partial: true}, gateway("edge", ordersAPI), gateway("other", reportsAPI), workloads)
	if len(rendered.Objects) != 0 || len(rendered.Unchecked) != 1 || !strings.Contains(rendered.Unchecked[0].Reason, "render the definitions of one gateway at a time") {
		t.Errorf("%d objects, %+v, %+v", len(rendered.Objects), rendered.APIs, rendered.Unchecked)
	}
}

// Existing routes are read as Istio reads them; e2e/routes.TestExistingRoutes has the same rewrites with real Envoys.
func TestRewritesOfExistingRoutes(t *testing.T) {
	httpRoute := `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: slash, namespace: shop}
spec:
  parentRefs: [{name: public}]
  rules: [{matches: [{path: {type: PathPrefix, value: /}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /v1}}}], backendRefs: [{name: orders, port: 8080}]}]
`
	virtual := func(match string) string {
		return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: shop}\nspec: {hosts: ['*'], gateways: [public], http: [{" + match +
			"rewrite: {uri: /b/}, route: [{destination: {host: orders, port: {number: 8080}}}]}]}\n"
	}
	for _, test := range []struct{ existing, target, want string }{
		{httpRoute, "/x/y", "/v1x/y"},
		{virtual("match: [{uri: {regex: /a/.*}}], "), "/a/x/y", "/b/"},
		{virtual(""), "/x/y", "/b/x/y"},
		{virtual("match: [{uri: {prefix: /a/}}], "), "/a/x", "/b/x"},
	} {
		got := routes.FindRoute(readModel(t, workloads, test.existing))(tykroute.Request{Method: "GET", Host: "any.example", Target: test.target})
		if got == nil || got.Path != test.want {
			t.Errorf("%s: %+v, want %s\n%s", test.target, got, test.want, test.existing)
		}
	}
}
