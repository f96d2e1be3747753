package gateway_test

import (
	"encoding/base64"
	"maps"
	"net/http"
	"testing"
)

var (
	madeJWT = `"enable_jwt": true, "jwt_signing_method": "hmac", "jwt_source": "` + base64.StdEncoding.EncodeToString([]byte(madeSecret)) + `",
		"jwt_identity_base_field": "sub", "jwt_policy_field_name": "pol", "jwt_default_policies": ["all"]`
	twoHeaders = `"auth_configs": {"basic": {"auth_header_name": "Authorization"}, "jwt": {"auth_header_name": "X-JWT"}}`
)

// kindAPIs are one API for each way to authenticate, and some with two.
var kindAPIs = []definition{
	{id: "key", json: `{}`},
	{id: "oidc", json: `{` + twoTenants + `}`},
	{id: "jwt", json: `{"use_standard_auth": false, ` + madeJWT + `}`},
	{id: "jwt-one-to-one", json: `{"use_standard_auth": false, "enable_jwt": true, "jwt_signing_method": "hmac", "jwt_identity_base_field": "sub"}`},
	{id: "oauth", json: `{"use_standard_auth": false, "use_oauth2": true, "oauth_meta": {"allowed_access_types": ["client_credentials"], "allowed_authorize_types": ["token"]}}`},
	{id: "basic", json: `{"use_standard_auth": false, "use_basic_auth": true}`},
	{id: "hmac", json: `{"use_standard_auth": false, "enable_signature_checking": true, "hmac_allowed_clock_skew": -1}`},
	{id: "custom", json: `{"use_standard_auth": false, "custom_plugin_auth_enabled": true, "custom_middleware": {"auth_check": {"name": "Authenticate", "path": "plugins/customauth.so"}}}`},
	{id: "basic-and-jwt", json: `{"use_standard_auth": false, "use_basic_auth": true, ` + madeJWT + `, ` + twoHeaders + `, "base_identity_provided_by": "basic_auth_user"}`},
	{id: "jwt-and-basic", json: `{"use_standard_auth": false, "use_basic_auth": true, ` + madeJWT + `, ` + twoHeaders + `, "base_identity_provided_by": "jwt_claim"}`},
	{id: "no-word", json: `{"use_standard_auth": false, "use_basic_auth": true, ` + madeJWT + `, ` + twoHeaders + `}`},
}

// kindRow is a caller, and the identity that the upstream sees.
type kindRow struct {
	name    string // of the row in docs/gateway.md
	api     string
	call    call
	subject string // "": refused
	refused answer
}

// TestKinds asks with every kind of session, and with its hostile twin: what Tyk takes for the same, and is not.
func TestKinds(t *testing.T) {
	built(t, "customauth")
	r := start(t, setup{apis: kindAPIs}).serving(t)
	for _, row := range kindRows(t, r) {
		t.Run(row.name, func(t *testing.T) {
			row.call.path = "/" + row.api + "/"
			got := r.send(t, row.call)
			if row.subject == "" {
				if got.answer != row.refused {
					t.Errorf("got %+v, want %+v", got.answer, row.refused)
				}
				return
			}
			if got.claims == nil || got.claims.Subject != row.subject {
				t.Fatalf("got %+v %s with %+v, want %s", got.answer, got.body, got.claims, row.subject)
			}
			if tenant := got.claims.Tctx["tenant"]; tenant == "evil" && row.api != "key" { // a policy's metadata are a key's own
				t.Error("the token says what a policy, a header field or a client's metadata say")
			}
		})
	}
}

