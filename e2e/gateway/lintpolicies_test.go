//go:build lintproof

package gateway_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// parts are definitions with parts that Tyk reads in another way than they are meant, with the requests that show it.
var parts = []struct {
	code, id, api string
	call          call
	want          int
	says          string
}{
	{"tyk_expired", "expired", `{"expiration": "2020-01-01 00:00"}`, call{path: "/expired/", as: "key"}, 403, ""},
	{"tyk_version_missing", "no-versions", `{"version_data": null}`, call{path: "/no-versions/", as: "key"}, 403, "Version information not found"},
	{"tyk_part_unused", "unused", `{"version_data": {"versions": {"Default": {"name": "Default", "extended_paths": {"black_list": [{"path": "/admin", "method": "GET"}]}}}}}`,
		call{path: "/unused/admin", as: "key"}, 200, ""},
	{"tyk_internal_target_unknown", "no-loop", `{"proxy": {"target_url": "tyk://nobody-here/"}}`, call{path: "/no-loop/", as: "key"}, 500, ""},
	{"tyk_preserve_host", "keeps-host", `{"proxy": {"preserve_host_header": true}}`, call{path: "/keeps-host/", host: "shop.example", as: "key"}, 500, "upstream_refused"},
	{"tyk_own_settings_invalid", "own-settings", `{"config_data": {"meshpass": {"identity": "optional"}}}`, call{path: "/own-settings/", as: "key"}, 500, "config_invalid"},
	{"tyk_certificate_without_tls", "certificate", `{"use_keyless": true, "use_standard_auth": false, "use_mutual_tls_auth": true, "client_certificates": []}`,
		call{path: "/certificate/"}, 403, ""},
	{"tyk_port_closed", "closed", `{"listen_port": 9}`, call{path: "/closed/", as: "key"}, 404, ""},
	{"variable_unknown", "no-variable", `{"proxy": {"target_url": "env://NO_SUCH_VARIABLE"}}`, call{path: "/no-variable/", as: "key"}, 500, "upstream_refused"},
}

// TestLintParts: the gateway shows the faults that `meshpass lint` finds in parts of definitions.
func TestLintParts(t *testing.T) {
	versions := `{"version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default"}, "Other": {"name": "Other", "use_extended_paths": true,
		"extended_paths": {"black_list": [{"path": "/admin", "method": "GET"}]}}}}}`
	apis := []definition{{id: "by-chance", json: versions}}
	for _, p := range parts {
		apis = append(apis, definition{id: p.id, json: p.api})
	}
	r := start(t, setup{apis: apis}).serving(t)
	for _, p := range parts {
		t.Run(p.code, func(t *testing.T) {
			if got := r.send(t, p.call); got.status != p.want || p.says != "" && got.says != p.says {
				t.Errorf("got %d (%s), want %d (%s)", got.status, got.says, p.want, p.says)
			}
		})
	}
	if err := r.logged("trying to open disabled port"); err != nil {
		t.Error(err)
	}
	t.Run("tyk_version_by_chance", func(t *testing.T) {
		seen := map[int]int{}
		for range 100 { // by chance, 100 requests have one version in one of 2^99 runs
			seen[r.send(t, call{path: "/by-chance/admin", as: "key"}).status]++
		}
		if seen[http.StatusOK] == 0 || seen[http.StatusForbidden] == 0 || len(seen) != 2 {
			t.Errorf("got %v, want 200 and 403", seen)
		}
	})
	t.Run("key_without_subject", func(t *testing.T) {
		got := r.send(t, call{path: "/unused/", header: http.Header{"Authorization": {r.newKey(t, `{"tenant": "acme"}`)}}})
		if got.status != http.StatusForbidden || got.says != "subject_unknown" {
			t.Errorf("got %d (%s)", got.status, got.says)
		}
	})
}

