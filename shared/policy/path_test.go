package policy_test

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/policy/source"
)

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

// A literal may hold every text that a decoded segment can be, and no other.
func TestLiterals(t *testing.T) {
	for text, want := range map[string]string{
		"/café/x": "", "/my docs": "", `/a"b`: "", "/日本": "", "/a/b c/{x}/**": "",
		"/a ":        `segment "a " cannot be in an unambiguous path: a space at the beginning or end of a segment`,
		"/caf%C3%A9": `segment "caf%C3%A9": write "café", paths are compared in decoded form`,
		"/a%41":      `segment "a%41": write "aA", paths are compared in decoded form`,
		"/a%2Fb":     `segment "a%2Fb" cannot be in an unambiguous path: the byte '%'`,
		"/100%":      `segment "100%" cannot be in an unambiguous path: the byte '%'`,
		"/a;b":       `segment "a;b" cannot be in an unambiguous path: the byte ';'`,
		"/a?b":       "paths are compared without the query: write /a, without ?b",
		"/a#b":       `segment "a#b" cannot be in an unambiguous path: the byte '#'`,
		`/a\\b`:      `segment "a\\b" cannot be in an unambiguous path: the byte '\\'`,
		`/a\tb`:      `segment "a\tb" cannot be in an unambiguous path: the escape of a control character`,
		`/a\u0085b`:  `segment "a\u0085b" cannot be in an unambiguous path: the escape of a control character`,
		"/../a":      `segment ".." cannot be in an unambiguous path: a segment that is empty, . or ..`,
		"/.. /a":     `segment ".. " cannot be in an unambiguous path: a segment that is empty, . or ..`,
		"/a*":        `segment "a*": want a literal, {name} for one segment, or ** at the end`,
	} {
		_, err := (source.Loader{}).Load(files(head + `  rules: [{name: r, effect: allow, to: {paths: ["` + strings.NewReplacer(`"`, `\"`).Replace(text) + `"]}}]`))
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
