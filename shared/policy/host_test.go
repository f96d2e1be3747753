package policy_test

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// byHost has a rule on hosts for orders, and no such rule for gateways and catalogue.
const byHost = head + `  rules:
    - {name: named, effect: allow, to: {hosts: [orders.shop, "[2001:db8::1]", 10.0.0.1, "*.example.com"]}}
---
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: gateway}
spec:
  targets: {workloads: [gateway/ingress, ns/shop/sa/catalogue]}
  rules: [{name: all, effect: allow}]
---
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: when}
spec:
  targets: {workloads: [service/shop/when]}
  rules: [{name: other, effect: allow, when: request.host != "admin.shop"}]
`

// ambiguousHosts are hosts that a router could read in another way, at every callee.
var ambiguousHosts = []string{
	"orders.shop:80:80", "orders.shop::80", "::1", "2001:db8::1", "2001:db8::1:80", "[::1]evil", "[::1].evil", "[::1]evil:80", "[::1]:80:80", "[::1", "::1]", "[]", "[]:80", "[orders.shop]",
	"[10.0.0.1]", "[fe80::1%eth0]", "[fe80::1%25eth0]", "[v1.a]", "[2001:0db8::1]", "[2001:db8:0:0:0:0:0:1]", "[::ffff:a00:1]", "x[::1]",
	"orders.shop:", "[::1]:", "orders.shop:x", "orders.shop:80x", "orders.shop:-1", "orders.shop:+80", "orders.shop: 80", "orders.shop:0", "orders.shop:00", "orders.shop:080", "orders.shop:65536", "orders.shop:99999999999999999999", "orders.shop:0x50", "orders.shop:\u0668\u0660", ":80", ":",
	"orders.shop@evil", "evil@orders.shop", "a:b@orders.shop", "@", "orders.shop,evil", "orders.shop, orders.shop", "orders.shop;x", "orders.shop/x", "orders.shop?x", "orders.shop#x", `orders.shop\evil`,
	"orders.shop ", " orders.shop", "orders shop", "orders.shop\t", "orders%2eshop", "orders.shop%00", "orders.shop\x00", "m\u00fcnchen.example", "\xff", "orders\u3002shop", "*", "*.example.com", "~orders.shop", "orders.shop!",
	"orders.shop..", "orders..shop", ".orders.shop", ".", "..", "..example.com", "127.1", "10.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "010.0.0.1", "10.0.0.01", "10.0.0.256", "1.2.3.4.5", "orders.0x", "orders.80",
}

// clearHosts are names that are not ambiguous; true: the rule has them.
var clearHosts = map[string]bool{
	"orders.shop": true, "ORDERS.Shop": true, "orders.shop:1": true, "orders.shop:8080": true, "orders.shop:65535": true,
	"[2001:db8::1]": true, "[2001:DB8::1]": true, "[2001:db8::1]:443": true, "10.0.0.1": true, "10.0.0.1:80": true,
	"a.example.com": true, "a.b.example.com:80": true, "A.Example.COM": true,
	"example.com": false, "xexample.com": false, "a.example.com.evil": false, "a.example.org": false, "orders.shop.evil": false, "xorders.shop": false, "orders": false,
	"[2001:db8::2]": false, "[::ffff:10.0.0.1]": false, "10.0.0.2": false, "xn--mnchen-3ya.example": false, "a_b-c.example": false, "1.a": false, "": false,
}

func TestHosts(t *testing.T) {
	set := load(t, byHost)
	answer := func(callee, host string) string {
		r := request(func(r *policy.Request) { r.Host = host })
		r.Callee = identity.Workload(callee)
		return describe(set.Decide(r, alice(nil)))
	}
	for _, host := range ambiguousHosts {
		for callee, want := range map[string]string{
			"ns/shop/sa/orders": "deny ambiguous_host", "service/shop/when": "deny ambiguous_host", "gateway/ingress": "deny ambiguous_host",
			"ns/shop/sa/catalogue": "allow rule_allowed gateway/all",
		} {
			if got := answer(callee, host); got != want {
				t.Errorf("%q at %s: got %s, want %s", host, callee, got, want)
			}
		}
	}
	for host, matches := range clearHosts {
		want := "deny no_rule"
		if matches {
			want = "allow rule_allowed p/named"
		}
		if got := answer("ns/shop/sa/orders", host); got != want {
			t.Errorf("%q: got %s, want %s", host, got, want)
		}
		if got := answer("gateway/ingress", host); got != "allow rule_allowed gateway/all" {
			t.Errorf("%q at a gateway: got %s", host, got)
		}
	}
}

// A name with a dot at its end is the same name to a server, and another one to a gateway of Envoy.
func TestADotAtTheEndOfAHost(t *testing.T) {
	set := load(t, byHost)
	for _, host := range []string{"orders.shop.", "orders.shop.:80", "a.example.com."} {
		for callee, want := range map[string]string{"ns/shop/sa/orders": "allow rule_allowed p/named", "gateway/ingress": "deny ambiguous_host"} {
			r := request(func(r *policy.Request) { r.Host = host })
			r.Callee = identity.Workload(callee)
			if got := describe(set.Decide(r, alice(nil))); got != want {
				t.Errorf("%s at %s: got %s, want %s", host, callee, got, want)
			}
		}
	}
}

