package gateway_test

import (
	"net/http"
	"testing"
)

// extended is the only version of an API, with lists of endpoints.
func extended(lists string) string {
	return `{"version_data": {"versions": {"Default": {"name": "Default", "use_extended_paths": true, "extended_paths": {` + lists + `}}}}}`
}

// lintFacts are definitions for which `meshpass lint` has codes, with the requests that show them.
var lintFacts = []struct {
	code, id, api string
	calls         []call
	want          []int // status of each call
}{
	{"tyk_inactive_served", "inactive", `{"active": false}`, []call{{path: "/inactive/", as: "key"}}, []int{200}},
	{"tyk_domain_ignored", "domain", `{"domain": "reports.example"}`,
		[]call{{path: "/domain/", as: "key"}, {path: "/domain/", as: "key", host: "other.example"}}, []int{200, 200}},
	{"tyk_listen_path_prefix", "prefix", `{"proxy": {"listen_path": "/prefix"}}`,
		[]call{{path: "/prefix-of-another", as: "key"}}, []int{200}},
	{"tyk_listen_path_collision", "same-1", `{"proxy": {"listen_path": "/same/"}}`, []call{{path: "/same/", as: "key"}}, []int{404}},
	{"", "same-2", `{"proxy": {"listen_path": "/same/"}}`, nil, nil},
	{"tyk_unanchored_pattern", "allowing", extended(`"white_list": [{"path": "/items/{id}", "method": "GET"}]`),
		[]call{{path: "/allowing/x/items/7/secret", as: "key"}, {path: "/allowing/secret", as: "key"}}, []int{200, 403}},
	{"", "anchored", extended(`"white_list": [{"path": "^/items/{id}$", "method": "GET"}]`),
		[]call{{path: "/anchored/x/items/7/secret", as: "key"}, {path: "/anchored/items/7", as: "key"}}, []int{403, 200}},
	{"tyk_pattern_invalid", "invalid", extended(`"black_list": [{"path": "/admin[", "method": "GET"}]`), []call{{path: "/invalid/", as: "key"}}, []int{0}},
	{"tyk_alias", "blocking", `{"proxy": {"listen_path": "/blocked/"}, ` + extended(`"black_list": [{"path": "^/admin", "method": "GET"}]`)[1:],
		[]call{{path: "/blocked/admin", as: "key"}, {path: "/blocking/admin", as: "key"}}, []int{403, 200}},
	{"", "blocking-itself", extended(`"black_list": [{"path": "^/admin", "method": "GET"}]`), []call{{path: "/blocking-itself/admin", as: "key"}}, []int{403}},
	{"tyk_canary_missing", "slashed", `{}`, []call{{path: "/slashed", as: "key"}}, []int{404}},
	{"tyk_dynamic_discovery", "discovery", `{"proxy": {"service_discovery": {"use_discovery_service": true, "query_endpoint": "UPSTREAM"}}}`,
		[]call{{path: "/discovery/", as: "key"}}, []int{500}},
	{"tyk_guard_not_last", "not-last", `{"custom_middleware": {"post": [{"name": "GuardUpstream", "path": "plugins/identity.so"}, {"name": "Canary", "path": "plugins/identity.so"}]}}`,
		[]call{{path: "/not-last/", as: "key"}}, []int{500}},
	{"tyk_auth_header", "our-header", `{"auth": {"auth_header_name": "Txn-Token"}, "auth_configs": {"authToken": {"auth_header_name": "Txn-Token"}}}`,
		[]call{{path: "/our-header/", as: "key"}}, []int{401}},
}

// TestLintFacts: the gateway shows the faults that `meshpass lint` finds in a definition.
func TestLintFacts(t *testing.T) {
	var apis []definition
	for _, f := range lintFacts {
		apis = append(apis, definition{id: f.id, json: f.api})
	}
	r := start(t, setup{apis: apis}).serving(t)
	for _, f := range lintFacts {
		for i, c := range f.calls {
			t.Run(f.code+" "+c.path, func(t *testing.T) {
				if f.id == "our-header" {
					c.header = http.Header{"Txn-Token": {r.key}}
				}
				if got := r.send(t, c); got.status != f.want[i] {
					t.Errorf("got %d (%s), want %d", got.status, got.says, f.want[i])
				}
			})
		}
	}
}
