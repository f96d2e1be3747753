package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The plugin starts when its files are there, keeps what it has when they break, and takes what is
// mended: all in the same process.
func TestReload(t *testing.T) {
	r := start(t, setup{bare: true}).serving(t)
	if got, want := r.canary(t), (answer{503, "not_configured", unreached}); got.answer != want {
		t.Fatalf("without files: got %+v, want %+v", got.answer, want)
	}
	r.writePlugin(t)
	r.signs(t, time.Minute)

	r.write(t, "identity.yaml", "issuer: [")
	r.await(t, func(context.Context) error { return r.logged("what was loaded from it before stays active") })
	r.signs(t, time.Minute)

	r.write(t, "identity.yaml", "lifetime: 30s\n"+r.fill(strings.TrimSpace(pluginConfig)))
	r.signs(t, 30*time.Second)
}

func (r *rig) canary(t *testing.T) sent { return r.send(t, call{path: "/" + canary + "/", as: "key"}) }

// signs waits until tokens live that long. Until then requests are refused or signed as before.
func (r *rig) signs(t *testing.T, lifetime time.Duration) {
	t.Helper()
	r.await(t, func(context.Context) error {
		got := r.canary(t)
		if got.claims == nil || got.claims.Expires.Sub(got.claims.IssuedAt) != lifetime {
			return fmt.Errorf("got %+v with %+v", got.answer, got.claims)
		}
		return nil
	})
}
