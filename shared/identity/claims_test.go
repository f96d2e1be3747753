package identity_test

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/identity"
)

func TestGet(t *testing.T) {
	claims := &identity.Claims{
		Issuer: "i", Audience: "a", Subject: "s", Txn: "t", Scope: "c", Requester: "r",
		Tctx: map[string]any{"tenant": "acme", "api": map[string]any{"id": "orders"}, "null": nil}, Rctx: map[string]any{"ip": "192.0.2.7"},
	}
	for path, want := range map[string]any{
		"iss": "i", "aud": "a", "sub": "s", "txn": "t", "scope": "c", "req_wl": "r",
		"tctx.tenant": "acme", "tctx.api.id": "orders", "tctx.null": nil, "rctx.ip": "192.0.2.7",
	} {
		if got, ok := claims.Lookup(strings.Split(path, ".")...); got != want || !ok {
			t.Errorf("%s: got %v, %t", path, got, ok)
		}
	}
	for _, path := range []string{"", "exp", "Sub", "sub.x", "tctx.absent", "tctx.tenant.x", "tctx.null.x", "tctx."} {
		if got, ok := claims.Lookup(strings.Split(path, ".")...); got != nil || ok {
			t.Errorf("%q: got %v, %t", path, got, ok)
		}
		if got, ok := (*identity.Claims)(nil).Lookup(path); ok {
			t.Errorf("%q of nothing: got %v", path, got)
		}
	}
	if got, ok := claims.Lookup(); ok {
		t.Errorf("no path: got %v", got)
	}
}
