package main

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
)

// Tokens that a provider signs for other purposes with the same keys.
func TestKindsOfToken(t *testing.T) {
	typ := func(value any) func(*call) { return func(c *call) { c.claims["typ"] = value } }
	claim := func(name string, value any) func(*call) { return func(c *call) { c.claims[name] = value } }
	const logout = "http://schemas.openid.net/event/backchannel-logout"
	rows := []struct {
		name   string
		idp    string // beside the entry
		change func(*call)
		passes bool
	}{
		{"JWT", "", typ("JWT"), true},
		{"jwt in small letters", "", typ("jwt"), true},
		{"application/jwt", "", typ("application/jwt"), true},
		{"at+jwt", "", typ("at+jwt"), true},
		{"Application/AT+JWT", "", typ("Application/AT+JWT"), true},
		{"no typ", "", func(c *call) { delete(c.claims, "typ") }, true},
		{"empty typ", "", typ(""), false},
		{"typ none", "", typ("none"), false},
		{"typ application/none", "", typ("application/none"), false},
		{"typ null", "", typ(nil), false},
		{"typ in a list", "", typ([]any{"JWT"}), false},
		{"typ with a parameter", "", typ("JWT; a=b"), false},
		{"typ of another tree", "", typ("text/JWT"), false},
		{"logout token by typ", "", typ("logout+jwt"), false},
		{"security event by typ", "", typ("application/secevent+jwt"), false},
		{"transaction token", "", typ("txntoken+jwt"), false},
		{"DPoP proof", "", typ("dpop+jwt"), false},
		{"authorization request", "", typ("oauth-authz-req+jwt"), false},
		{"logout token by its event", "", claim("events", map[string]any{logout: map[string]any{}}), false},
		{"events of no kind", "", claim("events", map[string]any{}), false},
		{"events null", "", claim("events", nil), false},
		{"client assertion", "", func(c *call) { asSubject(c, "https://idp.example.com") }, false},
		{"ID token", "", claim("nonce", "n"), true},
		{"ID token by hash", "", claim("at_hash", "h"), true},

		{"ID token where access tokens alone pass", "accessTokensOnly: true", claim("nonce", "n"), false},
		{"ID token by hash where access tokens alone pass", "accessTokensOnly: true", claim("at_hash", "h"), false},
		{"ID token by the hash of a code where access tokens alone pass", "accessTokensOnly: true", claim("c_hash", "h"), false},
		{"ID token of Cognito where access tokens alone pass", "accessTokensOnly: true", claim("token_use", "id"), false},
		{"access token of Cognito where access tokens alone pass", "accessTokensOnly: true", claim("token_use", "access"), true},
		{"access token where access tokens alone pass", "accessTokensOnly: true", func(*call) {}, true},

		{"at+jwt alone", "types: [at+jwt]", typ("at+jwt"), true},
		{"at+jwt alone and JWT", "types: [at+jwt]", typ("JWT"), false},
		{"at+jwt alone and no typ", "types: [at+jwt]", func(c *call) { delete(c.claims, "typ") }, false},
		{"a type of one's own", "types: [application/ACME-Access, none]", typ("acme-access"), true},
	}
	for _, row := range rows {
		for _, m := range []tykapi.Method{tykapi.MethodJWT, tykapi.MethodOIDC} {
			t.Run(row.name+" "+string(m), func(t *testing.T) {
				p := startRig(t, "subject: sub\n", "subject: sub\n    "+row.idp+"\n")
				c := jwtCall()
				row.change(c)
				if m == tykapi.MethodOIDC {
					openID(c)
				}
				r := c.request()
				if rw := p.callSignAndGuard(r); row.passes {
					requireSigned(t, p, r, rw)
				} else {
					requireDenied(t, p, r, rw, 401, decision.TypeMismatch)
				}
			})
		}
	}
}

// Keycloak writes a claim typ too, which is not the header's field.
func TestClaimNamedTyp(t *testing.T) {
	for typ, passes := range map[string]bool{"Bearer": true, "ID": false} {
		c := withClaims(t, strings.Replace(presetTokens[4].claims, `"typ": "Bearer"`, `"typ": "`+typ+`"`, 1))
		p := startPreset(t, "keycloak", c, "accessTokensOnly: true")
		r := c.request()
		if rw := p.callSignAndGuard(r); passes {
			requireSigned(t, p, r, rw)
		} else {
			requireDenied(t, p, r, rw, 401, decision.TypeMismatch)
		}
	}
}
