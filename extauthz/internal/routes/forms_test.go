package routes_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/routes"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

// The same APIs in classic form and in OpenAPI form: a domain and a list, load balancing, and versions of which one is an internal API.
var (
	classicForms = map[string]string{
		"orders": `{"api_id": "orders", "name": "orders", "use_keyless": true, "domain": "shop.example", "proxy": {"listen_path": "/orders", "strip_listen_path": true, "target_url": "http://orders.shop.svc:8080/v1"},
			"version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default", "use_extended_paths": true, "extended_paths": {"black_list": [{"path": "/admin", "method": "GET"}]}}}}}`,
		"balanced": `{"api_id": "balanced", "name": "balanced", "use_keyless": true, "proxy": {"listen_path": "/balanced/", "target_url": "http://unused", "preserve_host_header": true, "enable_load_balancing": true,
			"target_list": ["http://orders.shop.svc:8080", "http://reports.shop.svc:8080", "http://orders.shop.svc:8080"]}, ` + versionData + `}`,
		"versioned": `{"api_id": "versioned", "name": "versioned", "use_keyless": true, "proxy": {"listen_path": "/versioned/", "strip_listen_path": true, "target_url": "http://orders.shop.svc:8080"},
			"definition": {"enabled": true, "name": "v1", "default": "self", "location": "header", "key": "X-Version", "versions": {"v2": "second"}}, ` + versionData + `}`,
		"second": `{"api_id": "second", "name": "second", "use_keyless": true, "internal": true, "proxy": {"listen_path": "/second/", "strip_listen_path": true, "target_url": "http://reports.shop.svc:8080/v2"}, ` + versionData + `}`,
	}
	openForms = map[string]string{
		"orders": openForm("orders", `"state": {"active": true}`, `"url": "http://orders.shop.svc:8080/v1"`, `"listenPath": {"value": "/orders", "strip": true}, "customDomain": {"enabled": true, "name": "shop.example"}`),
		"balanced": openForm("balanced", `"state": {"active": true}`, `"url": "http://unused", "preserveHostHeader": {"enabled": true}, "loadBalancing": {"enabled": true,
			"targets": [{"url": "http://orders.shop.svc:8080", "weight": 2}, {"url": "http://reports.shop.svc:8080", "weight": 1}]}`, `"listenPath": {"value": "/balanced/"}`),
		"versioned": openForm("versioned", `"state": {"active": true}, "versioning": {"enabled": true, "name": "v1", "default": "self", "location": "header", "key": "X-Version", "versions": [{"name": "v2", "id": "second"}]}`,
			`"url": "http://orders.shop.svc:8080"`, `"listenPath": {"value": "/versioned/", "strip": true}`),
		"second": openForm("second", `"state": {"active": true, "internal": true}`, `"url": "http://reports.shop.svc:8080/v2"`, `"listenPath": {"value": "/second/", "strip": true}`),
	}
)

func openForm(id, info, upstream, server string) string {
	paths, middleware := "{}", ""
	if id == "orders" {
		paths, middleware = `{"/admin": {"get": {"operationId": "admin"}}}`, `, "middleware": {"operations": {"admin": {"block": {"enabled": true}}}}`
	}
	return fmt.Sprintf(`{"openapi": "3.0.3", "info": {"title": %[1]q, "version": "1"}, "paths": %[2]s, "x-tyk-api-gateway": {"info": {"id": %[1]q, "name": %[1]q, %[3]s}, "upstream": {%[4]s}, "server": {%[5]s}%[6]s}}`,
		id, paths, info, upstream, server, middleware)
}

var formNames = []string{"balanced", "orders", "second", "versioned"}

// operatorObject is an ApiDefinition: Operator gives it an id of its own, by which versions name it.
func operatorObject(name string) string {
	spec := strings.Replace(classicForms[name], fmt.Sprintf(`"api_id": %q, `, name), "", 1)
	spec = strings.Replace(spec, `"v2": "second"`, fmt.Sprintf(`"v2": %q`, base64.RawURLEncoding.EncodeToString([]byte("edge/second"))), 1)
	return fmt.Sprintf("apiVersion: tyk.tyk.io/v1alpha1\nkind: ApiDefinition\nmetadata: {name: %s, namespace: edge}\nspec: %s\n", name, strings.Join(strings.Fields(spec), " "))
}

// operatorOpenObject is a TykOasApiDefinition with its ConfigMap.
func operatorOpenObject(name string) string {
	return fmt.Sprintf("apiVersion: tyk.tyk.io/v1alpha1\nkind: TykOasApiDefinition\nmetadata: {name: %[1]s, namespace: edge}\nspec: {tykOAS: {configmapRef: {name: oas-%[1]s, keyName: api.json}}}\n---\n"+
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: oas-%[1]s, namespace: edge}\ndata: {api.json: '%[2]s'}\n", name, strings.Join(strings.Fields(openForms[name]), " "))
}

