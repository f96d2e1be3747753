package policy_test

import (
	"testing"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// attacked lets the gateway read public paths and alice read her own data. It denies /admin
// to everyone. The workload catalogue is public as a whole.
const attacked = `
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: attacked}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  identity: optional
  public: [{methods: [GET], paths: ["/public/**"]}]
  rules:
    - {name: no-admin, effect: deny, to: {paths: [/admin, "/admin/**"]}}
    - {name: own, effect: allow, from: {workloads: [ns/edge/sa/tyk.gateway]}, to: {hosts: [orders.shop], paths: ["/tenants/{tenant}/**"]}, when: claims.tctx.tenant == path.tenant}
    - {name: gold, effect: allow, to: {paths: [/gold]}, when: '"x-plan" in request.headers && request.headers["x-plan"] == "gold"'}
    - {name: files, effect: allow, to: {paths: ["/files/{name}"], allowEncoded: ["%2F", "%25"]}, scopes: [files]}
---
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: catalogue}
spec:
  targets: {workloads: [ns/shop/sa/catalogue]}
  public: [{paths: ["/**"]}]
`

func host(h string) func(*policy.Request) { return func(r *policy.Request) { r.Host = h } }
func headers(pairs ...string) func(*policy.Request) {
	return func(r *policy.Request) {
		r.Path, r.Headers = "/gold", map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			r.Headers[pairs[i]] = pairs[i+1]
		}
	}
}

