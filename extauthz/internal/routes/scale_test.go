package routes_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/extauthz/internal/routes"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

// largeInput has definitions, of which a third has a parameter, with their Services, workloads and documents.
func largeInput(definitions int) []string {
	texts := []string{conf}
	for i := range definitions {
		name := fmt.Sprintf("api-%04d", i)
		listenPath := "/load/" + name + "/"
		if i%3 == 0 {
			listenPath = "/load/{tenant}/" + name + "/"
		}
		api := strings.NewReplacer("orders.shop", name+".shop", `"orders"`, `"`+name+`"`, "/orders/", listenPath).Replace(ordersAPI)
		texts = append(texts, api, workload(name), document(name, "/v1/**"))
	}
	return texts
}

// The comparisons grow with the number of definitions, and not with its square.
func TestCheckOfLargeInput(t *testing.T) {
	compare := func(definitions int) int {
		texts := largeInput(definitions)
		rendered := routes.Render(readModel(t, texts...), routes.Options{Kind: routes.VirtualService, GatewayNamespace: "edge", GatewayName: "public", Namespace: "edge"}, ignoreProgress)
		if !rendered.IsComplete() || len(rendered.APIs) != definitions {
			t.Fatalf("%+v", rendered.APIs)
		}
		var text strings.Builder
		if err := rendered.Print(&text); err != nil {
			t.Fatal(err)
		}
		steps := map[string]int{}
		report := routes.Check(readModel(t, append(texts, text.String())...), func(format string, args ...any) {
			if done, all := args[0].(int), args[1].(int); done != steps[format] || done >= all {
				t.Errorf(format+" after %d", done, all, steps[format])
			}
			steps[format]++
		})
		if !report.Passes() || len(report.Unchecked) > 0 || len(report.Coverage) != definitions || len(steps) != 3 {
			t.Errorf("%+v %+v, progress %v", report.Holes, report.Unchecked, steps)
		}
		return report.Compared()
	}
	few, many := compare(20), compare(160)
	if few == 0 || many > 9*few {
		t.Errorf("%d comparisons for 20 definitions, and %d for 160", few, many)
	}
}

// domainInput has APIs with domains, and others for every host, with their Services, workloads and documents.
func domainInput(domains, shared int) []string {
	texts := []string{strings.Replace(conf, "{", `{"enable_custom_domains": true, `, 1)}
	for i := range domains + shared {
		name, listenPath, domain := fmt.Sprintf("api-%04d", i), fmt.Sprintf("/api-%04d/", i), ""
		if i < domains {
			listenPath, domain = "/shop/", fmt.Sprintf(`"domain": "d%04d.example.com", `, i)
		}
		api := strings.NewReplacer("orders.shop", name+".shop", `"orders"`, `"`+name+`"`, "/orders/", listenPath, `"use_keyless"`, domain+`"use_keyless"`).Replace(ordersAPI)
		texts = append(texts, api, workload(name), document(name, "/v1/**"))
	}
	return texts
}

func renderAll(t *testing.T, texts []string) (rendered routes.Rendered, text string) {
	t.Helper()
	rendered = routes.Render(readModel(t, texts...), routes.Options{Kind: routes.VirtualService, GatewayNamespace: "edge", GatewayName: "public", Namespace: "edge"}, ignoreProgress)
	if !rendered.IsComplete() {
		t.Fatalf("%+v", rendered.APIs)
	}
	var b strings.Builder
	if err := rendered.Print(&b); err != nil {
		t.Fatal(err)
	}
	return rendered, b.String()
}

