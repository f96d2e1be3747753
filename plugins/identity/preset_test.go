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
// theirs, the values are made up. WHEN is a time in the future.
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
		"idp:cid/0oa8batch", "orders.read", map[string]any{"client": "0oa8batch"}},
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
			got := requireSigned(t, p, r, p.callSignAndGuard(r))
			if got.Subject != row.subject || got.Scope != row.scope {
				t.Errorf("got %s with %q, want %s with %q", got.Subject, got.Scope, row.subject, row.scope)
			}
			for _, ours := range []string{"api", "auth", "org", "sid"} {
				delete(got.Tctx, ours)
			}
			requireEqual(t, got.Tctx, row.tctx)
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
	return startRig(t, whole, entries)
}

// withClaims is a call with a token of these claims.
func withClaims(t *testing.T, claims string) *call {
	t.Helper()
	c := jwtCall()
	c.claims, c.claimed = map[string]any{}, []string{"typ"} // Keycloak writes it there too
	when, err := json.Marshal(inSeconds(600))
	requireNoError(t, err)
	requireNoError(t, json.Unmarshal([]byte(strings.ReplaceAll(claims, "WHEN", string(when))), &c.claims))
	asSubject(c, c.claims["sub"].(string))
	return c
}

// asSubject names the user, and the session as Tyk does.
func asSubject(c *call, sub string) {
	c.claims["sub"] = sub
	sum := md5.Sum([]byte(sub))
	c.session.KeyID = "demo" + hex.EncodeToString(sum[:])
}

// Keys of the entry itself replace those of the preset, claim by claim.
func TestPresetGivesWay(t *testing.T) {
	c := withClaims(t, presetTokens[2].claims)
	p := startPreset(t, "auth0", c, "subject: azp", "scopes: [permissions]", `claims: {tenant: "https://acme.example.com/tenant"}`)
	r := c.request()
	got := requireSigned(t, p, r, p.callSignAndGuard(r))
	if got.Subject != "idp:Xw3" || got.Scope != "orders:read orders:refund" || got.Tctx["tenant"] != "acme" || got.Tctx["client"] != "Xw3" || got.Tctx["permissions"] == nil {
		t.Errorf("got %s with %q and %v", got.Subject, got.Scope, got.Tctx)
	}
}

func TestClaimOfPresetIsReplacedOrRemoved(t *testing.T) {
	c := withClaims(t, presetTokens[2].claims)
	p := startPreset(t, "auth0", c, `claims: {client: false, permissions: {from: permissions, keep: ["*:read"]}}`)
	r := c.request()
	got := requireSigned(t, p, r, p.callSignAndGuard(r))
	requireEqual(t, got.Tctx["permissions"], any([]any{"orders:read"}))
	if client, there := got.Tctx["client"]; there {
		t.Errorf("client %v: want none", client)
	}
}

// The value of one claim is never the subject that another claim names.
func TestAlternativesDoNotCollide(t *testing.T) {
	rows := []struct {
		name, subject string
		victim        string // claims
		attacker      string
		want, got     string // subjects; "": refused with claims_invalid or subject_unknown
	}{
		{"two claims and one that holds their joint", "oid+tid|email", `"oid": "b6f2", "tid": "7a1d.example"`, `"email": "b6f2@7a1d.example"`, "idp:b6f2@7a1d.example", "idp:email/b6f2@7a1d.example"},
		{"one that holds the joint goes first", "email|oid+tid", `"email": "b6f2@7a1d"`, `"oid": "b6f2", "tid": "7a1d"`, "idp:b6f2@7a1d", "idp:oid+tid/b6f2@7a1d"},
		{"a user and a client of one name", "uid|cid", `"uid": "00u9alice"`, `"cid": "00u9alice"`, "idp:00u9alice", "idp:cid/00u9alice"},
		{"a user named like a client's subject", "uid|cid", `"cid": "0oa"`, `"uid": "cid/0oa"`, "idp:cid/0oa", ""},
		{"three alternatives", "a|b|c", `"b": "x"`, `"c": "x"`, "idp:b/x", "idp:c/x"},
		{"two pairs", "a+b|c+d", `"a": "x", "b": "y"`, `"c": "x", "d": "y"`, "idp:x@y", "idp:c+d/x@y"},
		{"the joint in a part", "a+b|c", `"a": "x", "b": "y"`, `"a": "x@y", "b": "z", "c": "x@y"`, "idp:x@y", ""},
		{"a first claim that is no text", "uid|cid", `"cid": "0oa"`, `"uid": 7, "cid": "0oa"`, "idp:cid/0oa", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := startRig(t, "subject: sub", "subject: "+row.subject)
			for claims, want := range map[string]string{row.victim: row.want, row.attacker: row.got} {
				c := withClaims(t, `{"iss": "https://idp.example.com", "aud": "shop", "exp": WHEN, "sub": "s", `+claims+`}`)
				r := c.request()
				if rw := p.callSignAndGuard(r); want == "" {
					requireDenied(t, p, r, rw, 403, decision.SubjectUnknown)
				} else if got := requireSigned(t, p, r, rw).Subject; got != want {
					t.Errorf("%s: got %s, want %s", claims, got, want)
				}
			}
		})
	}
}

// A token without the claim that the preset reads has no other subject.
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
			requireDenied(t, p, r, p.callSignAndGuard(r), 403, decision.SubjectUnknown)
		})
	}
}

// The same paths from a token to a claim, and from metadata.
func TestPathsThroughNamesWithDots(t *testing.T) {
	p := startRig(t, "tenant: org_id", "tenant: kubernetes.io.namespace, roles: resource_access.orders.api.roles", "scopes: [scope, scp]", `scopes: ["https://idp.example.com/app.scopes"]`,
		"tenant: meta.tenant", "tenant: meta.org.example.id", "subject: meta.developer_id", "subject: meta.dev.id")
	c := jwtCall()
	c.claims["kubernetes.io"] = map[string]any{"namespace": "shop"}
	c.claims["resource_access"] = map[string]any{"orders.api": map[string]any{"roles": []any{"reader"}}}
	c.claims["https://idp.example.com/app"] = map[string]any{"scopes": "orders.read"}
	r := c.request()
	got := requireSigned(t, p, r, p.callSignAndGuard(r))
	requireEqual(t, []any{got.Scope, got.Tctx["tenant"], got.Tctx["roles"]}, []any{"orders.read", "shop", []any{"reader"}})

	k := keyCall()
	k.session.MetaData = map[string]any{"org.example": map[string]any{"id": "acme"}, "dev": map[string]any{"id": "partner-7"}}
	r = k.request()
	got = requireSigned(t, p, r, p.callSignAndGuard(r))
	requireEqual(t, []any{got.Subject, got.Tctx["tenant"]}, []any{"key:partner-7", "acme"})
}

// A field of the header is not read for a name of a path either.
func TestHeaderFieldOnAPath(t *testing.T) {
	p := startRig(t, "tenant: org_id", "tenant: a.b.c")
	c := jwtCall()
	c.claims["a.b"], c.joseFields = map[string]any{"c": "evil"}, []string{"a.b"}
	r := c.request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 401, decision.ClaimsInvalid)
}
