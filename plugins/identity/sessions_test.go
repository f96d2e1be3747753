package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
)

// kindsText maps every kind of session, each by its own subject.
const kindsText = `oauth: {subject: client, claims: {tenant: meta.tenant}, scopes: {byPolicy: {gold: [orders.read]}}}
basic: {subject: username}
hmac: {subject: keyId}
mtls: {subject: fingerprint}
custom: {subject: meta.user}
secretFile:`

// sessionMethods are the methods without verified claims, one for each kind of session.
func sessionMethods(t *testing.T) []tykapi.Method {
	t.Helper()
	methods := []tykapi.Method{tykapi.MethodKey, tykapi.MethodOAuth, tykapi.MethodBasic, tykapi.MethodHMAC, tykapi.MethodMTLS, tykapi.MethodCustom}
	if len(methods) != len(settings.SessionKinds) {
		t.Fatalf("%d methods, %d kinds of sessions", len(methods), len(settings.SessionKinds))
	}
	return methods
}

// newLeaf makes a client's certificate that ends before a token of full lifetime would. Each has the same
// fingerprint.
func newLeaf() *x509.Certificate {
	return &x509.Certificate{Raw: []byte("a certificate"), NotAfter: time.Now().Add(30 * time.Second)}
}

// callWith makes a call of an API with one method, with a session that the method has opened.
func callWith(m tykapi.Method) *call {
	c := keyCall()
	c.api.UseStandardAuth, c.api.OrgID = false, "demo"
	c.session.MetaData = map[string]any{"tenant": "acme", "user": "alice"}
	switch m {
	case tykapi.MethodOAuth:
		c.api.UseOauth2, c.session.OauthClientID = true, "app-7"
	case tykapi.MethodBasic:
		c.api.UseBasicAuth, c.session.KeyID, c.session.BasicAuthData.Password = true, "demoalice", "$2a$hash"
	case tykapi.MethodHMAC:
		c.api.EnableSignatureChecking, c.session.KeyID = true, "demok-1"
		c.session.HMACEnabled, c.session.HmacSecret = true, "secret"
	case tykapi.MethodMTLS:
		leaf := newLeaf()
		fingerprint := tykapi.Fingerprint(&http.Request{TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}})
		c.api.UseStandardAuth, c.session.KeyID, c.session.Certificate = true, "demo"+fingerprint, "demo"+fingerprint
		c.certificates = []*x509.Certificate{leaf}
	case tykapi.MethodCustom:
		c.api.CustomPluginAuthEnabled = true
	default: // an API key
	}
	return c
}

func TestEveryKindOfSession(t *testing.T) {
	p := startRig(t, "secretFile:", kindsText)
	sid := p.pseudonym
	fingerprint := tykapi.Fingerprint(callWith(tykapi.MethodMTLS).request())
	rows := []struct {
		method         tykapi.Method
		subject, scope string
		sid            string
	}{
		{tykapi.MethodOAuth, "oauth:app-7", "orders.read", sid("demo0123")},
		{tykapi.MethodBasic, "basic:alice", "", sid("demoalice")},
		{tykapi.MethodHMAC, "hmac:k-1", "", sid("demok-1")},
		{tykapi.MethodMTLS, "mtls:" + fingerprint, "", sid("demo" + fingerprint)},
		{tykapi.MethodCustom, "custom:alice", "", sid("demo0123")},
	}
	for _, row := range rows {
		t.Run(string(row.method), func(t *testing.T) {
			r := callWith(row.method).request()
			claims := requireSigned(t, p, r, p.callSignAndGuard(r))
			if claims.Subject != row.subject || claims.Scope != row.scope {
				t.Errorf("got %s with %q, want %s with %q", claims.Subject, claims.Scope, row.subject, row.scope)
			}
			if claims.Tctx["auth"] != string(row.method) || claims.Tctx["sid"] != row.sid || claims.Tctx["org"] != "demo" {
				t.Errorf("tctx %v: want auth %s and sid %s", claims.Tctx, row.method, row.sid)
			}
		})
		t.Run(string(row.method)+" without settings", func(t *testing.T) {
			p := startRig(t)
			r := callWith(row.method).request()
			requireDenied(t, p, r, p.callSignAndGuard(r), 500, decision.SessionUnsupported)
		})
	}
}

// A session has the scopes of the policies that it holds.
func TestScopesOfOtherPolicies(t *testing.T) {
	p := startRig(t, "secretFile:", kindsText)
	for _, policies := range [][]string{nil, {"silver"}, {"Gold"}} {
		c := callWith(tykapi.MethodOAuth)
		c.session.ApplyPolicies = policies
		r := c.request()
		if claims := requireSigned(t, p, r, p.callSignAndGuard(r)); claims.Scope != "" {
			t.Errorf("policies %q: scope %q, want none", policies, claims.Scope)
		}
	}
}

