package rights_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/rbac/rights"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// policies are those of TestTykPolicies of e2e/gateway, which shows each row on a real gateway.
const policies = `{
"every": {"id": "every", "org_id": "demo", "access_rights": {"a": {"versions": ["Default"]}}},
"items": {"id": "items", "org_id": "demo", "access_rights": {"a": {"versions": ["Default"], "allowed_urls": [{"url": "^/a/items$", "methods": ["GET"]}]}}},
"posts": {"id": "posts", "org_id": "demo", "access_rights": {"a": {"versions": ["Default"], "allowed_urls": [{"url": "^/a/items$", "methods": ["POST"]}, {"url": "^/a/b$", "methods": ["GET"]}]}}},
"limits": {"id": "limits", "org_id": "demo", "partitions": {"quota": true, "rate_limit": true}, "access_rights": {"a": {}}},
"rights": {"id": "rights", "org_id": "demo", "partitions": {"acl": true}, "access_rights": {"a": {"allowed_urls": [{"url": "^/a/c$", "methods": ["GET"]}]}}},
"peritems": {"id": "peritems", "org_id": "demo", "partitions": {"per_api": true}, "access_rights": {"a": {"allowed_urls": [{"url": "^/a/items$", "methods": ["GET"]}]}}},
"perb": {"id": "perb", "org_id": "demo", "partitions": {"per_api": true}, "access_rights": {"a": {"allowed_urls": [{"url": "^/a/b$", "methods": ["GET"]}]}}},
"both": {"id": "both", "org_id": "demo", "partitions": {"per_api": true, "acl": true}, "access_rights": {"a": {}}},
"inactive": {"id": "inactive", "org_id": "demo", "is_inactive": true, "access_rights": {"a": {}}},
"foreign": {"id": "foreign", "org_id": "other", "access_rights": {"a": {}}},
"empty": {"id": "empty", "org_id": "demo", "access_rights": {}},
"elsewhere": {"id": "elsewhere", "org_id": "demo", "access_rights": {"b": {}}}
}`

func TestMerge(t *testing.T) {
	rows := []struct{ policies, want string }{
		{"every", "every path"},
		{"items", "^/a/items$[GET]"},
		{"every items", "^/a/items$[GET]"},
		{"items every", "^/a/items$[GET]"},
		{"items posts", "^/a/items$[GET POST] ^/a/b$[GET]"},
		{"limits", "denied: no policy grants a right"},
		{"limits items", "^/a/items$[GET]"},
		{"rights items", "^/a/c$[GET] ^/a/items$[GET]"},
		{"peritems perb", "^/a/b$[GET]"},
		{"perb peritems", "^/a/items$[GET]"},
		{"peritems items posts", "^/a/items$[GET POST] ^/a/b$[GET]"},
		{"items peritems", "^/a/items$[GET]"},
		{"peritems rights", "denied: the policy rights cannot be merged"},
		{"rights peritems", "denied: the policy peritems cannot be merged"},
		{"rights items perb", "^/a/b$[GET]"},
		{"both", "denied: the policy both has per_api and another partition"},
		{"items inactive", "denied: a policy is inactive"},
		{"foreign", `denied: the policy foreign is of the organisation "other"`},
		{"items foreign", `denied: the policy foreign is of the organisation "other"`},
		{"empty", "denied: no policy grants a right"},
		{"empty items", "^/a/items$[GET]"},
		{"missing", `denied: the policy "missing" does not exist`},
		{"missing items", "^/a/items$[GET]"},
		{"elsewhere", "denied: it has no right for this API"},
	}
	set := read(t, policies)
	input := rights.Read(model.New(set))
	if len(set.Unchecked) > 0 {
		t.Fatal(set.Unchecked)
	}
	for _, row := range rows {
		got := describe(rights.Caller{Policies: strings.Fields(row.policies)}.On("a", "demo", input))
		if got != row.want && !(strings.HasPrefix(row.want, "denied") && strings.HasPrefix(got, row.want)) {
			t.Errorf("%s: got %s, want %s", row.policies, got, row.want)
		}
	}
	access := rights.Caller{Policies: []string{"every", "items"}}.On("a", "demo", input)
	if len(access.Notes) != 1 || !strings.Contains(access.Notes[0], "together they have the list alone") {
		t.Errorf("notes: %q", access.Notes)
	}
}

