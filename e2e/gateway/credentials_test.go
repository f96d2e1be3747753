package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// credentialAPIs are called with credentials that say odd things.
var credentialAPIs = []definition{
	{id: "key", json: `{}`},
	{id: "basic", json: `{"use_standard_auth": false, "use_basic_auth": true}`},
	{id: "oauth", json: `{"use_standard_auth": false, "use_oauth2": true, "oauth_meta": {"allowed_access_types": ["client_credentials"], "allowed_authorize_types": ["token"]}}`},
	{id: "jwt", json: `{"use_standard_auth": false, ` + madeJWT + `}`},
	{id: "shop", json: `{"use_standard_auth": false, ` + madeJWT + `, "config_data": {"meshpass": {"audiences": ["shop"]}}}`},
	{id: "reports", json: `{"use_standard_auth": false, ` + madeJWT + `, "config_data": {"meshpass": {"audiences": ["reports"]}}}`},
}

// TestCredentials: Tyk verifies each of these, and only some are access tokens whose claims a token of
// ours can carry as they are.
func TestCredentials(t *testing.T) {
	r := start(t, setup{apis: credentialAPIs}).serving(t)
	jwt := func(header, claims map[string]any) http.Header {
		whole := map[string]any{"sub": "alice"}
		merge(whole, claims)
		return bearer(made(t, madeSecret, header, whole))
	}
	claim := func(name string, value any) http.Header { return jwt(nil, map[string]any{name: value}) }
	digits := func(text string) http.Header { return claim("tenant", json.Number(text)) }
	typ := func(text string) http.Header { return jwt(map[string]any{"typ": text}, nil) }
	key := func(session string) http.Header {
		return http.Header{"Authorization": {r.create(t, "/tyk/keys/create", session)["key"].(string)}}
	}
	user := func(name, metadata string) http.Header {
		r.create(t, "/tyk/keys/"+name, `{"basic_auth_data": {"password": "pass"}, "meta_data": `+metadata+`}`)
		return basic(name, "pass")
	}
	client := func(id, metadata string) http.Header {
		r.create(t, "/tyk/oauth/clients/create", `{"client_id": "`+id+`", "secret": "s", "api_id": "oauth", "policy_id": "all", "redirect_uri": "http://127.0.0.1", "meta_data": `+metadata+`}`)
		return bearer(r.oauthToken(t, "oauth", id, "s"))
	}
	invalid, other, elsewhere := answer{401, "claims_invalid", unreached}, answer{401, "type_mismatch", unreached}, answer{401, "audience_mismatch", unreached}
	rows := []struct {
		name   string
		api    string
		header http.Header
		want   answer // zero: signed
		tenant any
	}{
		{"the largest integer", "jwt", digits("9007199254740991"), answer{}, int64(9007199254740991)},
		{"a fraction", "jwt", digits("0.1"), answer{}, 0.1},
		{"2^53+1", "jwt", digits("9007199254740993"), invalid, nil},
		{"a long identifier", "jwt", digits("1152921504606846977"), invalid, nil},
		{"a fraction beyond a double", "jwt", digits("0.10000000000000000001"), invalid, nil},
		{"an exponent", "jwt", digits("1e2"), invalid, nil},
		{"minus zero", "jwt", digits("-0"), invalid, nil},
		{"a list of lists", "jwt", claim("tenant", []any{[]any{"a"}}), invalid, nil},
		{"a lost character", "jwt", claim("tenant", "\ufffd"), invalid, nil},
		{"an empty scope", "jwt", claim("scope", []any{""}), invalid, nil},
		{"a scope that is not ASCII", "jwt", claim("scope", "größe"), invalid, nil},
		{"a scope with a quotation mark", "jwt", claim("scope", `a"b`), invalid, nil},
		{"a scope that would be two", "jwt", claim("scope", []any{"c d"}), invalid, nil},
		{"2^53+1 of a key", "key", key(`{"meta_data": {"developer_id": "partner-7", "tenant": 9007199254740993}}`), invalid, nil},
		{"an integer of a key", "key", key(`{"meta_data": {"developer_id": "partner-7", "tenant": 7}}`), answer{}, int64(7)},
		{"2^53+1 of a key's policy", "key", key(`{"apply_policies": ["` + numbering + `"], "meta_data": {"developer_id": "partner-7"}}`), invalid, nil},
		{"a long identifier of a basic user", "basic", user("alice", `{"tenant": 1152921504606846977}`), invalid, nil},
		{"a long identifier of an OAuth client", "oauth", client("app-8", `{"tenant": 1152921504606846977}`), invalid, nil},

		{"application/jwt", "jwt", typ("application/jwt"), answer{}, nil},
		{"at+jwt", "jwt", typ("at+jwt"), answer{}, nil},
		{"no typ", "jwt", jwt(map[string]any{"typ": nil}, nil), answer{}, nil},
		{"ID token", "jwt", claim("nonce", "n"), answer{}, nil},
		{"logout token", "jwt", typ("logout+jwt"), other, nil},
		{"logout token without typ", "jwt", jwt(map[string]any{"typ": nil}, map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}), other, nil},
		{"security event", "jwt", typ("secevent+jwt"), other, nil},
		{"transaction token", "jwt", typ("txntoken+jwt"), other, nil},
		{"client assertion", "jwt", claim("sub", madeIssuer), other, nil},

		{"the API's audience", "reports", claim("aud", "reports"), answer{}, nil},
		{"another API's audience", "reports", claim("aud", "shop"), elsewhere, nil},
		{"another API's audience, the other way round", "shop", claim("aud", []any{"reports"}), elsewhere, nil},
		{"both APIs' audience", "shop", claim("aud", []any{"reports", "shop"}), answer{}, nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got := r.send(t, call{path: "/" + row.api + "/", header: row.header})
			if row.want != (answer{}) {
				if challenge := got.header.Get("WWW-Authenticate"); got.answer != row.want || !strings.HasPrefix(challenge, "B") {
					t.Errorf("got %+v with the challenge %q, want %+v", got.answer, challenge, row.want)
				}
				return
			}
			if got.claims == nil {
				t.Fatalf("got %+v %s, want a token", got.answer, got.body)
			}
			if tenant := got.claims.Tctx["tenant"]; tenant != row.tenant {
				t.Errorf("tenant %v (%[1]T), want %v (%[2]T)", tenant, row.tenant)
			}
		})
	}
}

// TestClaimBehindANameWithDots: the name is found as providers nest it.
func TestClaimBehindANameWithDots(t *testing.T) {
	r := start(t, setup{apis: credentialAPIs}).serving(t)
	token := made(t, madeSecret, nil, map[string]any{"sub": "alice", "made.example.com": map[string]any{"plan": "gold"}})
	got := r.send(t, call{path: "/jwt/", header: bearer(token)})
	if got.claims == nil || got.claims.Tctx["plan"] != "gold" {
		t.Errorf("got %+v with %+v, want the plan gold", got.answer, got.claims)
	}
	if err := r.logged(`"claim":"tctx.tenant","from":"tenant"`); err != nil {
		t.Error(err) // this token has none
	}
}
