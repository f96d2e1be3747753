package main

import (
	"encoding/base64"
	"testing"

	"github.com/TykTechnologies/tyk/apidef"

	"github.com/meshpass/meshpass/shared/decision"
)

// Tyk verifies a token with the keys that the API names, and does not compare the issuer.
func TestProvidersSignForTheirOwnUsersOnly(t *testing.T) {
	const one, other = "https://idp.example.com/jwks", "https://other.example.com/jwks"
	oidc := func(c *call) {
		c.api.EnableJWT, c.api.UseOpenID, c.api.JWTSource = false, true, ""
		c.api.OpenIDOptions = apidef.OpenIDOptions{Providers: []apidef.OIDProviderConfig{{Issuer: "https://idp.example.com"}}}
	}
	source := func(text string) func(*call) { return func(c *call) { c.api.JWTSource = text } }
	names := func(sources string) string {
		return "  - {alias: idp, issuer: https://idp.example.com, audiences: [shop], subject: sub" + sources + "}\n"
	}
	const second = "  - {alias: second, issuer: https://other.example.com, audiences: [shop], subject: sub, jwtSources: [" + other + "]}\n"
	const its = ", jwtSources: [" + one + "]"
	rows := []struct {
		name    string
		idps    string
		change  func(*call)
		refused bool
	}{
		{"one provider that names no keys", names(""), source(other), false},
		{"one provider and its keys", names(its), source(one), false},
		{"one provider and other keys", names(its), source(other), true},
		{"two providers and its keys", names(its) + second, source(one), false},
		{"two providers and its keys in base64", names(its) + second, source(base64.StdEncoding.EncodeToString([]byte(one))), false},
		{"two providers and its keys in base64 in the file", names(", jwtSources: ["+base64.StdEncoding.EncodeToString([]byte(one))+"]") + second, source(one), false},
		{"two providers and the other's keys", names(its) + second, source(other), true},
		{"two providers and nobody's keys", names(its) + second, source("c2VjcmV0"), true},
		{"two providers and one names no keys", names("") + second, source(one), true},
		{"two providers and OpenID Connect", names("") + second, oidc, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := startWith(t, row.idps)
			c := jwtCall()
			row.change(c)
			r := c.request()
			if rw := p.callSignAndGuard(r); row.refused {
				requireDenied(t, p, r, rw, 401, decision.IssuerUnknown)
			} else if got := requireSigned(t, p, r, rw).Subject; got != "idp:alice" {
				t.Errorf("subject %s", got)
			}
		})
	}
}
