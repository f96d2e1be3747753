package bench

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// gatewayAPI is one of the APIs that are compared. They are the same in all but their hooks.
type gatewayAPI struct {
	id                  string
	jwt                 bool // callers have a JWT; else an API key
	pre, postAuth, post []hook
}

type hook struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

var gatewayAPIs = []gatewayAPI{
	{id: "none"},
	{id: "noop", pre: noop, postAuth: noop, post: noop},
	{id: "plugin", pre: pluginHook("StripIdentity"), postAuth: pluginHook("SignIdentity"), post: pluginHook("GuardUpstream")},
	{id: "jwt-noop", jwt: true, pre: noop, postAuth: noop, post: noop},
	{id: "jwt-plugin", jwt: true, pre: pluginHook("StripIdentity"), postAuth: pluginHook("SignIdentity"), post: pluginHook("GuardUpstream")},
}

var noop = []hook{{"Pass", "plugins/noop.so"}}

func pluginHook(name string) []hook { return []hook{{name, "plugins/identity.so"}} }

func (a gatewayAPI) listenPath() string { return "/" + a.id + "/" }

func (a gatewayAPI) definition(upstream string) map[string]any {
	d := map[string]any{
		"api_id": a.id, "name": a.id, "org_id": "bench", "active": true, "auth": map[string]any{"auth_header_name": "Authorization"},
		"strip_auth_data": true, "enable_context_vars": true, "disable_rate_limit": true, "disable_quota": true,
		"version_data": map[string]any{"not_versioned": true, "versions": map[string]any{"Default": map[string]any{"name": "Default"}}},
		"proxy":        map[string]any{"listen_path": a.listenPath(), "target_url": upstream, "strip_listen_path": true},
		"custom_middleware": map[string]any{
			"driver": "goplugin", "pre": a.pre, "post_key_auth": a.postAuth, "post": a.post,
		},
	}
	if !a.jwt {
		d["use_standard_auth"] = true
		return d
	}
	d["enable_jwt"], d["jwt_signing_method"], d["jwt_source"] = true, "hmac", base64.StdEncoding.EncodeToString([]byte(callerSecret))
	d["jwt_identity_base_field"], d["jwt_default_policies"] = "sub", []string{"all"}
	return d
}

// accessRights grants a session all APIs.
func accessRights() string {
	all := map[string]any{}
	for _, a := range gatewayAPIs {
		all[a.id] = map[string]any{"api_id": a.id, "api_name": a.id, "versions": []string{"Default"}}
	}
	data, _ := json.Marshal(all) // of texts
	return string(data)
}

// callerSecret signs the callers' JWTs. The gateway verifies them, which is no part of the plugin's cost.
const callerSecret = "a secret for benchmarks, of more than 32 bytes"

// newCallerJWT is a token as an identity provider issues it, for an hour.
func newCallerJWT() string {
	now := time.Now()
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT","kid":"1"}`))
	claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil,
		`{"iss":"https://idp.bench.meshpass.dev","sub":"0a4c7d5e-1111-4222-8333-944455556666","aud":["shop"],"iat":%d,"nbf":%d,"exp":%d,"jti":"5d7d0f0e-4a8c-4d3b-a3f4-0d3f6e1f2a11",`+
			`"auth_time":%d,"azp":"web","scope":"openid profile orders.read","tenant":"acme","roles":["buyer","approver"],"email":"alice@example.com","email_verified":true,"name":"Alice Example"}`,
		now.Unix(), now.Unix(), now.Add(time.Hour).Unix(), now.Unix()))
	mac := hmac.New(sha256.New, []byte(callerSecret))
	mac.Write([]byte(header + "." + claims))
	return header + "." + claims + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
