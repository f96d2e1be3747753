package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// openAPI is the OpenAPI form of an API with keys, to UPSTREAM, with all three hooks.
const openAPI = `{"openapi": "3.0.3", "info": {"title": "SELF", "version": "1"}, "paths": {}, "security": [{"key": []}],
	"components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "Authorization"}}},
	"x-tyk-api-gateway": {
		"info": {"id": "SELF", "name": "SELF", "orgId": "demo", "state": {"active": true}},
		"server": {"listenPath": {"value": "/SELF/", "strip": true}, "authentication": {"enabled": true, "securitySchemes": {"key": {"enabled": true}}}},
		"upstream": {"url": "UPSTREAM"},
		"middleware": {"global": {"contextVariables": {"enabled": true}, "pluginConfig": {"driver": "goplugin"},
			"prePlugins": [{"enabled": true, "functionName": "StripIdentity", "path": "plugins/identity.so"}],
			"postAuthenticationPlugins": [{"enabled": true, "functionName": "SignIdentity", "path": "plugins/identity.so"}],
			"postPlugins": [{"enabled": true, "functionName": "GuardUpstream", "path": "plugins/identity.so"}]}}}}`

// TestOpenAPIDefinitions: the same hooks and the same refusals for definitions in OpenAPI form.
func TestOpenAPIDefinitions(t *testing.T) {
	r := start(t, setup{}).serving(t)
	rows := []struct {
		id, old, new string
		want         answer
	}{
		{"oas", "", "", answer{200, "", signed}},
		{"oas-foreign", "UPSTREAM", "FOREIGN", answer{500, "upstream_refused", unreached}},
		{"oas-no-guard", `"GuardUpstream"`, `"StripIdentity"`, answer{500, "guard_missing", unreached}},
	}
	rights := []string{}
	for _, row := range rows {
		document := strings.ReplaceAll(strings.Replace(openAPI, row.old, row.new, 1), "SELF", row.id)
		r.control200(t, http.MethodPost, "/tyk/apis/oas", r.fill(document))
		rights = append(rights, fmt.Sprintf(`%q: {"api_id": %[1]q, "api_name": %[1]q, "versions": ["Default"]}`, row.id))
	}
	r.control200(t, http.MethodGet, "/tyk/reload/group?block=true", "")
	key := r.create(t, "/tyk/keys/create", `{"apply_policies": [], "meta_data": {"developer_id": "partner-7"}, "access_rights": {`+strings.Join(rights, ",")+`}}`)["key"].(string)
	for _, row := range rows {
		t.Run(row.id, func(t *testing.T) {
			r.await(t, func(context.Context) error {
				got := r.send(t, call{path: "/" + row.id + "/", header: http.Header{"Authorization": {key}}})
				if got.status == http.StatusNotFound {
					return fmt.Errorf("not loaded: %s", got.body)
				}
				if got.answer != row.want {
					t.Errorf("got %+v, want %+v\n%s", got.answer, row.want, got.body)
				}
				return nil
			})
		})
	}
	// The files that Tyk has written are checked, and the pairs agree.
	r.await(t, func(context.Context) error { return r.logged(`apis/oas-no-guard.json","cause":"hook_list"`) })
	if r.logged("oas_pair") == nil {
		t.Error("a pair that Tyk has written differs")
	}
}

func (r *rig) control200(t *testing.T, method, path, body string) {
	t.Helper()
	status, answer, err := r.control(t.Context(), method, path, body)
	must(t, err)
	if status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
}
