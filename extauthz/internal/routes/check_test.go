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
		"an escaped listen path": {[2]string{"/orders/", "/órders/"}, routes.VirtualService, "characters that a URL escapes"},
		"a rewrite":              {[2]string{`"use_extended_paths": true`, `"use_extended_paths": true, "extended_paths": {"url_rewrites": [{"path": "/a", "method": "GET", "match_pattern": "a", "rewrite_to": "/b"}]}`}, routes.VirtualService, "a URL rewrite changes /a: Tyk compares and replaces the path together with the query"},
		"a mock response":        {[2]string{`"use_extended_paths": true`, `"use_extended_paths": true, "extended_paths": {"mock_response": [{"path": "/a", "method": "GET"}]}`}, routes.VirtualService, "Tyk answers /a with a mock response"},
		"a text prefix":          {[2]string{"/orders/", "/orders"}, routes.HTTPRoute, "Tyk also takes /ordersx"},
		"the root with a path":   {[2]string{"/orders/", "/"}, routes.HTTPRoute, "its listen path is /, and its target has the path /v1"},
		"parameters":             {[2]string{"/orders/", "/x/{a}/orders/"}, routes.HTTPRoute, "its listen path has parameters, and its path changes"},
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