func TestKeys(t *testing.T) {
	set := read(t, `{"org_id": "demo", "alias": "partner", "access_rights": {"a": {"allowed_urls": [{"url": "/x", "methods": ["GET"]}]}}}`)
	input := rights.Read(model.New(set))
	if len(input.Keys) != 1 {
		t.Fatalf("%d keys", len(input.Keys))
	}
	caller := rights.Caller{Key: input.Keys[0]}
	if got := describe(caller.On("a", "demo", input)); got != "/x[GET]" || !caller.On("b", "demo", input).LacksRight() {
		t.Errorf("got %s", got)
	}
	if got := describe(rights.Caller{Key: &rights.Key{}}.On("a", "demo", input)); got != "every path" {
		t.Errorf("a key without rights: got %s", got)
	}
	if got := describe(rights.Caller{Key: &rights.Key{Inactive: true}}.On("a", "demo", input)); got != "denied: the key is inactive" {
		t.Errorf("an inactive key: got %s", got)
	}
}

// Tyk reads none of the policies of a file with a value of another type.
func TestUnreadable(t *testing.T) {
	for text, want := range map[string]string{
		`{"p": {"id": "p", "access_rights": ["a"]}}`:                                                                "access_rights: want an object",
		`{"p": {"id": "p", "access_rights": {"a": {"allowed_urls": {"url": "/x"}}}}}`:                               "allowed_urls: want a list",
		`{"p": {"id": "p", "access_rights": {"a": {"allowed_urls": ["/x"]}}}}`:                                      "an entry of allowed_urls",
		`{"p": {"id": "p", "access_rights": {"a": {"allowed_urls": [{"url": "/x", "methods": "GET"}]}}}}`:           "methods: want a list of texts",
		`{"p": {"id": "p", "access_rights": {"a": {"versions": "Default"}}}}`:                                       "versions: want a list of texts",
		`[{"id": "p", "name": "one", "access_rights": {"a": {}}}, {"id": "p", "name": "two", "access_rights": {}}]`: `the Tyk policy "p" is in the input twice`,
		`[{"name": "one", "access_rights": {"a": {}}}]`:                                                             "a Tyk policy without an id",
	} {
		set := read(t, text)
		rights.Read(model.New(set))
		if len(set.Unchecked) != 1 || !strings.Contains(set.Unchecked[0].Reason, want) {
			t.Errorf("%s: got %v, want %s", text, set.Unchecked, want)
		}
	}
}

// Patterns are prepared as Tyk's PreparePathRegexp does.
func TestExpression(t *testing.T) {
	for _, row := range []struct {
		pattern, switches, want string
	}{
		{"/a", "", "/a"}, {"/a", "p", "^/a"}, {"/a", "ps", "^/a$"}, {"^/a$", "ps", "^/a$"}, {"a", "p", "a"},
		{"/a/{id}", "", "/a/([^/]+)"}, {"/a/{id", "", "/a/{id"}, {"/a/*", "", "/a/.*"}, {"/a/*/b", "s", "/a/[^/]+/b$"}, {"/a[", "", "error"},
	} {
		got, err := rights.Switches{Prefix: strings.Contains(row.switches, "p"), Suffix: strings.Contains(row.switches, "s")}.Expression(row.pattern)
		if err != nil {
			got = "error"
		}
		if got != row.want {
			t.Errorf("%s (%s): got %s, want %s", row.pattern, row.switches, got, row.want)
		}
	}
}

func read(t *testing.T, text string) *objects.Set {
	t.Helper()
	r := objects.NewReader()
	if err := r.ReadStream("policies.json", bytes.NewReader([]byte(text))); err != nil {
		t.Fatal(err)
	}
	return r.Set
}

func describe(a rights.Access) string {
	if a.Denied != "" {
		return "denied: " + a.Denied
	}
	if len(a.Grants) == 0 {
		return "every path"
	}
	var all []string
	for _, g := range a.Grants {
		methods := slices.Clone(g.Methods)
		slices.Sort(methods)
		all = append(all, fmt.Sprintf("%s%v", g.URL, methods))
	}
	return strings.Join(all, " ")
}

// With both switches, Tyk also compares the text of a pattern with the path (httputil.MatchPath).
func TestExpressionOfAText(t *testing.T) {
	for pattern, test := range map[string]struct {
		switches rights.Switches
		want     string
	}{
		"/a+b":              {rights.Switches{Prefix: true, Suffix: true}, `^/a+b$|^/a\+b$`},
		"/a+c":              {rights.Switches{Suffix: true}, `/a+c$`},
		"/a+d":              {rights.Switches{Prefix: true}, `^/a+d`},
		"/items/{id}":       {rights.Switches{Prefix: true, Suffix: true}, `^/items/([^/]+)$`},
		"^/items/(?:[^/]+)": {rights.Switches{Prefix: true, Suffix: true}, `^/items/(?:[^/]+)$`},
		"/plain":            {rights.Switches{Prefix: true, Suffix: true}, `^/plain$`},
	} {
		if got, err := test.switches.Expression(pattern); err != nil || got != test.want {
			t.Errorf("%s: %s %v, want %s", pattern, got, err, test.want)
		}
	}
}