// kindRows makes the sessions, and the requests that use them or pretend to.
func kindRows(t *testing.T, r *rig) []kindRow {
	r.create(t, "/tyk/keys/alice", `{"basic_auth_data": {"password": "pass"}}`)
	r.create(t, "/tyk/keys/robot", `{"hmac_enabled": true, "hmac_string": "shared"}`)
	alias := r.create(t, "/tyk/keys/create", `{"alias": "acme:alice", "meta_data": {"developer_id": "partner-9"}}`)["key"].(string)
	added := r.create(t, "/tyk/keys/create", `{"apply_policies": ["`+adding+`"], "meta_data": {"developer_id": "partner-9"}}`)["key"].(string)
	r.create(t, "/tyk/oauth/clients/create", `{"client_id": "app-7", "secret": "s", "api_id": "oauth", "policy_id": "all", "redirect_uri": "http://127.0.0.1",
		"meta_data": {"developer_id": "partner-7", "user": "alice", "sub": "alice"}}`)
	token := r.oauthToken(t, "oauth", "app-7", "s")
	jwt := func(header, claims map[string]any) http.Header { return bearer(made(t, madeSecret, header, claims)) }
	alice, bob := map[string]any{"sub": "alice"}, map[string]any{"sub": "bob", "tenant": "acme"}
	both := func(basicUser http.Header, token http.Header) http.Header {
		all := maps.Clone(basicUser)
		all["X-Jwt"] = token["Authorization"]
		return all
	}
	with := func(header http.Header) call { return call{header: header} }
	key := func(name string) call { return with(http.Header{"Authorization": {name}}) }
	r.send(t, call{path: "/jwt/", header: jwt(nil, alice)}) // Tyk has a session for alice from here on
	unbound := answer{401, "claims_unbound", unreached}
	return []kindRow{
		{"key", "key", call{as: "key"}, "key:partner-7", answer{}},
		{"key whose alias imitates a user", "key", key(alias), "key:partner-9", answer{}},
		{"key with a policy that adds metadata", "key", key(added), "key:root", answer{}},
		{"name of a JWT user's session as key", "key", key("demo" + sessionOf("alice")), "", unbound},
		{"name of a basic user as key", "key", key("alice"), "", unbound},
		{"id of an HMAC client as key", "key", key("robot"), "", unbound},
		{"OAuth token as key", "key", key(token), "", unbound},

		{"two providers with one subject: acme", "oidc", call{as: "acme"}, "acme:alice", answer{}},
		{"two providers with one subject: globex", "oidc", call{as: "globex"}, "globex:alice", answer{}},
		{"JWT", "jwt", with(jwt(nil, bob)), "made:bob", answer{}},
		{"JWT with a policy that adds metadata", "jwt", with(jwt(nil, map[string]any{"sub": "carol", "pol": adding})), "made:carol", answer{}},
		{"JWT with a header field named like a claim", "jwt", with(jwt(map[string]any{"tenant": "evil"}, alice)), "", answer{401, "claims_invalid", unreached}},
		{"JWT without an end", "jwt", with(jwt(nil, map[string]any{"sub": "alice", "exp": nil})), "", answer{401, "claims_invalid", unreached}},
		{"JWT of another issuer", "jwt", with(jwt(nil, map[string]any{"sub": "alice", "iss": "https://other.example.com"})), "", answer{401, "issuer_unknown", unreached}},
		{"JWT in the name of another provider's user", "jwt", with(jwt(nil, map[string]any{"sub": "alice", "iss": r.fill("ACME")})), "", answer{401, "issuer_unknown", unreached}},
		{"JWT for another audience", "jwt", with(jwt(nil, map[string]any{"sub": "alice", "aud": "other"})), "", answer{401, "audience_mismatch", unreached}},
		{"JWT that names a session without a secret", "jwt-one-to-one", with(bearer(made(t, "", map[string]any{"kid": sessionOf("alice")}, alice))), "",
			answer{500, "session_unsupported", unreached}},

		{"OAuth, a client whose metadata imitate", "oauth", with(bearer(token)), "oauth:app-7", answer{}},
		{"basic, a user named like another's subject", "basic", with(basic("alice", "pass")), "basic:alice", answer{}},
		{"basic, a session without a password", "basic", with(basic(sessionOf("alice"), "")), "", unbound},
		{"HMAC", "hmac", with(signature("robot", "shared")), "hmac:robot", answer{}},
		{"HMAC, the other spelling of the key id", "hmac", with(signature("demorobot", "shared")), "hmac:robot", answer{}},
		{"HMAC, the name of a JWT user's session", "hmac", with(signature(sessionOf("alice"), "")), "",
			answer{400, "Authorization field missing, malformed or invalid", unreached}},
		{"plugin", "custom", with(http.Header{"X-Custom-User": {"alice"}}), "custom:alice", answer{}},
		{"plugin, a session that names nobody", "custom", call{}, "", answer{403, "subject_unknown", unreached}},

		{"basic and JWT, identity by basic", "basic-and-jwt", with(both(basic("alice", "pass"), jwt(nil, bob))), "basic:alice", answer{}},
		{"basic and JWT, identity by JWT", "jwt-and-basic", with(both(basic("alice", "pass"), jwt(nil, bob))), "made:bob", answer{}},
		{"basic and JWT, and no word", "no-word", with(both(basic("alice", "pass"), jwt(nil, bob))), "", answer{500, "session_unsupported", unreached}},
	}
}