// TestLintPolicies: the gateway shows the faults that `meshpass lint` finds in Tyk policies and keys.
func TestLintPolicies(t *testing.T) {
	withPolicy := func(policies string) string {
		return strings.ReplaceAll(`{"use_standard_auth": false, `+madeJWT+`}`, `["all"]`, policies)
	}
	rows := []struct {
		code, id, api, says string
		want                int
	}{
		{"tyk_policy_inactive", "inactive", withPolicy(`["inactive"]`), "session_inactive", 401},
		{"tyk_policy_active_ignored", "not-active", withPolicy(`["not-active"]`), "", 200},
		{"tyk_policy_rejected", "foreign", withPolicy(`["foreign"]`), "failed to create key: attempting to apply policy from different organisation to key, skipping", 500},
		{"tyk_policy_version_unknown", "versioned", strings.Replace(withPolicy(`["other-version"]`), "{", `{"version_data": {"not_versioned": false, "default_version": "Default"}, `, 1),
			"Access to this API has been disallowed", 403},
		{"tyk_no_policy", "no-policy", strings.Replace(withPolicy(`[]`), `"pol"`, `""`, 1), "key not authorized: no matching policy found", 403},
		{"tyk_no_policy", "no-right", withPolicy(`["other-version"]`), "Access to this API has been disallowed", 403},
		{"tyk_no_policy", "limits-alone", withPolicy(`["limits-alone"]`), "failed to create key: key has no valid policies to be applied", 500},
	}
	var apis []definition
	for _, row := range rows {
		apis = append(apis, definition{id: row.id, json: row.api})
	}
	r := start(t, setup{apis: append(apis, definition{id: "by-key", json: "{}"}), first: func(r *rig) {
		policies := readJSON(t, r.path("policies.json"))
		add := func(id string, over map[string]any) {
			policy := map[string]any{"id": id, "name": id, "org_id": "demo", "active": true, "state": "active", "rate": 1000, "per": 1, "quota_max": -1,
				"access_rights": policies["all"].(map[string]any)["access_rights"]}
			merge(policy, over)
			policies[id] = policy
		}
		add("inactive", map[string]any{"is_inactive": true})
		add("not-active", map[string]any{"active": false})
		add("foreign", map[string]any{"org_id": "another"})
		add("limits-alone", map[string]any{"partitions": map[string]any{"quota": true, "rate_limit": true}})
		policies["other-version"] = map[string]any{"id": "other-version", "org_id": "demo", "active": true, "rate": 1000, "per": 1, "quota_max": -1,
			"access_rights": map[string]any{"versioned": map[string]any{"api_id": "versioned", "versions": []string{"v9"}}}}
		r.writeJSON(t, "policies.json", policies)
	}}).serving(t)
	for _, row := range rows {
		t.Run(row.code+" "+row.id, func(t *testing.T) {
			got := r.send(t, call{path: "/" + row.id + "/", header: bearer(made(t, madeSecret, nil, map[string]any{"sub": "dave-" + row.id}))})
			if got.status != row.want || got.says != row.says {
				t.Errorf("got %d (%s), want %d (%s)", got.status, got.says, row.want, row.says)
			}
		})
	}
	t.Run("an expired key", func(t *testing.T) {
		key := r.create(t, "/tyk/keys/create", `{"org_id": "demo", "apply_policies": ["all"], "expires": 1700000000, "meta_data": {"developer_id": "partner-7"}}`)["key"].(string)
		if got := r.send(t, call{path: "/by-key/", header: http.Header{"Authorization": {key}}}); got.status != http.StatusUnauthorized {
			t.Errorf("got %d (%s), want 401", got.status, got.says)
		}
	})
}

// TestLintPolicyFiles: with a list of policies the gateway loads no API, and a control API without a secret is open.
func TestLintPolicyFiles(t *testing.T) {
	r := start(t, setup{conf: `{"secret": ""}`, first: func(r *rig) {
		r.writeJSON(t, "policies.json", []any{readJSON(t, r.path("policies.json"))["all"]})
	}})
	r.await(t, func(context.Context) error { return r.logged(`"msg":"Error during syncing policies"`) })
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.admin+"/tyk/apis", nil)
	must(t, err)
	response, err := anybody.Do(request)
	must(t, err)
	body, err := io.ReadAll(response.Body)
	must(t, err)
	must(t, response.Body.Close())
	if response.StatusCode != http.StatusOK || len(body) > 4 {
		t.Errorf("the control API without a secret: got %d %s, want 200 and no API", response.StatusCode, body)
	}
}
