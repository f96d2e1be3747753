package routes_test

import (
	"fmt"
	"strings"
	"testing"
)

// writtenByHand are routes that are easily read in another way than Istio reads them.
var writtenByHand = map[string]string{
	"httproute": httpRoute("slash", "slash.example", "{path: {type: PathPrefix, value: /}}", "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /v1}}", "shop", "orders") +
		httpRoute("ungranted", "ungranted.example", "{path: {type: PathPrefix, value: /}}", "{hostname: orders.example}", "stock", "orders") +
		httpRoute("same", "same.example", "{path: {type: PathPrefix, value: /a}}", "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}", "shop", "orders") +
		httpRoute("label", "localhost", "{path: {type: PathPrefix, value: /}}", "{hostname: orders.example}", "shop", "orders") + `---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: edge, namespace: shop}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: edge}], to: [{group: "", kind: Service}]}
`,
	"virtualservice": virtualService("pattern", "pattern.example", "match: [{uri: {regex: /a/.*}}]", "/b/") +
		virtualService("unconditional", "all.example", "", "/b/") + virtualService("label", "localhost", "match: [{uri: {prefix: /}}]", "/b/"),
}

func httpRoute(name, host, match, rewrite, namespace, service string) string {
	return fmt.Sprintf(`---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s, namespace: edge}
spec:
  parentRefs: [{name: httproute}]
  hostnames: [%s]
  rules: [{matches: [%s], filters: [{type: URLRewrite, urlRewrite: %s}], backendRefs: [{name: %s, namespace: %s, port: 8080}]}]
`, name, host, match, rewrite, service, namespace)
}

func virtualService(name, host, match, uri string) string {
	route := "      rewrite: {uri: " + uri + "}\n      route: [{destination: {host: orders.shop.svc.cluster.local, port: {number: 8080}}}]\n"
	if match != "" {
		route += "      " + match + "\n"
	}
	return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: %s, namespace: edge}\nspec:\n  hosts: [%s]\n  gateways: [edge/virtualservice]\n  http:\n    -%s", name, host, strings.TrimPrefix(route, "     "))
}

// TestExistingRoutes: what `meshpass routes check` assumes of routes that people write is what Envoys do that istiod configures.
func TestExistingRoutes(t *testing.T) {
	r := newRig(t, installation{conf: `{}`, apis: list(classic("orders", `"listen_path": "/orders/", "target_url": "`+orders+`"`, ""))})
	stock := "---\napiVersion: v1\nkind: Service\nmetadata: {name: orders, namespace: stock}\nspec: {clusterIP: 10.9.0.9, ports: [{name: http, port: 8080, protocol: TCP}]}\n---\n" +
		"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: orders, namespace: stock, labels: {kubernetes.io/service-name: orders}}\naddressType: IPv4\n" +
		"endpoints: [{addresses: [" + r.net.Addr(31) + "], conditions: {ready: true}}]\nports: [{name: http, port: 8080, protocol: TCP}]\n"
	written := map[string]string{"httproute": writtenByHand["httproute"] + stock, "virtualservice": writtenByHand["virtualservice"]}
	r.startEnvoys(t, written)
	for _, test := range []struct{ kind, host, target, want string }{
		{"httproute", "slash.example", "/x/y", "/v1x/y"}, // without a slash
		{"httproute", "ungranted.example", "/x", ""},
		{"httproute", "same.example", "/a/x", "/x"},
		{"httproute", "same.example", "/a", "/"},
		{"httproute", "localhost", "/x", "/x"},
		{"virtualservice", "pattern.example", "/a/x/y", "/b/"},
		{"virtualservice", "all.example", "/x/y", "/b/x/y"},
		{"virtualservice", "localhost", "/x", ""}, // istiod adds the namespace to the name
	} {
		got := ""
		for _, a := range r.send(t, r.envoys[test.kind], request{Method: "GET", Host: test.host, Target: test.target}).arrived {
			got += a.path
		}
		if got != test.want {
			t.Errorf("%s: %s%s: the upstream got %q, want %q", test.kind, test.host, test.target, got, test.want)
		}
	}
}
