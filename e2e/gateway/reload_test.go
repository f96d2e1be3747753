package gateway_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
)

// The plugin starts when its files are there, keeps what it has when they break, and takes what is
// fixed: all in the same process.
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

// In a real gateway, too, a document of the edge that is wrong holds back neither a key nor a
// revocation, and stops no start.
func TestNothingWaitsForADocument(t *testing.T) {
	config := pluginConfig + "revocation: {file: revoked.yaml}\nedge: {policies: [{path: edge}]}\n"
	r := start(t, setup{bare: true}).serving(t)
	must(t, os.Mkdir(r.path("edge"), 0o700))
	must(t, syscall.Mkfifo(r.path("edge/pipe"), 0o600))
	r.write(t, "edge/broken.yaml", "half: [")
	r.write(t, "revoked.yaml", "revocations: []")
	r.writePlugin(t)
	r.write(t, "identity.yaml", r.fill(config))
	r.signs(t, time.Minute)

	before := r.canary(t)
	now := time.Now().UTC()
	r.write(t, "revoked.yaml", fmt.Sprintf("revocations:\n- {issuer: %q, kind: sub, value: %q, notBefore: %s, expires: %s, by: e2e, reason: test}\n",
		tokentest.Issuer, before.claims.Subject, now.Add(time.Minute).Format(time.RFC3339), now.Add(10*time.Minute).Format(time.RFC3339)))
	r.await(t, func(context.Context) error {
		if got, want := r.canary(t).answer, (answer{401, "token_revoked", unreached}); got != want {
			return fmt.Errorf("got %+v, want %+v", got, want)
		}
		return nil
	})
	must(t, os.RemoveAll(r.path("keys")))
	r.write(t, "revoked.yaml", "revocations: []")
	r.signs(t, time.Minute) // the keys before stay while there are none
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
