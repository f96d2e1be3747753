//go:build lintproof

package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// more are definitions for codes of `meshpass lint`, with the requests that show them.
var more = []struct {
	code, id, api string
	calls         []call
	want          []int // status of each call
	says          string
}{
	{"tyk_version_unknown", "unknown-version", `{"definition": {"enabled": true, "name": "v1", "default": "self", "location": "header", "key": "x-version", "versions": {"v2": "SELF-9"}}}`,
		[]call{{path: "/unknown-version/", as: "key", header: v2}, {path: "/unknown-version/", as: "key"}}, []int{404, 200}, ""},
	{"tyk_context_variables", "no-variables", `{` + twoTenants + `, "enable_context_vars": false}`, []call{{path: "/no-variables/", as: "acme"}}, []int{500}, "claims_unavailable"},
	{"tyk_listen_path_invalid", "open-brace", `{"proxy": {"listen_path": "/open-{x/"}}`, []call{{path: "/open-7/", as: "key"}}, []int{404}, ""},
	{"tyk_protocol", "tcp", `{"protocol": "tcp", "listen_port": 0}`, []call{{path: "/tcp/", as: "key"}}, []int{404}, ""},
	{"tyk_api_id_duplicate", "twice-1", `{"api_id": "twice", "proxy": {"listen_path": "/twice-1/"}}`, nil, nil, ""},
	{"tyk_api_id_duplicate", "twice-2", `{"api_id": "twice", "proxy": {"listen_path": "/twice-2/"}}`, nil, nil, ""},
	{"tyk_upstream_outside", "h2c", `{"proxy": {"target_url": "h2c://localhost:9"}}`, []call{{path: "/h2c/", as: "key"}}, []int{500}, "upstream_refused"},
}

// hooksOf lists our hooks with the path of a plugin.
func hooksOf(path string) string {
	return fmt.Sprintf(`{"custom_middleware": {"pre": [{"name": "StripIdentity", "path": %[1]q}], "post_key_auth": [{"name": "SignIdentity", "path": %[1]q}],
		"post": [{"name": "GuardUpstream", "path": %[1]q}]}}`, path)
}

