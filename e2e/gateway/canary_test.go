package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/keyset"
)

// probed is the API that we ship for readiness probes.
const probed = "meshpass-canary"

var probedAPI = definition{id: probed, json: "{}"}

// The canary is green when callers would get tokens, and at no other time; Tyk's own /hello always
// is. Each step builds on the one before.
func TestCanary(t *testing.T) {
	r := start(t, setup{bare: true, apis: []definition{probedAPI}}).serving(t)
	ready, unready := answer{200, "ready", unreached}, func(reason string) answer { return answer{503, reason, unreached} }
	for _, step := range []struct {
		name   string
		change func()
		want   answer
	}{
		{"no files", func() {}, unready("not_configured")},
		{"bad configuration", func() { r.write(t, "identity.yaml", "issuer: [") }, unready("not_configured")},
		{"no keys", func() { r.writePlugin(t); r.remove(t, "keys") }, unready("no_signing_key")},
		{"a key whose time is over", func() { r.expiredKey(t) }, unready("no_signing_key")},
		{"all is well", func() { r.remove(t, "keys"); tokentest.WriteKeyDir(t, r.path("keys")) }, ready},
		{"bad configuration later", func() {
			r.write(t, "identity.yaml", "issuer: [")
			r.await(t, func(context.Context) error { return r.logged("what was loaded from it before stays active") })
		}, ready},
	} {
		step.change()
		r.await(t, func(context.Context) error {
			if got := r.send(t, call{path: "/" + probed + "/"}); got.answer != step.want {
				return fmt.Errorf("%s: got %+v, want %+v", step.name, got.answer, step.want)
			}
			return nil
		})
		if status, _, err := r.control(t.Context(), http.MethodGet, "/hello", ""); status != 200 || err != nil {
			t.Errorf("%s: /hello answers %d (%v): Tyk has changed, and so may docs/gateway.md", step.name, status, err)
		}
	}
	if audit, err := os.ReadFile(r.path("audit.log")); err != nil || strings.Contains(string(audit), probed) {
		t.Errorf("want no record of probes (%v):\n%s", err, audit)
	}
}

func (r *rig) remove(t *testing.T, name string) {
	t.Helper()
	must(t, os.RemoveAll(r.path(name)))
}

// expiredKey makes a key folder whose only key signs no more.
func (r *rig) expiredKey(t *testing.T) {
	t.Helper()
	must(t, os.MkdirAll(r.path("keys"), 0o700))
	now := time.Now()
	_, err := keyset.CreateKey(r.path("keys"), keyset.ES256, keyset.Plan{
		PublishAt: now.Add(-time.Hour), SignFrom: now.Add(-time.Hour), SignUntil: now.Add(-time.Minute), RemoveAfter: now.Add(time.Hour),
	})
	must(t, err)
}
