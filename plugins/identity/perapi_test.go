package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

func withSettings(c *call, settings any) *call {
	c.api.ConfigData = map[string]any{"meshpass": settings}
	return c
}

func TestAPINarrows(t *testing.T) {
	p := startRig(t)
	c := withSettings(jwtCall(), map[string]any{"scopes": []any{"orders.read"}, "claims": []any{"groups"}, "lifetime": "20s"})
	r := c.request()
	claims := requireSigned(t, p, r, p.callSignAndGuard(r))
	if claims.Scope != "orders.read" || claims.Tctx["tenant"] != nil || claims.Tctx["groups"] == nil {
		t.Errorf("scope %q, tctx %v", claims.Scope, claims.Tctx)
	}
	if got := claims.Expires.Sub(claims.IssuedAt); got != 20*time.Second {
		t.Errorf("lifetime %v, want 20s", got)
	}
}

func TestAPIMayNotWiden(t *testing.T) {
	p := startRig(t)
	rows := map[string]any{
		"no mapping":            "all",
		"null":                  nil,
		"unknown key":           map[string]any{"scope": []any{"a"}},
		"claim that is unknown": map[string]any{"claims": []any{"email"}},
		"longer lifetime":       map[string]any{"lifetime": "61s"},
		"lifetime of nothing":   map[string]any{"lifetime": "1ms"},
		"negative lifetime":     map[string]any{"lifetime": "-1s"},
		"lifetime as number":    map[string]any{"lifetime": "soon"},
		"not admitted":          map[string]any{"identity": "optional"},
		"odd identity":          map[string]any{"identity": "none"},
		"audiences of a key":    map[string]any{"audiences": []any{"shop"}},
	}
	for name, settings := range rows {
		t.Run(name, func(t *testing.T) {
			r := withSettings(keyCall(), settings).request()
			requireDenied(t, p, r, p.callSignAndGuard(r), 500, decision.ConfigInvalid)
		})
	}
	for name, audiences := range map[string]any{"no audience": []any{}, "an unknown audience": []any{"shop", "other"}, "a text": "shop", "an empty one": []any{""}} {
		t.Run(name, func(t *testing.T) {
			r := withSettings(jwtCall(), map[string]any{"audiences": audiences}).request()
			requireDenied(t, p, r, p.callSignAndGuard(r), 500, decision.ConfigInvalid)
		})
	}
}

// A token for the audience of one API is admitted by that API only.
func TestAudiencesOfAPIs(t *testing.T) {
	p := startRig(t, "audiences: [shop]", "audiences: [shop, reports, admin]")
	rows := []struct {
		name      string
		audiences any // of the API; nil: the API does not narrow
		aud       any
		passes    bool
	}{
		{"the API's own", []any{"shop"}, "shop", true},
		{"the API's own, in a list", []any{"shop"}, []any{"other", "shop"}, true},
		{"one of two", []any{"shop", "reports"}, "reports", true},
		{"another API's", []any{"shop"}, "reports", false},
		{"other APIs'", []any{"shop"}, []any{"reports", "admin"}, false},
		{"an API that says nothing", nil, "reports", true},
		{"no API's", []any{"shop"}, "other", false},
	}
	for _, row := range rows {
		for _, m := range []tykapi.Method{tykapi.MethodJWT, tykapi.MethodOIDC} {
			t.Run(row.name+" "+string(m), func(t *testing.T) {
				c := jwtCall()
				if m == tykapi.MethodOIDC {
					openID(c)
				}
				if row.audiences != nil {
					withSettings(c, map[string]any{"audiences": row.audiences})
				}
				c.claims["aud"] = row.aud
				r := c.request()
				if rw := p.callSignAndGuard(r); row.passes {
					requireSigned(t, p, r, rw)
				} else {
					requireDenied(t, p, r, rw, 401, decision.AudienceMismatch)
				}
			})
		}
	}
}

func TestDisabledSettingsDoNotWiden(t *testing.T) {
	p := startRig(t)
	c := withSettings(keyCall(), map[string]any{"scopes": []any{}})
	c.api.ConfigDataDisabled = true
	r := c.request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 500, decision.ConfigInvalid)
}

func TestSettingsAreReadOncePerDefinition(t *testing.T) {
	p := startRig(t)
	c := withSettings(keyCall(), "wrong")
	for range 3 {
		r := c.request()
		requireDenied(t, p, r, p.callSignAndGuard(r), 500, decision.ConfigInvalid)
	}
	if n := strings.Count(p.log.String(), "until its definition is fixed"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
	fixed := keyCall().request() // another definition under the same id, as after a reload
	requireSigned(t, p, fixed, p.callSignAndGuard(fixed))
}

func TestOptionalIdentity(t *testing.T) {
	p := startRig(t)
	open := func(change func(*call)) *http.Request {
		c := withSettings(keyCall(), map[string]any{"identity": "optional"})
		c.api.APIID = "open-api"
		c.header = http.Header{"Txn-Token": {"forged"}, "X-Meshpass-User": {"root"}}
		change(c)
		return c.request()
	}
	r := open(func(c *call) { c.session, c.ignored = nil, true })
	if rw := p.callSignAndGuard(r); rw.Body.Len() != 0 || len(r.Header) != 0 {
		t.Errorf("body %q, headers %v: want the request passed on without any of ours", rw.Body, headerNames(r.Header))
	}
	if last := lastLine(p.audit.String()); !strings.Contains(last, `"anonymous"`) {
		t.Errorf("audit: %s", last)
	}
	r = open(func(*call) {})
	requireSigned(t, p, r, p.callSignAndGuard(r))
	r = open(func(c *call) { c.session.IsInactive = true }) // there is a caller, and a bad one
	requireDenied(t, p, r, p.callSignAndGuard(r), 401, decision.SessionInactive)
}

func TestOpenAPIDefinition(t *testing.T) {
	p := startRig(t)
	r := keyCall().request()
	useOpenAPI(r, openAPI(t))
	claims := requireSigned(t, p, r, p.callSignAndGuard(r))
	if claims.Scope != "orders.read" || len(r.Header.Values(identity.Header)) != 1 {
		t.Errorf("scope %q: want what pluginConfig.data leaves", claims.Scope)
	}
}
