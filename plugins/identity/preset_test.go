package main

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/decision"
)

// The claims of tokens as the providers issue them: names, types and nesting are
// theirs, the values are made up. WHEN is a time to come.
var presetTokens = []struct {
	name, preset, claims string
	subject, scope       string
	tctx                 map[string]any
}{
	{"okta user", "okta", `{"ver": 1, "jti": "AT.q1", "iss": "https://acme.okta.com/oauth2/aus1", "aud": "orders", "iat": 1700000000, "exp": WHEN, "auth_time": 1700000000,
		"cid": "0oa7web", "uid": "00u9alice", "scp": ["openid", "orders.read"], "sub": "alice@example.com", "groups": ["Everyone", "orders-eu"]}`,
		"idp:00u9alice", "openid orders.read", map[string]any{"client": "0oa7web", "groups": []any{"Everyone", "orders-eu"}}},
	{"okta service", "okta", `{"ver": 1, "jti": "AT.q2", "iss": "https://acme.okta.com/oauth2/aus1", "aud": "orders", "iat": 1700000000, "exp": WHEN,
		"cid": "0oa8batch", "scp": ["orders.read"], "sub": "0oa8batch"}`,
		"idp:0oa8batch", "orders.read", map[string]any{"client": "0oa8batch"}},
	{"auth0 user", "auth0", `{"https://acme.example.com/tenant": "acme", "iss": "https://acme.eu.auth0.com/", "sub": "auth0|64f0c1", "aud": ["orders", "https://acme.eu.auth0.com/userinfo"],
		"iat": 1700000000, "exp": WHEN, "scope": "openid orders:read", "azp": "Xw3", "permissions": ["orders:read", "orders:refund"]}`,
		"idp:auth0|64f0c1", "openid orders:read", map[string]any{"client": "Xw3", "permissions": []any{"orders:read", "orders:refund"}}},
	{"auth0 service", "auth0", `{"iss": "https://acme.eu.auth0.com/", "sub": "Xw4@clients", "aud": "orders", "iat": 1700000000, "exp": WHEN, "scope": "orders:read",
		"gty": "client-credentials", "azp": "Xw4", "permissions": ["orders:read"]}`,
		"idp:Xw4@clients", "orders:read", map[string]any{"client": "Xw4", "permissions": []any{"orders:read"}}},
	{"keycloak user", "keycloak", `{"exp": WHEN, "iat": 1700000000, "auth_time": 1700000000, "jti": "onrtac:1", "iss": "https://sso.example.com/realms/acme", "aud": ["orders", "account"],
		"sub": "3f2a77b0-0000-4000-8000-000000000001", "typ": "Bearer", "azp": "web", "sid": "s1", "acr": "1", "allowed-origins": ["https://shop.example.com"],
		"realm_access": {"roles": ["offline_access", "clerk"]}, "resource_access": {"orders": {"roles": ["reader"]}, "account": {"roles": ["view-profile"]}},
		"scope": "openid orders", "email_verified": true, "preferred_username": "alice"}`,
		"idp:3f2a77b0-0000-4000-8000-000000000001", "openid orders", map[string]any{"client": "web", "roles": []any{"offline_access", "clerk"}}},
	{"keycloak service account", "keycloak", `{"exp": WHEN, "iat": 1700000000, "jti": "trrtcc:1", "iss": "https://sso.example.com/realms/acme", "aud": "orders",
		"sub": "3f2a77b0-0000-4000-8000-000000000002", "typ": "Bearer", "azp": "batch", "scope": "orders", "clientHost": "192.0.2.7", "preferred_username": "service-account-batch"}`,
		"idp:3f2a77b0-0000-4000-8000-000000000002", "orders", map[string]any{"client": "batch"}},
	{"entra user", "entra", `{"aud": "orders", "iss": "https://login.microsoftonline.com/7a1d/v2.0", "iat": 1700000000, "nbf": 1700000000, "exp": WHEN, "aio": "AWQ", "azp": "c1e0", "azpacr": "1",
		"name": "Alice", "oid": "b6f2", "preferred_username": "alice@example.com", "rh": "0.A", "roles": ["Orders.Clerk"], "scp": "Orders.Read Orders.Write",
		"sub": "pairwise-0f", "tid": "7a1d", "uti": "u1", "ver": "2.0"}`,
		"idp:b6f2@7a1d", "Orders.Read Orders.Write", map[string]any{"client": "c1e0", "roles": []any{"Orders.Clerk"}, "tenant": "7a1d"}},
	{"entra service", "entra", `{"aud": "orders", "iss": "https://login.microsoftonline.com/7a1d/v2.0", "iat": 1700000000, "nbf": 1700000000, "exp": WHEN, "azp": "c2e0", "azpacr": "2",
		"idtyp": "app", "oid": "d9a4", "roles": ["Orders.Read.All"], "sub": "d9a4", "tid": "7a1d", "ver": "2.0"}`,
		"idp:d9a4@7a1d", "", map[string]any{"client": "c2e0", "roles": []any{"Orders.Read.All"}, "tenant": "7a1d"}},
}

