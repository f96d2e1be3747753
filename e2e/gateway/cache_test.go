package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// twoTenants is an API for the users of both identity providers. Tyk names a user's session after the
// user, and the cached answer after the session: to it, both alices are one.
const twoTenants = `"use_standard_auth": false, "use_openid": true, "openid_options": {"providers": [
	{"issuer": "ACME", "client_ids": {"c2hvcA==": "all"}}, {"issuer": "GLOBEX", "client_ids": {"c2hvcA==": "all"}}]}`

const cached = `{"cache_options": {"enable_cache": true, "cache_all_safe_requests": true, "cache_timeout": 60}, ` + twoTenants + `}`

func TestResponseCache(t *testing.T) {
	r := start(t, setup{apis: []definition{{"cached-tyk", cached, true}, {"cached-ours", cached, false}, {"cached-allowed", cached, false}}}).serving(t)
	for _, id := range []string{"cached-tyk", "cached-allowed"} {
		t.Run(id, func(t *testing.T) {
			acme := r.cached(t, call{path: "/" + id + "/", as: "acme"})
			globex := r.send(t, call{path: "/" + id + "/", as: "globex"})
			if globex.answer != (answer{200, "", unreached}) || globex.body != acme.body {
				t.Errorf("globex's alice got %+v %s, acme's was %s: is the cache's key better now?", globex.answer, globex.body, acme.body)
			}
		})
	}
	t.Run("cached-ours", func(t *testing.T) {
		for _, tenant := range []string{"acme", "globex", "acme"} {
			got := r.send(t, call{path: "/cached-ours/", as: tenant})
			if want := (answer{500, "response_cache", unreached}); got.answer != want {
				t.Errorf("alice of %s: got %+v, want %+v", tenant, got.answer, want)
			}
		}
	})
}

// cached sends until the answer comes from the cache, and gives the first one.
func (r *rig) cached(t *testing.T, c call) sent {
	t.Helper()
	first := r.send(t, c)
	r.await(t, func(context.Context) error {
		if again := r.send(t, c); !strings.Contains(again.body, first.id) {
			first = again
			return errors.New("not cached yet")
		}
		return nil
	})
	return first
}
