package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	"github.com/TykTechnologies/tyk/ctx"

	"github.com/meshpass/meshpass/shared/decision"
)

// enterLoop runs the first API's hooks and enters the second, as tyk:// does: the
// same request, with the first one's context. There is no token in between.
func enterLoop(t *testing.T, p *rig, first, second *call) (r *http.Request, txn string) {
	t.Helper()
	r = first.request()
	setContextValue(r, ctx.UrlRewriteTarget, &url.URL{Scheme: "tyk", Host: second.api.APIID})
	requireUnsigned(t, p, r, p.callSignAndGuard(r))
	left := transactionOf(r)
	setContextValue(r, ctx.UrlRewriteTarget, (*url.URL)(nil)) // as Tyk does when it has followed
	second.enterContext(r)
	StripIdentity(httptest.NewRecorder(), r)
	ctx.SetDefinition(r, &second.api) // Tyk does before every hook
	return r, left.identity.Txn
}

// The second API may shorten what the first one granted, and never lengthen it.
func TestLoopKeepsTheShorterLifetime(t *testing.T) {
	for _, lifetimes := range [][2]string{{"7s", ""}, {"", "7s"}, {"7s", "30s"}} {
		p := startRig(t)
		calls := [2]*call{jwtCall(), jwtCall()}
		for i, lifetime := range lifetimes {
			if lifetime != "" {
				calls[i].api.ConfigData = map[string]any{"meshpass": map[string]any{"lifetime": lifetime}}
			}
		}
		calls[1].api.APIID = "reports-jwt"
		r, _ := enterLoop(t, p, calls[0], calls[1])
		claims := requireSigned(t, p, r, p.callSignAndGuard(r))
		if got := claims.Expires.Sub(claims.IssuedAt); got != 7*time.Second {
			t.Errorf("%q: lives %v, want 7s", lifetimes, got)
		}
	}
}

func TestLoopKeepsTheTransaction(t *testing.T) {
	p := startRig(t)
	first, second := jwtCall(), jwtCall()
	first.api.ConfigData = map[string]any{"meshpass": map[string]any{"scopes": []string{"orders.read", "extra"}}}
	second.api.APIID = "reports-jwt"
	second.api.ConfigData = map[string]any{"meshpass": map[string]any{"scopes": []string{"orders.read", "profile"}, "claims": []string{"tenant"}}}
	r, txn := enterLoop(t, p, first, second)
	claims := requireSigned(t, p, r, p.callSignAndGuard(r))
	if claims.Txn != txn || claims.Subject != "idp:alice" || claims.Scope != "orders.read" {
		t.Errorf("got %s for %s with %q, want %s for idp:alice with orders.read", claims.Txn, claims.Subject, claims.Scope, txn)
	}
	if _, ok := claims.Tctx["groups"]; ok || claims.Tctx["tenant"] != "acme" {
		t.Errorf("tctx %v: want the tenant and no groups", claims.Tctx)
	}
	requireEqual(t, claims.Tctx["api"], map[string]any{"id": "reports-jwt", "name": "Orders"})
}

func TestLoopNeverWidens(t *testing.T) {
	p := startRig(t)
	first, second := jwtCall(), jwtCall()
	first.api.ConfigData = map[string]any{"meshpass": map[string]any{"scopes": []any{}, "claims": []any{}}}
	r, _ := enterLoop(t, p, first, second)
	claims := requireSigned(t, p, r, p.callSignAndGuard(r))
	if claims.Scope != "" || claims.Tctx["tenant"] != nil {
		t.Errorf("scope %q, tctx %v: want what the first API left", claims.Scope, claims.Tctx)
	}
}

func TestLoopAsSomebodyElse(t *testing.T) {
	p := startRig(t)
	r, _ := enterLoop(t, p, jwtCall(), keyCall())
	requireDenied(t, p, r, p.callSignAndGuard(r), 403, decision.LoopSubject)
}

// A client cannot pretend to come from a loop: only our own context shows one, and no header.
func TestLoopCannotBeForged(t *testing.T) {
	p := startRig(t)
	first := keyCall().request()
	claims := requireSigned(t, p, first, p.callSignAndGuard(first))
	c := keyCall()
	c.header = http.Header{"Txn-Token": first.Header["Txn-Token"], "X-Meshpass-Txn": {claims.Txn}}
	r := c.request()
	if again := requireSigned(t, p, r, p.callSignAndGuard(r)); again.Txn == claims.Txn {
		t.Error("a token in a header was taken for an internal loop")
	}
}

func TestLoopToAnIgnoredEndpoint(t *testing.T) {
	p := startRig(t)
	second := keyCall()
	second.ignored = true
	r, _ := enterLoop(t, p, keyCall(), second)
	requireDenied(t, p, r, p.callSignAndGuard(r), 401, decision.NoSession)
}

// Tyk leaves the definition of the API before the loop in the context if that definition has the other
// form.
func TestLoopBetweenKindsOfDefinitions(t *testing.T) {
	p := startRig(t)
	r := keyCall().request()
	ctx.SetOASDefinition(r, openAPI(t))
	requireDenied(t, p, r, p.callSignAndGuard(r), 500, decision.ConfigInvalid)

	r = keyCall().request()
	p.callSignAndGuard(r)
	ctx.SetOASDefinition(r, openAPI(t))
	StripIdentity(httptest.NewRecorder(), r)
	ctx.SetOASDefinition(r, openAPI(t))
	claims := requireSigned(t, p, r, p.callSignAndGuard(r))
	requireEqual(t, claims.Tctx["api"], map[string]any{"id": "orders-oas", "name": "Orders"})
}

func openAPI(t *testing.T, changes ...func(*apidef.APIDefinition)) *oas.OAS {
	t.Helper()
	d := withHooksAndTarget(apidef.APIDefinition{APIID: "orders-oas", Name: "Orders", UseStandardAuth: true, EnableContextVars: true,
		ConfigData:  map[string]any{"meshpass": map[string]any{"scopes": []any{"orders.read"}}},
		AuthConfigs: map[string]apidef.AuthConfig{apidef.AuthTokenType: {Name: "token", AuthHeaderName: "Authorization"}}})
	for _, change := range changes {
		change(&d)
	}
	document := &oas.OAS{}
	document.Fill(d)
	return document
}