func TestPresets(t *testing.T) {
	for _, row := range presetTokens {
		t.Run(row.name, func(t *testing.T) {
			c := withClaims(t, row.claims)
			p := startPreset(t, row.preset, c)
			r := c.request()
			got := signed(t, p, r, p.sign(r))
			if got.Subject != row.subject || got.Scope != row.scope {
				t.Errorf("got %s with %q, want %s with %q", got.Subject, got.Scope, row.subject, row.scope)
			}
			for _, ours := range []string{"api", "auth", "org", "sid"} {
				delete(got.Tctx, ours)
			}
			equal(t, got.Tctx, row.tctx)
		})
	}
}

// startPreset loads the plugin with one provider: the call's issuer, read by a
// preset and what is set beside it.
func startPreset(t *testing.T, preset string, c *call, beside ...string) *rig {
	t.Helper()
	entry := append([]string{"alias: idp", "preset: " + preset, "issuer: \"" + c.claims["iss"].(string) + "\"", "audiences: [orders]"}, beside...)
	return startWith(t, "  - {"+strings.Join(entry, ", ")+"}\n")
}

// startWith loads the plugin with these entries of idps.
func startWith(t *testing.T, entries string) *rig {
	t.Helper()
	_, whole, _ := strings.Cut(settingsText, "idps:\n")
	whole, _, _ = strings.Cut(whole, "apiKeys:")
	return start(t, whole, entries)
}

// withClaims is a call with a token of these claims.
func withClaims(t *testing.T, claims string) *call {
	t.Helper()
	c := jwtCall()
	c.claims = map[string]any{}
	when, err := json.Marshal(inSeconds(600))
	must(t, err)
	must(t, json.Unmarshal([]byte(strings.ReplaceAll(claims, "WHEN", string(when))), &c.claims))
	sum := md5.Sum([]byte(c.claims["sub"].(string)))
	c.session.KeyID = "demo" + hex.EncodeToString(sum[:])
	return c
}

// What the entry itself says takes the place of the preset's.
func TestPresetGivesWay(t *testing.T) {
	c := withClaims(t, presetTokens[2].claims)
	p := startPreset(t, "auth0", c, "subject: azp", "scopes: [permissions]", `claims: {tenant: "https://acme.example.com/tenant"}`)
	r := c.request()
	got := signed(t, p, r, p.sign(r))
	if got.Subject != "idp:Xw3" || got.Scope != "orders:read orders:refund" || got.Tctx["tenant"] != "acme" || got.Tctx["client"] != nil {
		t.Errorf("got %s with %q and %v", got.Subject, got.Scope, got.Tctx)
	}
}

// Tokens that lack what a preset takes for the user's name have no other.
func TestPresetSubjectAbsent(t *testing.T) {
	rows := []struct{ name, preset, claims string }{
		{"entra without tenant", "entra", `{"iss": "https://sts.example.com", "aud": "orders", "exp": WHEN, "sub": "x", "oid": "b6f2"}`},
		{"entra with a joint in a part", "entra", `{"iss": "https://sts.example.com", "aud": "orders", "exp": WHEN, "sub": "x", "oid": "b6f2@7a1d", "tid": "1"}`},
		{"okta with nothing but a login", "okta", `{"iss": "https://sts.example.com", "aud": "orders", "exp": WHEN, "sub": "alice@example.com"}`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := withClaims(t, row.claims)
			p := startPreset(t, row.preset, c)
			r := c.request()
			refused(t, p, r, p.sign(r), 403, decision.SubjectUnknown)
		})
	}
}

// A claim's own name goes before a path of the same letters.
func TestLookup(t *testing.T) {
	claims := map[string]any{"a": map[string]any{"b": map[string]any{"c": "nested"}, "b.c": "half"}, "x.y": "flat", "x": map[string]any{"y": "nested"}, "t": "text"}
	claim := func(name string) any { return claims[name] }
	for path, want := range map[string]any{"x.y": "flat", "a.b.c": "half", "a.b": claims["a"].(map[string]any)["b"], "t.x": nil, "a.z": nil, "": nil, "a.": nil, ".a": nil} {
		equal(t, lookup(claim, path), want)
	}
}
