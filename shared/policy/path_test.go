package policy_test

import (
	"testing"

	"github.com/meshpass/meshpass/shared/policy"
)

func TestAmbiguousPaths(t *testing.T) {
	for _, path := range []string{
		"", "*", "a", "http://orders/", "//admin/x", "/a//b", "/x//", "/\\admin", "/a\\b", "/.", "/..", "/a/./b", "/a/../b", "/a/..",
		"/a;x=1", "/..;x=y/admin", "/a#f", "/a?b", "/a b", "/a\x00", "/a\x7f", "/ä", "/a\"b", "/a<b", "/a[0]", "/a{b}", "/a^b", "/a`b", "/a|b",
		"/%2f", "/a%2Fb", "/a%5cb", "/a%5Cb", "/a%25b", "/a%2500", "/a%00", "/a%0a", "/a%1f", "/a%7f", "/%41", "/%7e", "/%2e%2e/b", "/%2E", "/a%2d",
		"/a%", "/a%4", "/a%zz", "/a%u002f", "/%c0%af", "/%ff", "/%e0%80%af",
	} {
		if policy.CheckPath(path) == nil {
			t.Errorf("%q is admitted", path)
		}
	}
	for _, path := range []string{
		"/", "/a", "/a/", "/a/b", "/a.b", "/...", "/a..b", "/..a", "/a%20b", "/a%3Bb", "/a%3ab", "/%c3%a4", "/a:b@c", "/a,b=c+d!$&'()*", "/~user/_x-y",
	} {
		if err := policy.CheckPath(path); err != nil {
			t.Errorf("%q is refused: %v", path, err)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, row := range []struct {
		pattern string
		yes, no []string
	}{
		{"/", []string{"/"}, []string{"/a"}},
		{"/**", []string{"/", "/a", "/a/b/", "/a/b/c"}, nil},
		{"/a", []string{"/a"}, []string{"/", "/a/", "/A", "/ab", "/a/b"}},
		{"/a/", []string{"/a/"}, []string{"/a", "/a/b"}},
		{"/a/**", []string{"/a/", "/a/b", "/a/b/c/"}, []string{"/a", "/ab", "/b/a/"}},
		{"/a/{x}", []string{"/a/b", "/a/b%20c"}, []string{"/a", "/a/", "/a/b/", "/a/b/c"}},
		{"/a/{x}/c", []string{"/a/b/c"}, []string{"/a//c", "/a/c", "/a/b/d"}},
		{"/{x}/{y}/**", []string{"/a/b/", "/a/b/c/d"}, []string{"/a/b", "/a/"}},
	} {
		set := load(t, `{apiVersion: meshpass.dev/v1, kind: AccessPolicy, metadata: {name: p}, spec: {targets: {workloads: [ns/shop/sa/orders]}, rules: [{name: r, effect: allow, to: {paths: ["`+row.pattern+`"]}}]}}`)
		for _, p := range row.yes {
			if !set.Decide(request(path(p)), alice(nil)).Allowed() {
				t.Errorf("%s: %s does not match", row.pattern, p)
			}
		}
		for _, p := range row.no {
			if set.Decide(request(path(p)), alice(nil)).Allowed() {
				t.Errorf("%s: %s matches", row.pattern, p)
			}
		}
	}
}

func TestHosts(t *testing.T) {
	set := load(t, `{apiVersion: meshpass.dev/v1, kind: AccessPolicy, metadata: {name: p}, spec: {targets: {workloads: [ns/shop/sa/orders]}, rules: [{name: r, effect: allow, to: {hosts: [orders.shop, "[::1]"]}}]}}`)
	for host, want := range map[string]bool{
		"orders.shop": true, "ORDERS.shop": true, "orders.shop:8080": true, "orders.shop.": true, "orders.shop.:80": true, "[::1]:80": true,
		"orders.shop.evil": false, "xorders.shop": false, "": false, "orders.shop@evil": false, "[::2]": false,
	} {
		r := request()
		r.Host = host
		if got := set.Decide(r, alice(nil)).Allowed(); got != want {
			t.Errorf("%q: got %v", host, got)
		}
	}
}
