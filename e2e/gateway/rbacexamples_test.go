package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// exampleAPIs are definitions whose routing is easily got wrong, with what differs from the shipped one.
var exampleAPIs = map[string]string{
	"lists": `{"proxy": {"listen_path": "/lists/"}, "version_data": {"versions": {"Default": {"name": "Default", "use_extended_paths": true, "extended_paths": {
		"white_list": [{"path": "^/a", "method": "GET"}, {"path": "/b/{x}", "method": "POST"}], "black_list": [{"path": "/a/admin", "method": "GET"}]}}}}}`,
	"base":    `{"proxy": {"listen_path": "/base", "target_url": "TARGET/v1"}}`,
	"whole":   `{"proxy": {"listen_path": "/{tenant}/whole/", "strip_listen_path": false}}`,
	"inpath":  `{"proxy": {"listen_path": "/inpath/"}, "definition": {"location": "url", "key": "", "strip_versioning_data": true}, "version_data": {"not_versioned": false, "default_version": "v1", "versions": {"Default": null, "v1": {"name": "v1"}, "v2": {"name": "v2", "override_target": "TARGET/two"}}}}`,
	"falling": `{"proxy": {"listen_path": "/falling/"}, "definition": {"location": "header", "key": "x-version", "fallback_to_default": true}, "version_data": {"not_versioned": false, "default_version": "v1", "versions": {"Default": null, "v1": {"name": "v1", "override_target": "TARGET/two"}, "v2": {"name": "v2", "override_target": "TARGET/three"}}}}`,
	"parent":  `{"proxy": {"listen_path": "/parent/"}, "definition": {"enabled": true, "name": "base", "default": "base", "location": "header", "key": "x-version", "versions": {"next": "child"}}}`,
	"child":   `{"proxy": {"listen_path": "/child/", "target_url": "TARGET/child"}}`,
}

// exampleRights are the allowed URLs of the role, at each API.
const exampleRights = `[{"url": "/a", "methods": ["GET", "POST"]}, {"url": "/b/{x}", "methods": ["POST", "GET"]}, {"url": "^/[a-z]+/a/.*/c$", "methods": ["GET"]}, {"url": "/*/x", "methods": ["DELETE"]}]`

// TestRBACExamples: a real gateway admits each example that `meshpass rbac` prints for a grant, and sends it to the upstream's path that it prints.
func TestRBACExamples(t *testing.T) {
	target := upstreamEcho(t)
	var apis []definition
	rights := map[string]any{}
	var documents strings.Builder
	var callees []string
	for id, text := range exampleAPIs {
		whole := parse(t, `{"proxy": {"target_url": "`+target+`", "strip_listen_path": true}}`)
		merge(whole, parse(t, strings.ReplaceAll(text, "TARGET", target)))
		data, err := json.Marshal(whole)
		must(t, err)
		apis = append(apis, definition{id: id, json: string(data), alone: true})
		versions := []string{"Default", "v1", "v2"}
		if id == "falling" { // the right for the default version admits the others
			versions = versions[:2]
		}
		rights[id] = map[string]any{"api_id": id, "versions": versions, "allowed_urls": json.RawMessage(exampleRights)}
		fmt.Fprintf(&documents, "---\napiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: %s}\nspec:\n  targets: {workloads: [ns/shop/sa/%s]}\n  rules:\n    - {name: r, effect: allow, to: {paths: [\"/a\", \"/{x}/b/**\", \"/v1/a/**\", \"/two/**\"]}}\n", id, id)
		callees = append(callees, "--callee", id+"=ns/shop/sa/"+id)
	}
	for _, switches := range []string{`{}`, `{"enable_path_prefix_matching": true, "enable_path_suffix_matching": true, "enable_strict_routes": true}`} {
		t.Run(switches, func(t *testing.T) {
			r := start(t, setup{apis: apis, conf: `{"log_level": "error", "http_server_options": ` + switches + `, ` + realRedis(t) + `}`, alone: true, bare: true, first: func(r *rig) {
				r.url, r.admin = strings.Replace(r.url, "https:", "http:", 1), strings.Replace(r.admin, "https:", "http:", 1)
				must(t, os.Remove(r.path("policies.json")))
				r.writeJSON(t, "policies.json", map[string]any{"role": map[string]any{"id": "role", "name": "role", "org_id": "demo", "active": true, "access_rights": rights}})
				r.write(t, "documents.yaml", documents.String())
			}})
			r.await(t, r.serves)
			status, body, err := r.control(t.Context(), http.MethodPost, "/tyk/keys/create", `{"org_id": "demo", "apply_policies": ["role"]}`)
			must(t, err)
			key, _ := parse(t, string(body))["key"].(string)
			if status != http.StatusOK || key == "" {
				t.Fatalf("no key: %d %s", status, body)
			}
			must(t, os.Remove(r.path("apis/"+canary+".json")))
			code, output, problems := runMeshpass(t, append([]string{"rbac", "-f", r.path("tyk.conf"), "-f", r.path("apis"), "-f", r.path("policies.json"), "-f", r.path("documents.yaml"), "--gateway", gatewayWorkload, "-o", "json"}, callees...)...)
			if code != 1 {
				t.Fatalf("exit code %d: %s%s", code, problems, output)
			}
			checkExamples(t, r, key, output)
		})
	}
}

func checkExamples(t *testing.T, r *rig, key, output string) {
	t.Helper()
	var report struct {
		Rows []struct {
			API, Kind string
			Rule      bool
			Example   *struct{ Method, Client, Upstream, Version string }
		}
	}
	must(t, json.Unmarshal([]byte(output), &report))
	checked := map[string]int{}
	for _, row := range report.Rows {
		if row.Rule || row.Example == nil {
			continue
		}
		request, err := http.NewRequestWithContext(t.Context(), row.Example.Method, r.url+(&url.URL{Path: row.Example.Client}).EscapedPath(), nil)
		must(t, err)
		request.Header.Set("Authorization", key)
		if row.API == "child" && strings.HasPrefix(row.Example.Client, "/parent/") {
			request.Header.Set("X-Version", "next")
		}
		if row.API == "falling" {
			request.Header.Set("X-Version", row.Example.Version)
			checked[row.API+" "+row.Example.Version]++
		}
		response, err := rbacClient.Do(request)
		must(t, err)
		must(t, response.Body.Close())
		got, err := url.PathUnescape(response.Header.Get("X-Path"))
		must(t, err)
		if response.StatusCode != http.StatusOK || got != row.Example.Upstream {
			t.Errorf("%s %s: %+v: status %d, the upstream got %q", row.API, row.Kind, *row.Example, response.StatusCode, got)
		}
		checked[row.API]++
	}
	t.Logf("examples: %v", checked)
	if checked["falling v2"] == 0 {
		t.Error("no example of the version that the right does not name")
	}
	for id := range exampleAPIs {
		if checked[id] == 0 {
			t.Errorf("API %s has no example", id)
		}
	}
}