// TestLintDefinitions: the gateway shows the faults that `meshpass lint` finds in more definitions, in policies and in headers.
func TestLintDefinitions(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewEncoder(w).Encode(r.Header); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(echo.Close)
	transform := `{"proxy": {"target_url": "` + echo.URL + `"}, "version_data": {"versions": {"Default": {"name": "Default", "global_headers": {"X-Meshpass-Sub": "root"}}}}}`
	apis := []definition{
		{id: "transform", json: transform}, {id: "transform-alone", json: transform, alone: true},
		{id: "policy-unknown", json: strings.ReplaceAll(`{"use_standard_auth": false, `+madeJWT+`}`, `["all"]`, `["nobody"]`)},
		{id: "policy-no-rights", json: strings.ReplaceAll(`{"use_standard_auth": false, `+madeJWT+`}`, `["all"]`, `["no-rights"]`)},
	}
	for _, f := range more {
		apis = append(apis, definition{id: f.id, json: f.api})
	}
	apis = append(apis, definition{id: "own-release", json: hooksOf(pluginOf(t, "v5.8.1"))}, definition{id: "other-release", json: hooksOf(pluginOf(t, "v5.8.0"))})
	r := start(t, setup{apis: apis, first: func(r *rig) {
		policies := readJSON(t, r.path("policies.json"))
		rights := policies["all"].(map[string]any)["access_rights"].(map[string]any)
		rights["twice"] = map[string]any{"api_id": "twice", "api_name": "twice", "versions": []string{"Default"}}
		policies["no-rights"] = map[string]any{"id": "no-rights", "name": "no-rights", "org_id": "demo", "active": true, "state": "active", "rate": 1000, "per": 1, "quota_max": -1}
		r.writeJSON(t, "policies.json", policies)
	}}).serving(t)
	for _, f := range more {
		for i, c := range f.calls {
			t.Run(f.code+" "+c.path, func(t *testing.T) {
				if got := r.send(t, c); got.status != f.want[i] || f.says != "" && got.says != f.says {
					t.Errorf("got %d (%s), want %d (%s)", got.status, got.says, f.want[i], f.says)
				}
			})
		}
	}
	t.Run("tyk_plugin_release", func(t *testing.T) {
		for id, want := range map[string]answer{"own-release": {200, "", signed}, "other-release": {500, "Internal Server Error", unreached}} {
			if got := r.send(t, call{path: "/" + id + "/", as: "key"}); got.answer != want {
				t.Errorf("%s: got %+v, want %+v", id, got.answer, want)
			}
		}
	})
	t.Run("tyk_api_id_duplicate", func(t *testing.T) {
		one, two := r.send(t, call{path: "/twice-1/", as: "key"}), r.send(t, call{path: "/twice-2/", as: "key"})
		if want := (answer{200, "", signed}); one.answer != want || two.answer != want {
			t.Errorf("got %+v and %+v, want both %+v", one.answer, two.answer, want)
		}
	})
	t.Run("tyk_header_transform", func(t *testing.T) {
		for id, arrives := range map[string]bool{"transform": false, "transform-alone": true} {
			got := r.send(t, call{path: "/" + id + "/", as: "key"})
			if got.status != http.StatusOK || strings.Contains(got.body, `"X-Meshpass-Sub":["root"]`) != arrives {
				t.Errorf("%s: got %d %s, want that the header arrives: %t", id, got.status, got.body, arrives)
			}
		}
	})
	for _, row := range []struct{ code, id, says string }{
		{"tyk_policy_unknown", "policy-unknown", `failed to create key: policy not found: "nobody"`},
		{"tyk_policy_api_unknown", "policy-no-rights", "failed to create key: key has no valid policies to be applied"},
	} {
		t.Run(row.code, func(t *testing.T) {
			got := r.send(t, call{path: "/" + row.id + "/", header: bearer(made(t, madeSecret, nil, map[string]any{"sub": "dave-" + row.id}))})
			if want := (answer{500, row.says, unreached}); got.answer != want {
				t.Errorf("got %+v, want %+v", got.answer, want)
			}
		})
	}
}

// TestLintGateways: a gateway shows the faults that `meshpass lint` finds in its own configuration.
func TestLintGateways(t *testing.T) {
	s := newBundleServer(t)
	s.build(t, "unsigned.zip", "--unsigned", pluginOf(t, "v5.8.1"))
	const public = "352d20ee67be67f6340b4c0605b044b7"
	conf := strings.Replace(s.conf(), `"public_key_path"`, `"pprof": false, "no_public_key_path"`, 1)
	unverified := start(t, setup{apis: bundled("unsigned", "unsigned.zip"), conf: conf[:len(conf)-1] + `, "secret": "` + public + `"}`, alone: true})
	unverified.await(t, unverified.serves)
	t.Run("tyk_default_secret", func(t *testing.T) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, unverified.admin+"/tyk/apis", nil)
		must(t, err)
		request.Header.Set("X-Tyk-Authorization", public)
		response, err := anybody.Do(request)
		must(t, err)
		must(t, response.Body.Close())
		if response.StatusCode != http.StatusOK {
			t.Errorf("got %d, want 200", response.StatusCode)
		}
	})
	t.Run("tyk_bundle_without_key", func(t *testing.T) {
		if got := unverified.send(t, call{path: "/unsigned-canary/"}); got.status != http.StatusOK || got.says != "ready" {
			t.Errorf("the canary of an unsigned bundle: got %d (%s), want 200 (ready)", got.status, got.says)
		}
	})
	off := start(t, setup{apis: bundled("unsigned", "unsigned.zip"), alone: true}).serving(t)
	t.Run("tyk_bundle_not_loaded", func(t *testing.T) {
		if got := off.send(t, call{path: "/unsigned/", as: "key"}); got.answer != notLoaded {
			t.Errorf("got %+v, want %+v", got.answer, notLoaded)
		}
	})
}