// A shadow rule that reads the host changes the shadow decision, and not the enforced one.
func TestAHostThatOnlyShadowReads(t *testing.T) {
	set := load(t, head+`  rules:
    - {name: all, effect: allow}
    - {name: named, effect: deny, mode: shadow, to: {hosts: [evil.shop], methods: [GET]}}
`)
	d := set.Decide(request(func(r *policy.Request) { r.Host = "evil.shop:x" }), alice(nil))
	if got := describe(d); got != "allow rule_allowed p/all" || d.Shadow == nil || describe(*d.Shadow) != "deny ambiguous_host" {
		t.Errorf("got %s, in shadow %v", got, d.Shadows())
	}
}

// An ambiguous host does not dodge a guardrail that reads it, also under an override.
func TestAHostUnderAnOverride(t *testing.T) {
	guarded := files(head + `  rules: [{name: no-admin, effect: deny, to: {hosts: [admin.shop], paths: ["/**"]}}]`)
	guarded.Guardrail = true
	set, err := (source.Loader{}).Load(guarded)
	if err != nil {
		t.Fatal(err)
	}
	set = set.With("", overrides(t, "ns/shop/sa/orders"))
	for host, want := range map[string]string{
		"admin.shop":   "deny rule_denied p/no-admin < deny rule_denied p/no-admin",
		"admin.shop:x": "deny ambiguous_host < deny ambiguous_host",
		"orders.shop":  "allow overridden < deny no_rule",
	} {
		if got := chain(set.Decide(request(func(r *policy.Request) { r.Host = host }), alice(nil))); got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
}

// A host of a rule that no request can have is rejected, with advice: a deny rule on it would never
// deny.
func TestHostsOfRules(t *testing.T) {
	const form = ", hosts are compared without port, without a dot at the end and in lower case"
	for text, want := range map[string]string{
		"orders.shop": "", "*.example.com": "", "*.com": "", "[2001:db8::1]": "", "[::ffff:10.0.0.1]": "", "10.0.0.1": "", "a_b": "", "xn--mnchen-3ya.example": "",
		"Orders.shop":              `write "orders.shop"` + form,
		"orders.shop.":             `write "orders.shop"` + form,
		"orders.shop:80":           `write "orders.shop"` + form,
		"*.Example.com:80":         `write "*.example.com"` + form,
		"m\u00fcnchen.example":     `write "xn--mnchen-3ya.example"` + form,
		"M\u00dcNCHEN.example":     `write "xn--mnchen-3ya.example"` + form,
		"*.m\u00fcnchen.example":   `write "*.xn--mnchen-3ya.example"` + form,
		"[2001:0db8:0:0:0:0:0:1]":  `write "[2001:db8::1]"` + form,
		"[2001:DB8::1]:80":         `write "[2001:db8::1]"` + form,
		"2001:db8::1":              `write "[2001:db8::1]"` + form,
		"[fe80::1%eth0]":           `write "[fe80::1]"` + form,
		"[::ffff:a00:1]":           `write "[::ffff:10.0.0.1]"` + form,
		"*":                        "it means every host: remove hosts",
		"*example.com":             "want * as the whole first label and nowhere else, as in *.example.com",
		"a.*.com":                  "want * as the whole first label and nowhere else, as in *.example.com",
		"*.*.com":                  "want * as the whole first label and nowhere else, as in *.example.com",
		"*.0.0.1":                  "an IPv4 address that is not four numbers: a host has letters, digits, dots, - and _",
		"*.10.0.0.1":               "an address has no names below it",
		"*.[::1]":                  "an address has no names below it",
		"*.":                       "an empty label: a host has letters, digits, dots, - and _",
		"https://orders.shop":      "want a host alone, without scheme and path",
		"orders.shop/x":            "want a host alone, without scheme and path",
		"a@orders.shop":            "the byte '@': a host has letters, digits, dots, - and _",
		"orders shop":              "the byte ' ': a host has letters, digits, dots, - and _",
		"orders.shop:80:80":        "several colons",
		"[::1]evil":                "text after the brackets",
		"[::1":                     `write "[::1]"` + form,
		"[::g":                     "a bracket that is not closed",
		"[10.0.0.1]":               "brackets without an IPv6 address",
		"127.1":                    "an IPv4 address that is not four numbers: a host has letters, digits, dots, - and _",
		"a..b":                     "an empty label: a host has letters, digits, dots, - and _",
		"xn--m\u00fcnchen.example": "not a valid DNS name: idna: invalid label",
	} {
		_, err := (source.Loader{}).Load(files(head + `  rules: [{name: r, effect: deny, to: {paths: ["/a"], hosts: ["` + text + `"]}}]`))
		if want != "" {
			want = "0.yaml:6:63: host \"" + text + "\": " + want
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
