package main

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
)

func TestSigned(t *testing.T) {
	p := startRig(t)
	sid := p.pseudonym
	rows := []struct {
		name           string
		call           *call
		subject, scope string
		tctx           map[string]any
	}{
		{"api key", keyCall(), "key:partner-7", "orders.read orders.write", map[string]any{
			"api": map[string]any{"id": "orders-key", "name": "Orders"}, "auth": "key", "org": "demo", "sid": sid("demo0123"), "tenant": "acme"}},
		{"jwt", jwtCall(), "idp:alice", "orders.read profile extra", map[string]any{
			"api": map[string]any{"id": "orders-jwt", "name": "Orders"}, "auth": "jwt", "org": "demo", "sid": sid(jwtCall().session.KeyID),
			"tenant": "acme", "groups": []any{"orders-eu"}}},
		{"openid", openID(jwtCall()), "idp:alice", "orders.read profile extra", map[string]any{
			"api": map[string]any{"id": "orders-jwt", "name": "Orders"}, "auth": "oidc", "org": "demo", "sid": sid(jwtCall().session.KeyID),
			"tenant": "acme", "groups": []any{"orders-eu"}}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := row.call.request()
			claims := requireSigned(t, p, r, p.callSignAndGuard(r))
			if claims.Subject != row.subject || claims.Scope != row.scope {
				t.Errorf("got %s with %q, want %s with %q", claims.Subject, claims.Scope, row.subject, row.scope)
			}
			requireEqual(t, claims.Tctx, row.tctx)
			requireEqual(t, claims.Rctx, map[string]any{"ip": "192.0.2.1"})
			if claims.Requester != "spiffe://cluster.local/ns/edge/sa/tyk-gateway" || claims.Txn == "" {
				t.Errorf("req_wl %q, txn %q", claims.Requester, claims.Txn)
			}
			if got := claims.Expires.Sub(claims.IssuedAt); got != time.Minute {
				t.Errorf("lifetime %v, want 1m", got)
			}
		})
	}
}

func openID(c *call) *call {
	c.api.EnableJWT, c.api.UseOpenID = false, true
	return c
}

func TestTokenEndsWithTheCredential(t *testing.T) {
	p := startRig(t)
	c := jwtCall()
	c.claims["exp"] = inSeconds(30)
	r := c.request()
	claims := requireSigned(t, p, r, p.callSignAndGuard(r))
	if got := claims.Expires.Unix(); float64(got) > c.claims["exp"].(float64) {
		t.Errorf("the token ends at %d, the credential at %v", got, c.claims["exp"])
	}
}

func TestWhereTykWritesAnotherKeyName(t *testing.T) {
	p := startRig(t)
	c := jwtCall()
	c.session.KeyID = "eyJvcmciOiJkZW1vIiwiaWQiOiI2Mzg0ZTJiMjE4NGJjYmY1OGVjY2YxMGNhN2E2NTYzYyIsImgiOiJtdXJtdXI2NCJ9" // {"org":"demo","id":"6384…","h":"murmur64"}
	r := c.request()
	requireSigned(t, p, r, p.callSignAndGuard(r))
}

// A client's own token, and any header that looks like ours, is replaced even
// where the pre hook was forgotten.
func TestForgedHeadersAreReplaced(t *testing.T) {
	p := startRig(t)
	c := keyCall()
	c.header = map[string][]string{"Txn-Token": {"forged", "twice"}, "X-Meshpass-User": {"root"}, "Txn_token": {"forged"}}
	r := c.request()
	requireSigned(t, p, r, p.callSignAndGuard(r))
	if len(r.Header) != 1 {
		t.Errorf("left on the request: %v", headerNames(r.Header))
	}
}

func TestNothingSecretIsWritten(t *testing.T) {
	p := startRig(t)
	for _, c := range []*call{keyCall(), jwtCall()} {
		r := c.request()
		p.callSignAndGuard(r)
		for _, secret := range []string{c.session.KeyID, r.Header.Get(identity.Header), "secret=1", "not a subject"} {
			if strings.Contains(p.audit.String()+p.log.String(), secret) {
				t.Errorf("a log holds %.20s…", secret)
			}
		}
	}
}

// The hooks of one process serve every API at once.
func TestConcurrentRequests(t *testing.T) {
	p := startRig(t)
	calls := []*call{keyCall(), jwtCall(), withSettings(openID(jwtCall()), "wrong")}
	calls[2].api.APIID = "wrong"
	var wg sync.WaitGroup
	for i := range 24 {
		r := calls[i%len(calls)].request()
		wg.Add(1)
		go func() {
			defer wg.Done()
			p.callSignAndGuard(r)
		}()
	}
	wg.Wait()
	if n := strings.Count(p.audit.String(), "\n"); n != 24 {
		t.Errorf("%d audit records, want 24", n)
	}
}