// Each domain has the APIs for every host too. What is compared grows with the number of domains, and not with its product with that of these
// APIs: their routes are compared once, and at hosts that have routes.
func TestCheckOfManyDomains(t *testing.T) {
	const shared = 10
	all, ofAll := renderAll(t, domainInput(0, shared))
	if len(all.Objects) != 1 {
		t.Fatalf("%d objects", len(all.Objects))
	}
	route := func(i int) string {
		return fmt.Sprintf(`---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: d%04[1]d, namespace: edge}
spec:
  hosts: [d%04[1]d.example.com]
  gateways: [edge/public]
  http:
    - {match: [{uri: {exact: /shop/}}], rewrite: {uri: /v1}, route: [{destination: {host: api-%04[1]d.shop.svc.cluster.local, port: {number: 8080}}}]}
    - {match: [{uri: {prefix: /shop/}}], rewrite: {uri: /v1/}, route: [{destination: {host: api-%04[1]d.shop.svc.cluster.local, port: {number: 8080}}}]}
`, i)
	}
	check := func(domains int, withRoutes bool) (asked, compared int, report routes.Report) {
		texts := append(domainInput(domains, shared), strings.ReplaceAll(ofAll, "api-000", fmt.Sprintf("api-%03d", domains/10)))
		for i := range domains {
			if withRoutes {
				texts = append(texts, route(i))
			}
		}
		report = routes.Check(readModel(t, texts...), func(string, ...any) { asked++ })
		return asked, report.Compared(), report
	}
	// With routes for all hosts alone, the APIs with domains have none.
	few, _, _ := check(20, false)
	many, _, report := check(160, false)
	if missing := countHoles(report, routes.APIWithoutRoute); missing != 160 || len(report.Holes) != 160 || many > 9*few {
		t.Errorf("%d holes, %d without a route, %d steps for 20 domains and %d for 160", len(report.Holes), missing, few, many)
	}
	// With routes of their own, the hosts lack the other APIs: each of these is named once.
	few, fewCompared, _ := check(20, true)
	many, manyCompared, report := check(160, true)
	if missing := countHoles(report, routes.APIWithoutRoute); missing != shared || len(report.Holes) != shared || many > 9*few || manyCompared > 9*fewCompared {
		t.Errorf("%d holes, such as %s; %d without a route; %d steps and %d comparisons for 20 domains, %d and %d for 160", len(report.Holes), report.Holes[len(report.Holes)-1].Message, missing, few, fewCompared, many, manyCompared)
	}
}

func countHoles(r routes.Report, code routes.Code) (n int) {
	for _, h := range r.Holes {
		if h.Code == code {
			n++
		}
	}
	return n
}

// Routes that VirtualServices share are the same text as if each was encoded alone, and pass the comparison.
func TestRenderManyDomains(t *testing.T) {
	for kind, number := range map[routes.Kind]int{routes.VirtualService: 31, routes.HTTPRoute: 30*11 + 10 + 1} {
		testManyDomains(t, kind, number)
	}
}

func testManyDomains(t *testing.T, kind routes.Kind, number int) {
	t.Helper()
	texts := domainInput(30, 10)
	rendered, text := render(t, routes.Options{Kind: kind}, texts...)
	var want strings.Builder
	for _, o := range rendered.Objects {
		want.WriteString("---\n")
		encoder := yaml.NewEncoder(&want)
		encoder.SetIndent(2)
		if err := encoder.Encode(o); err != nil {
			t.Fatal(err)
		}
	}
	if text != want.String() || len(rendered.Objects) != number {
		t.Errorf("%s: %d objects:\n%.2000s\nwant\n%.2000s", kind, len(rendered.Objects), text, want.String())
	}
	if report := routes.Check(readModel(t, append(texts, text)...), ignoreProgress); !report.Passes() || report.Routes == 0 {
		t.Errorf("%+v", report.Holes)
	}
}