// Tyk finds each of these sessions, and the method has not opened it.
func TestSessionsOfOthers(t *testing.T) {
	p := startRig(t, "secretFile:", kindsText)
	rows := []struct {
		name   string
		method tykapi.Method
		change func(*call)
		status int
		reason decision.Reason
	}{
		{"a JWT user's session, with the id of one of Tyk's clients", tykapi.MethodOAuth, func(c *call) { c.session.MetaData["TykJWTSessionID"] = "demo0123" }, 401, decision.ClaimsUnbound},
		{"a session of no client", tykapi.MethodOAuth, func(c *call) { c.session.OauthClientID = "" }, 401, decision.ClaimsUnbound},
		{"a session without a password, opened by an empty one", tykapi.MethodBasic, func(c *call) { c.session.BasicAuthData.Password = "" }, 401, decision.ClaimsUnbound},
		{"a user with no name but the organisation's", tykapi.MethodBasic, func(c *call) { c.session.KeyID = "demo" }, 403, decision.SubjectUnknown},
		{"a session without a secret", tykapi.MethodHMAC, func(c *call) { c.session.HmacSecret = "" }, 401, decision.ClaimsUnbound},
		{"a session that signs nothing", tykapi.MethodHMAC, func(c *call) { c.session.HMACEnabled = false }, 401, decision.ClaimsUnbound},
		{"a certificate's session, without the certificate", tykapi.MethodMTLS, func(c *call) { c.certificates = nil }, 401, decision.ClaimsUnbound},
		{"a certificate's session, with another certificate", tykapi.MethodMTLS, func(c *call) {
			c.certificates = []*x509.Certificate{{Raw: []byte("another"), NotAfter: newLeaf().NotAfter}, newLeaf()}
		}, 401, decision.ClaimsUnbound},
		{"a key that is bound to a certificate", tykapi.MethodMTLS, func(c *call) { c.session.KeyID = "demo0123" }, 401, decision.ClaimsUnbound},
		{"a plugin's session that names nobody", tykapi.MethodCustom, func(c *call) { delete(c.session.MetaData, "user") }, 403, decision.SubjectUnknown},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := callWith(row.method)
			row.change(c)
			r := c.request()
			requireDenied(t, p, r, p.callSignAndGuard(r), row.status, row.reason)
		})
	}
}

// An HMAC client writes its key id itself, with the organisation or without.
func TestOneClientHasOneName(t *testing.T) {
	p := startRig(t, "secretFile:", kindsText)
	var subject, sid any
	for _, key := range []string{"demok-1", "k-1"} {
		c := callWith(tykapi.MethodHMAC)
		c.session.KeyID = key
		r := c.request()
		claims := requireSigned(t, p, r, p.callSignAndGuard(r))
		if sid != nil && (claims.Subject != subject || claims.Tctx["sid"] != sid) {
			t.Errorf("%s: %s with sid %v, before %s with %v", key, claims.Subject, claims.Tctx["sid"], subject, sid)
		}
		subject, sid = claims.Subject, claims.Tctx["sid"]
	}
}

func TestTokenEndsWithSessionOrCertificate(t *testing.T) {
	p := startRig(t, "secretFile:", kindsText)
	for _, m := range sessionMethods(t) {
		if m == tykapi.MethodKey {
			continue
		}
		c := callWith(m)
		c.session.Expires = time.Now().Add(40 * time.Second).Unix()
		end := time.Unix(c.session.Expires, 0)
		if m == tykapi.MethodMTLS {
			end = c.certificates[0].NotAfter
		}
		r := c.request()
		if claims := requireSigned(t, p, r, p.callSignAndGuard(r)); claims.Expires.After(end) {
			t.Errorf("%s: the token ends at %v, the credential at %v", m, claims.Expires, end)
		}
	}
}

// Names of sessions where Tyk has a hash function for keys.
func TestNamesInJSON(t *testing.T) {
	api, session := &tykapi.ProtectedAPI{Org: "demo"}, &user.SessionState{KeyID: "eyJvcmciOiJkZW1vIiwiaWQiOiJhbGljZSIsImgiOiJtdXJtdXI2NCJ9"} // {"org":"demo","id":"alice","h":"murmur64"}
	if got := api.SessionName(session); got != "alice" {
		t.Errorf("got %q, want alice", got)
	}
}
