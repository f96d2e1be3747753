package main

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/TykTechnologies/tyk/apidef"

	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
)

func TestRefused(t *testing.T) {
	p := startRig(t)
	key := func(change func(*call)) *call { c := keyCall(); change(c); return c }
	jwt := func(change func(*call)) *call { c := jwtCall(); change(c); return c }
	claim := func(name string, value any) *call { return jwt(func(c *call) { c.claims[name] = value }) }
	rows := []struct {
		name   string
		call   *call
		status int
		reason decision.Reason
	}{
		{"ignored endpoint", key(func(c *call) { c.session = nil; c.ignored = true }), 401, decision.NoSession},
		{"no session at all", key(func(c *call) { c.session = nil }), 401, decision.NoSession},
		{"session of another API on an ignored endpoint", key(func(c *call) { c.ignored = true }), 401, decision.NoSession},
		{"inactive key", key(func(c *call) { c.session.IsInactive = true }), 401, decision.SessionInactive},
		{"session without a key", key(func(c *call) { c.session.KeyID = "" }), 500, decision.SessionUnsupported},
		{"key without the subject's field", key(func(c *call) { delete(c.session.MetaData, "developer_id") }), 403, decision.SubjectUnknown},
		{"key with an empty subject", key(func(c *call) { c.session.MetaData["developer_id"] = "" }), 403, decision.SubjectUnknown},
		{"key with a number as subject", key(func(c *call) { c.session.MetaData["developer_id"] = 7.0 }), 403, decision.SubjectUnknown},
		{"key about to end", key(func(c *call) { c.session.Expires = time.Now().Add(3 * time.Second).Unix() }), 401, decision.CredentialExpiring},
		{"key that has ended", key(func(c *call) { c.session.Expires = 1 }), 401, decision.CredentialExpiring},
		{"a basic user's session used as API key", key(func(c *call) { c.session.BasicAuthData.Password = "test" }), 401, decision.ClaimsUnbound},
		{"an HMAC client's session used as API key", key(func(c *call) { c.session.HMACEnabled = true }), 401, decision.ClaimsUnbound},
		{"a JWT user's session used as API key", key(func(c *call) { c.session.MetaData["TykJWTSessionID"] = c.session.KeyID }), 401, decision.ClaimsUnbound},
		{"a session that a certificate opens used as API key", key(func(c *call) { c.session.Certificate = "demo0123" }), 401, decision.ClaimsUnbound},
		{"an OAuth token used as API key", key(func(c *call) { c.session.OauthClientID = "app" }), 401, decision.ClaimsUnbound},
		{"metadata of an odd type", key(func(c *call) { c.session.MetaData["tenant"] = map[string]any{} }), 401, decision.ClaimsInvalid},
		{"basic authentication", key(func(c *call) { c.api.UseStandardAuth, c.api.UseBasicAuth = false, true }), 500, decision.SessionUnsupported},
		{"two methods and no word on the identity", key(func(c *call) { c.api.EnableJWT = true }), 500, decision.SessionUnsupported},
		{"two methods, identity by JWT, session of a key", key(func(c *call) {
			c.api.EnableJWT, c.api.JWTSource, c.api.BaseIdentityProvidedBy, c.claims = true, "https://idp.example.com/jwks", apidef.JWTClaim, jwtCall().claims
		}), 401, decision.ClaimsUnbound},
		{"context variables off", jwt(func(c *call) { c.api.EnableContextVars = false }), 500, decision.ClaimsUnavailable},
		{"no claims", jwt(func(c *call) { c.claims = nil }), 401, decision.IssuerUnknown},
		{"another issuer", claim("iss", "https://other.example.com"), 401, decision.IssuerUnknown},
		{"issuer that is no text", claim("iss", 1.0), 401, decision.IssuerUnknown},
		{"for another audience", claim("aud", "other"), 401, decision.AudienceMismatch},
		{"for no audience", claim("aud", nil), 401, decision.AudienceMismatch},
		{"audience of odd type", claim("aud", []any{1.0}), 401, decision.AudienceMismatch},
		{"claims of another user", claim("sub", "bob"), 401, decision.ClaimsUnbound},
		{"no user", claim("sub", nil), 401, decision.ClaimsUnbound},
		{"credential about to end", claim("exp", inSeconds(3)), 401, decision.CredentialExpiring},
		{"credential without an end", claim("exp", nil), 401, decision.ClaimsInvalid},
		{"tenant in the token's header only", jwt(func(c *call) { c.joseFields = []string{"org_id"} }), 401, decision.ClaimsInvalid},
		{"issuer in the token's header only", jwt(func(c *call) { c.joseFields = []string{"iss"} }), 401, decision.ClaimsInvalid},
		{"token not where the definition says", jwt(func(c *call) { c.api.Auth.AuthHeaderName = "X-Token" }), 500, decision.ClaimsUnavailable},
		{"credential with an odd end", claim("exp", "tomorrow"), 401, decision.ClaimsInvalid},
		{"scope of odd type", claim("scope", true), 401, decision.ClaimsInvalid},
		{"a scope that would be two", claim("scp", []any{"a b"}), 401, decision.ClaimsInvalid},
		{"an empty scope in a list", claim("scp", []any{""}), 401, decision.ClaimsInvalid},
		{"a scope that is not ASCII", claim("scope", "größe"), 401, decision.ClaimsInvalid},
		{"a scope with a quotation mark", claim("scope", `a"b`), 401, decision.ClaimsInvalid},
		{"scopes with a space that is not ASCII between them", claim("scope", "a\u00a0b"), 401, decision.ClaimsInvalid},
		{"more scopes than a token holds", claim("scope", strings.Repeat("orders.read ", 400)+"x"+strings.Repeat("y", 4096)), 401, decision.ClaimsInvalid},
		{"a lost character in a scope", claim("scp", []any{"\ufffd"}), 401, decision.ClaimsInvalid},
		{"a lost character in a claim", claim("org_id", "a\ufffd"), 401, decision.ClaimsInvalid},
		{"a lost character in a list", claim("groups", []any{"orders-\ufffd"}), 401, decision.ClaimsInvalid},
		{"a lost character in metadata", key(func(c *call) { c.session.MetaData["tenant"] = "a\xff" }), 401, decision.ClaimsInvalid},
		{"a lost character in a subject", key(func(c *call) { c.session.MetaData["developer_id"] = "\ufffd" }), 401, decision.ClaimsInvalid},
		{"a control character in a subject", key(func(c *call) { c.session.MetaData["developer_id"] = "a\nb" }), 401, decision.ClaimsInvalid},
		{"a subject longer than any token's", key(func(c *call) { c.session.MetaData["developer_id"] = strings.Repeat("x", 4096) }), 401, decision.ClaimsInvalid},
		{"groups of odd type", claim("groups", []any{map[string]any{}}), 401, decision.ClaimsInvalid},
		{"more groups than configured", claim("groups", []any{"orders-1", "orders-2", "orders-3"}), 401, decision.ClaimsInvalid},
		{"a token that would be too long", claim("org_id", strings.Repeat("x", 9000)), 500, decision.MintFailed},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			row.call.header = map[string][]string{"Txn-Token": {"forged"}}
			r := row.call.request()
			requireDenied(t, p, r, p.callSignAndGuard(r), row.status, row.reason)
			if last := lastLine(p.audit.String()); !strings.Contains(last, `"kind":"edge"`) || !strings.Contains(last, string(row.reason)) {
				t.Errorf("audit: %s", last)
			}
		})
	}
}

