package policy_test

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/policy"
)

func TestAmbiguousPaths(t *testing.T) {
	for _, path := range []string{
		"", "*", "a", "http://orders/", "//admin/x", "/a//b", "/x//", "/\\admin", "/a\\b", "/.", "/..", "/a/./b", "/a/../b", "/a/..",
		"/a;x=1", "/..;x=y/admin", "/a#f", "/a?b", "/a b", "/a\x00", "/a\x7f", "/ä", "/a\"b", "/a<b", "/a[0]", "/a{b}", "/a^b", "/a`b", "/a|b",
		"/%2f", "/a%2Fb", "/a%5cb", "/a%5Cb", "/a%25b", "/a%2500", "/a%00", "/a%0a", "/a%1f", "/a%7f", "/%41", "/%7e", "/%2e%2e/b", "/%2E", "/a%2d",
		"/a%", "/a%4", "/a%zz", "/a%u002f", "/%c0%af", "/%ff", "/%e0%80%af",
		"/a%3Bb", "/a%3b", "/%3B", "/..%3B/b", "/.%3b", "/a/%3Bx=y/b", "/a%3Fb", "/a%3f", "/a%23b", "/%23", "/a%3F/../b", "/a/b%3Fc/d",
		"/..%20/b", "/%20../b", "/.%20", "/%20.%20/b", "/a%20", "/%20a", "/%20", "/a/%20/b", "/a%20/b", "/%20...", "/a%C2%85", "/a%c2%80b",
	} {
		if policy.CheckPath(path) == nil {
			t.Errorf("%q is admitted", path)
		}
	}
	for _, path := range []string{
		"/", "/a", "/a/", "/a/b", "/a.b", "/...", "/a..b", "/..a", "/a%20b", "/a%20%20b", "/a%3ab", "/a%C2%A0", "/a%2Cb%3Dc", "/a%40b", "/%E2%80%A6", "/%EF%BC%8F", "/%c3%a4", "/a:b@c", "/a,b=c+d!$&'()*", "/~user/_x-y",
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
		{"/café", []string{"/caf%C3%A9", "/caf%c3%a9"}, []string{"/café", "/cafe", "/cafe%CC%81", "/caf%E9", "/CAF%C3%89"}},
		{"/my docs/**", []string{"/my%20docs/", "/my%20docs/a"}, []string{"/my docs/", "/my+docs/", "/my%20docs"}},
		{"/a|b[c]", []string{"/a%7Cb%5Bc%5D", "/a%7cb%5bc%5d"}, []string{"/a|b[c]"}},
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

// A literal may hold what a segment can be when it is decoded, and nothing else.
func TestLiterals(t *testing.T) {
	for text, want := range map[string]string{
		"/café/x": "", "/my docs": "", `/a"b`: "", "/日本": "", "/a/b c/{x}/**": "",
		"/a ":        `segment "a " can never be in a path that is not ambiguous: a space at the beginning or end of a segment`,
		"/caf%C3%A9": `segment "caf%C3%A9": write "café", paths compare when they are decoded`,
		"/a%41":      `segment "a%41": write "aA", paths compare when they are decoded`,
		"/a%2Fb":     `segment "a%2Fb" can never be in a path that is not ambiguous: the byte '%'`,
		"/100%":      `segment "100%" can never be in a path that is not ambiguous: the byte '%'`,
		"/a;b":       `segment "a;b" can never be in a path that is not ambiguous: the byte ';'`,
		"/a?b":       "paths are compared without the query: write /a, without ?b",
		"/a#b":       `segment "a#b" can never be in a path that is not ambiguous: the byte '#'`,
		`/a\\b`:      `segment "a\\b" can never be in a path that is not ambiguous: the byte '\\'`,
		`/a\tb`:      `segment "a\tb" can never be in a path that is not ambiguous: the escape of a control character`,
		`/a\u0085b`:  `segment "a\u0085b" can never be in a path that is not ambiguous: the escape of a control character`,
		"/../a":      `segment ".." can never be in a path that is not ambiguous: a segment that is empty, . or ..`,
		"/.. /a":     `segment ".. " can never be in a path that is not ambiguous: a segment that is empty, . or ..`,
		"/a*":        `segment "a*": want a literal, {name} for one segment, or ** at the end`,
	} {
		_, err := policy.Load(files(head + `  rules: [{name: r, effect: allow, to: {paths: ["` + strings.NewReplacer(`"`, `\"`).Replace(text) + `"]}}]`))
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
