package main

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// api is one of the APIs that are compared.
type api struct {
	id                  string // also of its row
	pre, postAuth, post []hook
}

func (a api) listenPath() string { return "/" + a.id + "/" }

type hook struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

// apis are compared, each with those before it.
var apis = []api{
	{id: "bench-none"},
	{id: "bench-noop", pre: noop, postAuth: noop, post: noop},
	{
		id:  "bench-identity",
		pre: identityHook("StripIdentity"), postAuth: identityHook("SignIdentity"), post: identityHook("GuardUpstream"),
	},
}

var noop = []hook{{"Pass", "plugins/noop.so"}}

func identityHook(name string) []hook { return []hook{{name, "plugins/identity.so"}} }

// session is the session of an API key that may use all of them, without a rate limit.
var session = map[string]any{
	"org_id":         "demo",
	"apply_policies": []string{},
	"rate":           -1,
	"quota_max":      -1,
	"meta_data":      map[string]string{"developer_id": "bench", "tenant": "acme"},
	"access_rights":  accessRights(),
}

func accessRights() map[string]any {
	all := map[string]any{}
	for _, a := range apis {
		all[a.id] = map[string]any{"api_id": a.id, "api_name": a.id, "versions": []string{"Default"}}
	}
	return all
}

// addAPIs returns a localmesh.Options.Prepare that adds them to the gateway. They go directly to
// upstream, because the mesh behind the gateway costs the same with any plugin.
func addAPIs(upstream string) func(dir string) error {
	return func(dir string) error {
		for _, a := range apis {
			data, err := json.Marshal(a.definition(upstream))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, "apis", a.id+".json"), data, 0o644); err != nil {
				return err
			}
		}
		return nil
	}
}

func (a api) definition(upstream string) map[string]any {
	return map[string]any{
		"api_id": a.id, "name": a.id, "org_id": "demo", "active": true,
		"use_standard_auth": true, "auth": map[string]any{"auth_header_name": "Authorization"},
		"strip_auth_data": true, "enable_context_vars": true, "disable_rate_limit": true, "disable_quota": true,
		"version_data": map[string]any{"not_versioned": true, "versions": map[string]any{"Default": map[string]any{"name": "Default"}}},
		"proxy":        map[string]any{"listen_path": a.listenPath(), "target_url": upstream, "strip_listen_path": true},
		"custom_middleware": map[string]any{
			"driver": "goplugin", "pre": a.pre, "post_key_auth": a.postAuth, "post": a.post,
		},
	}
}