// A 401 names the way to authenticate.
func TestChallenges(t *testing.T) {
	p := startRig(t, "secretFile:", kindsText)
	expiring := func(c *call) *call { c.session.Expires = 1; return c }
	without := func(c *call) *call { c.session = nil; return c }
	named := func(c *call, name string) *call { c.api.Name = name; return c }
	rows := []struct {
		name, want string
		call       *call
	}{
		{"nobody was authenticated", `Bearer`, without(keyCall())},
		{"nobody was authenticated by a password", `Basic realm="Orders"`, without(callWith(tykapi.MethodBasic))},
		{"a name with a quotation mark", `Basic realm="\"a\\b\"  c"`, without(named(callWith(tykapi.MethodBasic), "\"a\\b\"\r\nc"))},
		{"a key that has ended", `Bearer error="invalid_token"`, expiring(keyCall())},
		{"a user whose session has ended", `Basic realm="Orders"`, expiring(callWith(tykapi.MethodBasic))},
		{"a token of another user", `Bearer error="invalid_token"`, func() *call { c := jwtCall(); c.claims["sub"] = "bob"; return c }()},
		{"a certificate's session without the certificate", `Bearer error="invalid_token"`, func() *call { c := callWith(tykapi.MethodMTLS); c.certificates = nil; return c }()},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			rw := p.callSignAndGuard(row.call.request())
			if got := rw.Header().Values("WWW-Authenticate"); rw.Code != 401 || len(got) != 1 || got[0] != row.want {
				t.Errorf("%d with %q, want 401 with %s", rw.Code, got, row.want)
			}
		})
	}
}

// The subject may be mapped from another claim than the one Tyk names the
// session after.
func TestSubjectClaimAbsent(t *testing.T) {
	p := startRig(t, "subject: sub", "subject: employee")
	r := jwtCall().request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 403, decision.SubjectUnknown)
}

func TestKeysWithoutSettings(t *testing.T) {
	p := startRig(t, "apiKeys:", "#")
	r := keyCall().request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 500, decision.SessionUnsupported)
}

// Without the recovery, Tyk would answer with 200 and an empty body.
func TestPanicIsRefused(t *testing.T) {
	p := startRig(t)
	p.signer.minter = nil
	c := keyCall()
	c.header = map[string][]string{"Txn-Token": {"forged"}}
	r := c.request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 500, decision.Panic)
	if !strings.Contains(p.log.String(), "a hook panicked") || !strings.Contains(p.audit.String(), `"reason":"panic"`) {
		t.Errorf("log: %s\naudit: %s", &p.log, p.audit)
	}
}

func TestNoDefinition(t *testing.T) {
	p := startRig(t)
	r := httptest.NewRequest("GET", "/", nil)
	requireDenied(t, p, r, p.callSignAndGuard(r), 500, decision.ConfigInvalid)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
