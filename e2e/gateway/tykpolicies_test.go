package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// mergedPolicies are those of rights.TestMerge of extauthz.
const mergedPolicies = `{
"every": {"id": "every", "org_id": "demo", "access_rights": {"a": {"api_id": "a", "versions": ["Default"]}}},
"items": {"id": "items", "org_id": "demo", "access_rights": {"a": {"api_id": "a", "versions": ["Default"], "allowed_urls": [{"url": "^/a/items$", "methods": ["GET"]}]}}},
"posts": {"id": "posts", "org_id": "demo", "access_rights": {"a": {"api_id": "a", "versions": ["Default"], "allowed_urls": [{"url": "^/a/items$", "methods": ["POST"]}, {"url": "^/a/b$", "methods": ["GET"]}]}}},
"limits": {"id": "limits", "org_id": "demo", "partitions": {"quota": true, "rate_limit": true}, "access_rights": {"a": {"api_id": "a"}}},
"rights": {"id": "rights", "org_id": "demo", "partitions": {"acl": true}, "access_rights": {"a": {"api_id": "a", "allowed_urls": [{"url": "^/a/c$", "methods": ["GET"]}]}}},
"peritems": {"id": "peritems", "org_id": "demo", "partitions": {"per_api": true}, "access_rights": {"a": {"api_id": "a", "allowed_urls": [{"url": "^/a/items$", "methods": ["GET"]}]}}},
"perb": {"id": "perb", "org_id": "demo", "partitions": {"per_api": true}, "access_rights": {"a": {"api_id": "a", "allowed_urls": [{"url": "^/a/b$", "methods": ["GET"]}]}}},
"both": {"id": "both", "org_id": "demo", "partitions": {"per_api": true, "acl": true}, "access_rights": {"a": {"api_id": "a"}}},
"inactive": {"id": "inactive", "org_id": "demo", "is_inactive": true, "access_rights": {"a": {"api_id": "a"}}},
"foreign": {"id": "foreign", "org_id": "other", "access_rights": {"a": {"api_id": "a"}}},
"empty": {"id": "empty", "org_id": "demo", "access_rights": {}},
"elsewhere": {"id": "elsewhere", "org_id": "demo", "access_rights": {"b": {"api_id": "b"}}},
"anywhere": {"id": "anywhere", "org_id": "demo", "access_rights": {"a": {"api_id": "a", "allowed_urls": [{"url": "/b", "methods": ["GET"]}]}}},
"broken": {"id": "broken", "org_id": "demo", "access_rights": {"a": {"api_id": "a", "allowed_urls": [{"url": "/b[", "methods": ["GET"]}, {"url": "^/a/c$", "methods": ["GET"]}]}}},
"nomethod": {"id": "nomethod", "org_id": "demo", "access_rights": {"a": {"api_id": "a", "allowed_urls": [{"url": "^/a/c$", "methods": []}]}}}
}`

// TestTykPolicies: what a real gateway admits by several policies. extauthz/internal/rbac/rights merges them in the same way.
func TestTykPolicies(t *testing.T) {
	rows := []struct {
		policies string
		want     string // of the requests below, those that pass
	}{
		{"every", "GET /a/items, POST /a/items, GET /a/b, GET /a/c, GET /a/x/b/y"},
		{"items", "GET /a/items"},
		{"every items", "GET /a/items"},
		{"items every", "GET /a/items"},
		{"items posts", "GET /a/items, POST /a/items, GET /a/b"},
		{"limits", ""},
		{"limits items", "GET /a/items"},
		{"rights items", "GET /a/items, GET /a/c"},
		{"peritems perb", "GET /a/b"},
		{"perb peritems", "GET /a/items"},
		{"peritems items posts", "GET /a/items, POST /a/items, GET /a/b"},
		{"items peritems", "GET /a/items"},
		{"peritems rights", ""},
		{"rights peritems", ""},
		{"rights items perb", "GET /a/b"},
		{"both", ""},
		{"items inactive", ""},
		{"foreign", ""},
		{"items foreign", ""},
		{"empty", ""},
		{"empty items", "GET /a/items"},
		{"missing", ""},
		{"missing items", "GET /a/items"},
		{"elsewhere", ""},
		{"anywhere", "GET /a/b, GET /a/x/b/y"},
		{"broken", "GET /a/c"},
		{"nomethod", ""},
	}
	target := upstreamEcho(t)
	api := `{"proxy": {"listen_path": "/a/", "target_url": "` + target + `", "strip_listen_path": true}}`
	other := `{"proxy": {"listen_path": "/b/", "target_url": "` + target + `"}}`
	r := start(t, setup{apis: []definition{{"a", api, true}, {"b", other, true}}, conf: `{` + realRedis(t) + `}`, alone: true, bare: true, first: func(r *rig) {
		policies := readJSON(t, r.path("policies.json"))
		merge(policies, parse(t, mergedPolicies))
		r.writeJSON(t, "policies.json", policies)
	}})
	r.await(t, r.serves)
	for _, row := range rows {
		t.Run(row.policies, func(t *testing.T) {
			data, err := json.Marshal(map[string]any{"org_id": "demo", "apply_policies": strings.Fields(row.policies)})
			must(t, err)
			_, body, err := r.control(t.Context(), http.MethodPost, "/tyk/keys/create", string(data))
			must(t, err)
			key, _ := parse(t, string(body))["key"].(string)
			var passed []string
			for _, request := range []string{"GET /a/items", "POST /a/items", "GET /a/b", "GET /a/c", "GET /a/x/b/y"} {
				method, path, _ := strings.Cut(request, " ")
				if got := r.send(t, call{method: method, path: path, header: http.Header{"Authorization": {key}}}); got.status == http.StatusOK {
					passed = append(passed, request)
				} else if got.status != http.StatusForbidden && got.status != http.StatusUnauthorized {
					t.Errorf("%s: status %d (%s)", request, got.status, got.says)
				}
			}
			if got := strings.Join(passed, ", "); got != row.want {
				t.Errorf("got %q, want %q (key: %s)", got, row.want, body)
			}
		})
	}
}