// At the host of an API, a route for all hosts that takes a path of the API is compared too.
func TestRouteForAllAtAHost(t *testing.T) {
	texts := []string{
		strings.Replace(conf, "{", `{"enable_custom_domains": true, `, 1), strings.Replace(ordersAPI, "/v1", "", 1),
		strings.NewReplacer("/reports/", "/orders/deep/", `"use_keyless"`, `"domain": "shop.example", "use_keyless"`).Replace(reportsAPI), workloads, document("orders", "/**"), document("reports", "/**"),
		`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all, namespace: edge}
spec:
  hosts: ["*"]
  gateways: [edge/public]
  http:
    - {match: [{uri: {exact: /orders/deep/only}}], rewrite: {uri: /deep/only}, route: [{destination: {host: orders.shop.svc.cluster.local, port: {number: 8080}}}]}
    - {match: [{uri: {prefix: /orders/deep/}}], route: [{destination: {host: reports.shop.svc.cluster.local, port: {number: 8080}}}]}
    - {match: [{uri: {prefix: /orders/}}], rewrite: {uri: /}, route: [{destination: {host: orders.shop.svc.cluster.local, port: {number: 8080}}}]}
`}
	report := routes.Check(readModel(t, texts...), ignoreProgress)
	found := false
	for _, h := range report.Holes {
		found = found || h.Code == routes.RouteDiffers && strings.HasPrefix(h.Message, "GET shop.example/orders/deep/only: ")
	}
	if !found {
		t.Errorf("%+v", report.Holes)
	}
}

// randomRules makes rules whose paths often meet.
func randomRules(random *rand.Rand) (rules []tykroute.Rule) {
	for range 2 + random.IntN(12) {
		text := ""
		for range 1 + random.IntN(3) {
			text += []string{"/", "/a", "/b", "a", "/a/"}[random.IntN(5)]
		}
		rule := tykroute.Rule{Path: tykroute.PathMatch{Becomes: []string{"", "/x"}[random.IntN(2)]}, Rewrites: random.IntN(2) == 0}
		switch random.IntN(5) {
		case 0:
			rule.Path.Pattern = text + "[^/]+/b"
		case 1, 2:
			rule.Path.Prefix = text
		default:
			rule.Path.Exact = text
		}
		if random.IntN(4) > 0 {
			rule.Destinations = []tykroute.Destination{{}}
		}
		rules = append(rules, rule)
	}
	return rules
}

// isRepeated asks each rule after one, in order.
func isRepeated(rule tykroute.Rule, after []tykroute.Rule) bool {
	at := slices.IndexFunc(after, func(next tykroute.Rule) bool {
		return next.Path.Pattern != "" || next.Path.Exact == rule.Path.Exact || next.Path.Prefix != "" && strings.HasPrefix(rule.Path.Exact, next.Path.Prefix)
	})
	if rule.Path.Exact == "" || at < 0 || after[at].Path.Prefix != rule.Path.Exact {
		return false
	}
	next := after[at]
	return len(next.Destinations) == len(rule.Destinations) && (len(rule.Destinations) == 0 || next.Rewrites == rule.Rewrites && next.Path.Becomes == rule.Path.Becomes)
}

// The indexes give what a comparison of each rule with each other one gives.
func TestRuleIndexes(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	repeats, overlaps := 0, 0
	for range 2000 {
		rules := randomRules(random)
		repeated := routes.FindRepeated(rules)
		for i, rule := range rules {
			if want := isRepeated(rule, rules[i+1:]); repeated[i] != want {
				t.Fatalf("%+v\nrule %d: repeated %t, want %t", rules, i, repeated[i], want)
			} else if want {
				repeats++
			}
			found := routes.FindOverlaps(rules, rule.Path)
			for j, other := range rules {
				overlap := rule.Path.MayOverlap(other.Path)
				if overlap && !slices.Contains(found, j) {
					t.Fatalf("%+v\nrules %d and %d overlap, found %v", rules, i, j, found)
				} else if overlap && i != j {
					overlaps++
				}
			}
		}
	}
	if repeats < 20 || overlaps < 1000 {
		t.Errorf("only %d repeats and %d overlaps", repeats, overlaps)
	}
}