// The same switches in all places of a gateway.
var gatewayForms = map[string]string{
	"tyk.conf": `{"listen_port": 8080, "secret": "x", "control_api_port": 8081, "enable_custom_domains": true,
		"http_server_options": {"enable_strict_routes": true, "enable_path_prefix_matching": true, "enable_path_suffix_matching": true}}`,
	"Helm values": `gateway:
  enableStrictRoutes: true
  enablePathPrefixMatching: true
  enablePathSuffixMatching: true
  enableCustomDomains: true
  extraEnvs: [{name: TYK_GW_LISTENPORT, value: "8080"}, {name: TYK_GW_CONTROLAPIPORT, value: "8081"}]
`,
	"Helm values of a chart around it": `tyk-gateway:
  gateway:
    enableCustomDomains: true
    extraEnvs:
      - {name: TYK_GW_LISTENPORT, value: "8080"}
      - {name: TYK_GW_CONTROLAPIPORT, value: "8081"}
      - {name: TYK_GW_HTTPSERVEROPTIONS_ENABLESTRICTROUTES, value: "true"}
      - {name: TYK_GW_HTTPSERVEROPTIONS_ENABLEPATHPREFIXMATCHING, value: "true"}
      - {name: TYK_GW_HTTPSERVEROPTIONS_ENABLEPATHSUFFIXMATCHING, value: "true"}
`,
	"a Deployment": `apiVersion: apps/v1
kind: Deployment
metadata: {name: tyk-gateway, namespace: edge}
spec:
  selector: {matchLabels: {app: tyk-gateway}}
  template:
    metadata: {labels: {app: tyk-gateway}}
    spec:
      containers:
        - name: gateway
          image: docker.tyk.io/tyk-gateway/tyk-gateway:v5.8.1
          env:
            - {name: TYK_GW_LISTENPORT, value: "8080"}
            - {name: TYK_GW_CONTROLAPIPORT, value: "8081"}
            - {name: TYK_GW_ENABLECUSTOMDOMAINS, value: "true"}
            - {name: TYK_GW_HTTPSERVEROPTIONS_ENABLESTRICTROUTES, value: "true"}
            - {name: TYK_GW_HTTPSERVEROPTIONS_ENABLEPATHPREFIXMATCHING, value: "true"}
            - {name: TYK_GW_HTTPSERVEROPTIONS_ENABLEPATHSUFFIXMATCHING, value: "true"}
`,
}

var strictRoutes = regexp.MustCompile(`(?i)(enable_?strict_?routes("?:|, value:) "?)true`)

// describeForm renders both kinds, and explains requests, for one form of the definitions and of the gateway.
func describeForm(t *testing.T, gateway string, definitions []string) string {
	t.Helper()
	var b strings.Builder
	texts := append([]string{gateway, workloads}, definitions...)
	for _, kind := range []routes.Kind{routes.HTTPRoute, routes.VirtualService} {
		rendered := routes.Render(readModel(t, texts...), routes.Options{Kind: kind, GatewayNamespace: "edge", GatewayName: "public", Namespace: "edge"}, ignoreProgress)
		if len(rendered.Unchecked) > 0 {
			t.Fatalf("%+v", rendered.Unchecked)
		}
		slices.SortFunc(rendered.APIs, func(a, b routes.APIState) int { return strings.Compare(a.API, b.API) })
		for _, a := range rendered.APIs {
			fmt.Fprintf(&b, "%s %s %s %q\n", a.API, a.State, a.Reason, a.Notes)
		}
		if err := rendered.Print(&b); err != nil {
			t.Fatal(err)
		}
	}
	var requests []tykroute.Request
	for _, target := range []string{"/orders", "/orders/7", "/ordersx", "/orders/admin", "/balanced/1", "/versioned/1", "/second/1"} {
		for _, version := range []string{"", "v2"} {
			requests = append(requests, tykroute.Request{Method: http.MethodGet, Host: "shop.example", Target: target, Header: http.Header{"X-Version": {version}}})
		}
	}
	for _, e := range routes.Explain(readModel(t, texts...), requests).Requests {
		fmt.Fprintf(&b, "%s %s %s %d %q %+v\n", e.Target, e.Outcome, e.API, e.Status, e.Reason, e.Upstreams)
	}
	return b.String()
}

// Routes are the same for each form of the definitions and of the gateway's settings.
func TestFormsOfOneInstallation(t *testing.T) {
	forms := map[string][]string{"classic": nil, "ApiDefinition": nil, "OpenAPI": nil, "TykOasApiDefinition": nil}
	for _, name := range formNames {
		forms["classic"] = append(forms["classic"], classicForms[name])
		forms["ApiDefinition"] = append(forms["ApiDefinition"], operatorObject(name))
		forms["OpenAPI"] = append(forms["OpenAPI"], openForms[name])
		forms["TykOasApiDefinition"] = append(forms["TykOasApiDefinition"], operatorOpenObject(name))
	}
	want := describeForm(t, gatewayForms["tyk.conf"], forms["classic"])
	for _, part := range []string{
		"hostnames:\n    - shop.example", "weight: 2", "X-Version", "host: reports.shop.svc.cluster.local", "uri: /v2/", "orders mapped", "second not served it is internal",
		`/ordersx answered orders 404 "with enable_strict_routes`, `/orders/admin answered orders 403 "the endpoint is blocked"`,
	} {
		if !strings.Contains(want, part) {
			t.Errorf("%q is not in\n%s", part, want)
		}
	}
	for gateway, conf := range gatewayForms {
		for form, definitions := range forms {
			if got := describeForm(t, conf, definitions); got != want {
				t.Errorf("%s, %s:\ngot\n%s\nwant\n%s", gateway, form, got, want)
			}
		}
		other := strictRoutes.ReplaceAllString(conf, "${1}false")
		if got := describeForm(t, other, forms["ApiDefinition"]); other == conf || !strings.Contains(got, "orders refused Tyk also takes /ordersx") {
			t.Errorf("%s without strict routes:\n%s", gateway, got)
		}
	}
}
