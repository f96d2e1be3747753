package policy_test

import (
	"fmt"
	"testing"

	"github.com/meshpass/meshpass/shared/policy/lint"
	"github.com/meshpass/meshpass/shared/policy/source"
)

func lintAll(t *testing.T, text string) []lint.Warning {
	t.Helper()
	problems, found := lint.Run(source.Loader{}, files(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return found
}

// Lint finds comparisons that a claim of another kind passes, in each form that CEL has for
// them. Forms that are certain get no warning.
func TestComparisonsOfUncertainKind(t *testing.T) {
	const uncertain = "uncertain_kind"
	for _, test := range []struct{ effect, when, want string }{
		{"deny", "claims.tctx.s == 'x'", uncertain},
		{"deny", "claims.tctx['s'] == 'x'", uncertain},
		{"deny", "('x') == (claims.tctx.s)", uncertain},
		{"deny", "dyn(claims.tctx.s) == 'x'", uncertain},
		{"deny", "[claims.tctx.s] == ['x']", uncertain},
		{"deny", "{'a': claims.tctx.s} == {'a': 'x'}", uncertain},
		{"deny", "(request.method == 'GET' ? claims.tctx.s : 'y') == 'x'", uncertain},
		{"deny", "request.method == 'GET' ? claims.tctx.s == 'x' : false", uncertain},
		{"deny", "!(claims.tctx.s != 'x')", uncertain},
		{"deny", "(claims.tctx.s != 'x') == false", uncertain},
		{"deny", "(claims.tctx.s == 'x') != false", uncertain},
		{"deny", "[claims.tctx.s == 'x'] == [true]", uncertain},
		{"deny", "claims.tctx.s in ['x']", uncertain},
		{"deny", "['x'].exists(v, v == claims.tctx.s)", uncertain},
		{"deny", "'x' in claims.tctx.s", ""},
		{"deny", "claims.tctx.s.exists(v, v == 'x')", ""},
		{"deny", "claims.tctx.s.exists_one(v, v == 'x')", ""},
		{"deny", "claims.tctx.s.filter(v, v == 'x').size() > 0", ""},
		{"deny", "claims.tctx.s == claims.sub", uncertain},
		{"deny", "type(claims.tctx.s) == string && claims.tctx.s == 'x'", uncertain},
		{"deny", "type(claims.tctx.s) != string || claims.tctx.s == 'x'", ""},
		{"deny", "!(type(claims.tctx.s) == string && claims.tctx.s != 'x')", ""},
		{"deny", "type(claims.tctx.s) == string ? claims.tctx.s == 'x' : true", ""},
		{"deny", "claims.tctx.s.startsWith('x') || claims.tctx.s == 'y'", ""},
		{"deny", "claims.tctx.s.startsWith('x') && claims.tctx.s == 'y'", uncertain},
		{"deny", "claims.tctx.s != 'x'", ""},
		{"deny", "!(claims.tctx.s in ['x'])", ""},
		{"deny", "claims.tctx.s > 3 || claims.tctx.s.matches('^x')", ""},
		{"deny", "('x' in claims.tctx.s) && claims.tctx.s.x > 1", ""},
		{"allow", "claims.tctx.s != 'x'", uncertain},
		{"allow", "!(claims.tctx.s == 'x')", uncertain},
		{"allow", "(claims.tctx.s == 'x') == false", uncertain},
		{"allow", "(claims.tctx.s == 'x') != true", uncertain},
		{"allow", "!dyn(claims.tctx.s == 'x')", uncertain},
		{"allow", "claims.tctx.s == 'x' ? false : true", uncertain},
		{"allow", "!(claims.tctx.s in ['x'])", uncertain},
		{"allow", "!('x' in claims.tctx.s)", uncertain},
		{"allow", "!claims.tctx.s.exists(v, v == 'x')", uncertain},
		{"allow", "claims.tctx.s.all(v, v != 'x')", uncertain},
		{"allow", "claims.tctx.s.filter(v, v == 'x').size() == 0", uncertain},
		{"allow", "claims.tctx.s.a.b != 'x'", uncertain},
		{"allow", "claims.tctx.s != claims.rctx.s", uncertain},
		{"allow", "type(claims.tctx.s) == string || claims.tctx.s != 'x'", uncertain},
		{"allow", "type(claims.tctx.s) != list && claims.tctx.s != 'x'", uncertain},
		{"allow", "!(type(claims.tctx.s) == string && claims.tctx.s == 'x')", uncertain},
		{"allow", "request.method == 'GET' && (type(claims.tctx.s) == string && (claims.tctx.s != 'x' || request.path == '/'))", ""},
		{"allow", "type(claims.tctx.s) == list && !('x' in claims.tctx.s)", ""},
		{"allow", "!(type(claims.tctx.s) != string || claims.tctx.s == 'x')", ""},
		{"allow", "claims.tctx.s in ['a', 'b'] && claims.tctx.s != 'a'", ""},
		{"allow", "claims.tctx.s.startsWith('a') && claims.tctx.s != 'ab'", ""},
		{"allow", "claims.tctx.s == 'x' || 'y' in claims.tctx.s || claims.tctx.s.exists(v, v == 'z')", ""},
		{"allow", "claims.tctx.org != 'x' && claims.sub != 'y'", ""},
	} {
		optional := "  - {name: r, effect: %s, when: \"%s\"}\n"
		got := ""
		for _, w := range lintAll(t, fmt.Sprintf(head+"  identity: optional\n  rules:\n"+optional, test.effect, test.when)) {
			if w.Code == uncertain {
				got = uncertain
			}
		}
		if got != test.want {
			t.Errorf("%s when %s: got %q", test.effect, test.when, got)
		}
	}
}

// A member counts as guarded only if has() decides before it is read.
func TestMembersThatMayBeMissing(t *testing.T) {
	for when, want := range map[string]string{
		"claims.tctx.s > 1":                                                   "tctx.s",
		"has(claims.tctx.s) && claims.tctx.s > 1":                             "",
		"claims.tctx.s > 1 && has(claims.tctx.s)":                             "",
		"!has(claims.tctx.s) || claims.tctx.s > 1":                            "",
		"has(claims.tctx.s) ? claims.tctx.s > 1 : false":                      "",
		"('s' in claims.tctx) && claims.tctx.s > 1":                           "",
		"has(claims.tctx.s) || claims.tctx.s > 1":                             "tctx.s",
		"!has(claims.tctx.s) && claims.tctx.s > 1":                            "tctx.s",
		"has(claims.tctx.s) ? true : claims.tctx.s > 1":                       "tctx.s",
		"has(claims.tctx.s) && claims.tctx.s > 1 || claims.tctx.s < 0":        "tctx.s",
		"has(claims.tctx.s.t) && claims.tctx.s.t > 1":                         "tctx.s",
		"has(claims.tctx.s) && claims.tctx.s.t > 1":                           "tctx.s.t",
		"has(claims.tctx.s) && has(claims.tctx.s.t) && claims.tctx.s.t > 1":   "",
		"'x' in claims.tctx.s":                                                "tctx.s",
		"('s.t' in claims.tctx) && claims.tctx['s.t'] > 1":                    "",
		"claims.tctx.s.exists(v, has(claims.tctx.s) && v > 1)":                "tctx.s",
		"has(claims.tctx.s) && claims.tctx.s.exists(v, v > claims.tctx.s[0])": "",
		"claims.tctx.org != 'x'":                                              "",
	} {
		got := ""
		for _, w := range lintAll(t, fmt.Sprintf(head+"  identity: optional\n  rules:\n"+deniesWhen, when)) {
			if w.Code == "unguarded_member" {
				got += w.Message
			}
		}
		if want != "" {
			want = "a token without " + want + " is denied by this rule too; if such tokens must pass, put "
		}
		if len(got) < len(want) || got[:len(want)] != want || want == "" && got != "" {
			t.Errorf("%s: got %q", when, got)
		}
	}
}
