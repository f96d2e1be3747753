package main

import (
	"testing"

	"github.com/TykTechnologies/tyk/apidef"

	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
)

// The method that identifies the caller of an API with several methods.
func TestSeveralMethods(t *testing.T) {
	p := startRig(t, "secretFile:", kindsText)
	both := func(c *call, base apidef.AuthTypeEnum) *call {
		c.api.BaseIdentityProvidedBy = base
		return c
	}
	jwtToo := func(c *call) *call {
		c.api.EnableJWT, c.api.JWTSource, c.claims = true, "https://idp.example.com/jwks", jwtCall().claims
		return c
	}
	keyToo := func(c *call) *call { c.api.UseStandardAuth = true; return c }
	rows := []struct {
		name    string
		call    *call
		subject string // "": refused
		status  int
		reason  decision.Reason
	}{
		{"basic and JWT, identity by basic", both(jwtToo(callWith(tykapi.MethodBasic)), apidef.BasicAuthUser), "basic:alice", 0, ""},
		{"basic and JWT, identity by JWT, session by basic", both(jwtToo(callWith(tykapi.MethodBasic)), apidef.JWTClaim), "", 401, decision.ClaimsUnbound},
		{"JWT and key, identity by JWT", both(keyToo(jwtCall()), apidef.JWTClaim), "idp:alice", 0, ""},
		{"JWT and key, identity by key, session by JWT", both(keyToo(jwtCall()), apidef.AuthToken), "", 403, decision.SubjectUnknown},
		{"OAuth and HMAC, identity by OAuth", both(func() *call { c := callWith(tykapi.MethodOAuth); c.api.EnableSignatureChecking = true; return c }(), apidef.OAuthKey), "oauth:app-7", 0, ""},
		{"several, and no word", keyToo(callWith(tykapi.MethodBasic)), "", 500, decision.SessionUnsupported},
		{"several, and the word names none of them", both(keyToo(callWith(tykapi.MethodBasic)), apidef.HMACKey), "", 500, decision.SessionUnsupported},
		{"JWT and OpenID Connect, whose claims are mixed", both(func() *call { c := jwtCall(); c.api.UseOpenID = true; return c }(), apidef.OIDCUser), "", 500, decision.SessionUnsupported},
		{"a plugin's session over another method's", both(jwtToo(callWith(tykapi.MethodCustom)), apidef.JWTClaim), "", 500, decision.SessionUnsupported},
		{"a plugin and a key, identity by plugin", both(keyToo(callWith(tykapi.MethodCustom)), apidef.CustomAuth), "custom:alice", 0, ""},
		{"a plugin that is disabled, and so a key", func() *call {
			c := callWith(tykapi.MethodCustom)
			c.api.CustomMiddleware.AuthCheck.Disabled = true
			return c
		}(), "", 403, decision.SubjectUnknown},
		{"passwords in bodies that are never found, and so a key", func() *call { c := callWith(tykapi.MethodBasic); c.api.BasicAuth.ExtractFromBody = true; return c }(), "", 401, decision.ClaimsUnbound},
		{"external OAuth", func() *call { c := keyCall(); c.api.ExternalOAuth.Enabled = true; return c }(), "", 500, decision.SessionUnsupported},
		{"JWT by a key's own secret", func() *call { c := jwtCall(); c.api.JWTSource = ""; return c }(), "", 500, decision.SessionUnsupported},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := row.call.request()
			rw := p.callSignAndGuard(r)
			if row.subject == "" {
				requireDenied(t, p, r, rw, row.status, row.reason)
			} else if claims := requireSigned(t, p, r, rw); claims.Subject != row.subject {
				t.Errorf("got %s, want %s", claims.Subject, row.subject)
			}
		})
	}
}