// Attacks on other products, named by their CVE, are denied here.
func TestAttacks(t *testing.T) {
	set := load(t, attacked)
	const ambiguous, allowed = "deny ambiguous_path", "allow rule_allowed attacked/own"
	for _, row := range []struct {
		from, name string
		change     func(*policy.Request)
		want       string
	}{
		{"", "nothing", path("/tenants/acme/orders/1"), allowed},
		{"", "nothing, and public", path("/public/x"), "allow public attacked/public[0]"},
		{"", "the front door", path("/admin/users"), "deny rule_denied attacked/no-admin"},
		{"CVE-2026-26205", "a path that reads as a host", path("//admin"), ambiguous},
		{"CVE-2026-26205", "a path that reads as a host and a path", path("//admin/x"), ambiguous},
		{"CVE-2026-26205", "a backslash", path("/\\admin"), ambiguous},
		{"CVE-2026-26205", "an empty segment inside", path("/public//admin"), ambiguous},
		{"CVE-2026-26205", "an absolute URL", path("http://orders.shop/admin"), ambiguous},
		{"CVE-2026-32811", "a query in the path", path("/public/x?/../../admin"), ambiguous},
		{"CVE-2026-32811", "an escaped query", path("/admin%3Fx"), ambiguous},
		{"CVE-2026-32811", "an escaped query below a public path", path("/public/%3F/../../admin"), ambiguous},
		{"CVE-2026-42272", "an escaped slash", path("/admin%2Fusers"), "deny condition_error attacked/no-admin"},
		{"CVE-2026-42272", "an escaped slash, in small letters", path("/admin%2fusers"), "deny condition_error attacked/no-admin"},
		{"CVE-2026-42272", "an escaped slash below a public path", path("/public%2Fadmin"), "deny condition_error attacked/no-admin"},
		{"CVE-2026-42272", "a path in capitals", path("/ADMIN/users"), "deny no_rule"},
		{"CVE-2026-42273", "a host in capitals", host("ORDERS.shop"), allowed},
		{"CVE-2026-42273", "a host with port and dot", host("orders.shop.:8080"), allowed},
		{"CVE-2026-42273", "another host", host("orders.shop.evil"), "deny no_rule"},
		{"CVE-2026-42273", "a host with a user", host("orders.shop@evil"), "deny ambiguous_host"},
		{"CVE-2026-42273", "two hosts", host("orders.shop,evil"), "deny ambiguous_host"},
		{"", "text behind an IPv6 address", host("[::1]orders.shop"), "deny ambiguous_host"},
		{"", "two ports", host("orders.shop:80:80"), "deny ambiguous_host"},
		{"CVE-2026-42274", "dot segments", path("/public/../admin"), ambiguous},
		{"CVE-2026-42274", "a single dot", path("/./admin"), ambiguous},
		{"CVE-2026-42274", "escaped dots", path("/public/%2e%2e/admin"), ambiguous},
		{"CVE-2026-42274", "dots, half escaped", path("/public/.%2E/admin"), ambiguous},
		{"GHSA-p224-6x5r-fjpm", "out of the public path", path("/public/../admin/users"), ambiguous},
		{"CVE-2021-29492", "an escaped backslash", path("/admin%5Cusers"), ambiguous},
		{"CVE-2021-39156", "a fragment", path("/public/x#/admin"), ambiguous},
		{"CVE-2019-9901", "dots at the end", path("/public/.."), ambiguous},
		{"ISTIO-SECURITY-2021-005", "several slashes", path("/public///admin"), ambiguous},
		{"CVE-2026-73551", "a matrix parameter on dots", path("/public/..;x=y/admin"), ambiguous},
		{"CVE-2026-73511", "a matrix parameter", path("/admin;x=y/users"), ambiguous},
		{"CVE-2026-73553", "an escaped matrix parameter", path("/admin%3Bx=y"), ambiguous},
		{"CVE-2020-13933", "an escaped semicolon alone", path("/admin/%3B"), ambiguous},
		{"", "an escaped fragment", path("/admin%23x"), ambiguous},
		{"", "dots before an escaped semicolon", path("/public/..%3B/admin"), ambiguous},
		{"", "dots and a space", path("/public/..%20/admin"), ambiguous},
		{"CVE-2026-73547", "CONNECT without a path", func(r *policy.Request) { r.Method, r.Path = "CONNECT", "" }, ambiguous},
		{"CVE-2026-73547", "CONNECT to a host", func(r *policy.Request) { r.Method, r.Path, r.Host = "CONNECT", "orders.shop:443", "" }, ambiguous},
		{"CVE-2026-73547", "no host", host(""), "deny no_rule"},
		{"CVE-2025-46821", "a wildcard in the path is a character", path("/tenants/*/orders"), "deny no_rule"},
		{"CVE-2025-46821", "a template in the path", path("/tenants/{tenant}/orders"), ambiguous},
		{"CVE-2026-73552", "bytes that are no ASCII", path("/public/\xff"), ambiguous},
		{"", "an overlong slash", path("/public/%c0%afadmin"), ambiguous},
		{"", "a null byte", path("/public/%00"), ambiguous},
		{"", "an unreserved character, escaped", path("/%61dmin"), ambiguous},
		{"", "a double escape", path("/public/%252e%252e/admin"), ambiguous},
		{"", "an admitted escape climbs out", path("/files/..%2Fadmin"), ambiguous},
		{"", "an admitted escape hides another", path("/files/%252e%252e%252Fadmin"), ambiguous},
		{"", "an admitted escape elsewhere", path("/tenants/acme%2Fx/orders"), ambiguous},
		{"CVE-2021-32777", "a header twice, as Envoy joins it", headers("x-plan", "gold,free"), "deny no_rule"},
		{"CVE-2026-26308", "a header twice, the other way round", headers("x-plan", "free,gold"), "deny no_rule"},
		{"CVE-2020-25017", "a header twice, with a space", headers("x-plan", "gold, gold"), "deny no_rule"},
		{"CVE-2023-27488", "a header that is not UTF-8", headers("x-plan", "gold\xff"), "deny no_rule"},
		{"", "a header with an underscore", headers("x_plan", "gold"), "deny no_rule"},
		{"", "the header as it should be", headers("x-plan", "gold"), "allow rule_allowed attacked/gold"},
		{"CVE-2024-45806", "a forged original path", func(r *policy.Request) {
			r.Path, r.Headers = "/admin", map[string]string{"x-envoy-original-path": "/public/x"}
		}, "deny rule_denied attacked/no-admin"},
		{"CVE-2026-39350", "a dot in a service account's name is a dot", caller("ns/edge/sa/tykxgateway"), "deny no_rule"},
		{"", "the same account in a foreign domain", caller("spiffe://evil/ns/edge/sa/tyk.gateway"), "deny no_rule"},
		{"KTX", "what is public at another workload", path("/items"), "deny no_rule"},
	} {
		t.Run(row.from+" "+row.name, func(t *testing.T) {
			r := request(caller("ns/edge/sa/tyk.gateway"), row.change)
			if got := describe(set.Decide(r, scoped("files"))); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func scoped(scope string) policy.Authenticate {
	claims, _ := alice(nil)()
	claims.Scope = scope
	return verified(claims)
}

// An admitted escape is decoded once, in the capture that holds it.
func TestAdmittedEscapes(t *testing.T) {
	set := load(t, attacked+`---
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: cut}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  rules: [{name: cut, effect: allow, to: {paths: ["/cut/{x}"], allowEncoded: ["%3B", "%3F", "%23"]}}]
---
`+head+`  rules: [{name: by-name, effect: allow, to: {paths: ["/named/{x}/{y}/**"], allowEncoded: ["%2F"]}, when: 'path.x == "a/b" && path.y == "c d"'}]`)
	for p, want := range map[string]string{
		"/cut/a%3Bb":             "allow rule_allowed cut/cut",
		"/cut/a%3bb%3F%23":       "allow rule_allowed cut/cut",
		"/cut/%3B":               "allow rule_allowed cut/cut",
		"/cut/..%3B":             "deny ambiguous_path",
		"/cut/.%3B":              "deny ambiguous_path",
		"/cut/..%3bx=y":          "deny ambiguous_path",
		"/cut/..%3Fx":            "deny ambiguous_path",
		"/cut/.%23":              "deny ambiguous_path",
		"/cut/..%20%3B":          "deny ambiguous_path",
		"/cut/a%3B..":            "deny ambiguous_path",
		"/cut/a%3B%2F":           "deny ambiguous_path",
		"/cut/a%3Bb/c":           "deny ambiguous_path",
		"/cut%3Bx/a":             "deny condition_error attacked/no-admin",
		"/files/a%2Fb":           "allow rule_allowed attacked/files",
		"/files/a%2fb%2Fc":       "allow rule_allowed attacked/files",
		"/files/100%25":          "allow rule_allowed attacked/files",
		"/files/a%5Cb":           "deny ambiguous_path",
		"/files/a%2Fb/c":         "deny ambiguous_path",
		"/named/a%2Fb/c%20d/":    "allow rule_allowed p/by-name",
		"/named/a%2Fb/c/":        "deny ambiguous_path",
		"/named/a%2Fb/c%20d/%2F": "deny ambiguous_path",
		"/named/a%25/c/":         "deny ambiguous_path",
	} {
		r := request(path(p))
		claims, _ := scoped("files")()
		if got := describe(set.Decide(r, verified(claims))); got != want {
			t.Errorf("%s: got %s, want %s", p, got, want)
		}
	}
}

// If a token cannot be verified, no rule applies in its place.
func TestFailuresOfOthersAreRefusals(t *testing.T) {
	set := load(t, attacked)
	for _, reason := range []decision.Reason{decision.KeyUnknown, decision.NoSigningKey, decision.NotConfigured, decision.Panic, ""} {
		d := set.Decide(request(caller("ns/edge/sa/tyk.gateway")), func() (*identity.Claims, decision.Reason) { return nil, reason })
		if d.Allowed() || d.Reason != reason {
			t.Errorf("%q: got %s", reason, describe(d))
		}
	}
}
