package main

import (
	"github.com/TykTechnologies/tyk/apidef"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/token"
)

// callCanary calls the canary as Tyk calls a pre hook for a request of a keyless API.
func callCanary() *httptest.ResponseRecorder {
	rw := httptest.NewRecorder()
	Canary(rw, httptest.NewRequest(http.MethodGet, "/meshpass-canary/", nil))
	return rw
}

func TestCanary(t *testing.T) {
	rows := []struct {
		name   string
		change func(p *rig)
		want   decision.Reason
	}{
		{"all is well", func(*rig) {}, decision.Issued},
		{"the configuration breaks later", func(p *rig) { p.writeFile(t, "meshpass.yaml", "issuer: ["); p.checkOnce() }, decision.Issued},
		{"bad configuration", func(p *rig) { p.writeFile(t, "meshpass.yaml", "issuer: ["); p.restart(t) }, decision.NotConfigured},
		{"no keys", func(p *rig) { removeFile(t, p, "keys/keys.yaml"); p.restart(t) }, decision.NoSigningKey},
		{"a test key", func(p *rig) { markAsTest(t, p); p.restart(t) }, decision.NoSigningKey},
		{"no key's time has come", func(p *rig) { replaceIn(t, p, p.dir+"/keys", expiredKeyDir(t)); p.checkOnce() }, decision.NoSigningKey},
		{"a bug", func(p *rig) { p.signer.minter = nil }, decision.Panic},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := startRig(t)
			row.change(p)
			p.audit.TakeRecords()
			rw := callCanary()
			if row.want == decision.Issued {
				if rw.Code != http.StatusOK || rw.Body.String() != "ready\n" || len(rw.Header()["Txn-Token"]) != 0 {
					t.Errorf("got %d %s %v", rw.Code, rw.Body, rw.Header())
				}
			} else if rw.Code != http.StatusServiceUnavailable || !strings.Contains(rw.Body.String(), `"reason":"`+string(row.want)+`"`) {
				t.Errorf("got %d %s, want 503 %s", rw.Code, rw.Body, row.want)
			}
			if p.audit.String() != "" || p.canaryAnswers(t, row.want) != 1 {
				t.Errorf("want no record and one answer counted; audit: %s", p.audit)
			}
		})
	}
}

func markAsTest(t *testing.T, p *rig) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, "keys", "keys.yaml"))
	requireNoError(t, err)
	p.writeFile(t, "keys/keys.yaml", "test: true\n"+string(data))
}

// expiredKeyDir makes a folder with a key that may no longer sign.
func expiredKeyDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "expired")
	newKey(t, dir, time.Now().Add(-time.Hour), time.Now().Add(-time.Minute))
	return dir
}

// One token a second is signed, for any number of probes.
func TestCanaryIsCheap(t *testing.T) {
	p := startRig(t)
	now := time.Now()
	p.signer.now = func() time.Time { return now }
	minter := p.signer.minter
	for step, row := range []struct {
		later  time.Duration
		minter *token.Minter // nil: a test would panic
		status int
	}{
		{0, minter, 200}, {0, nil, 200}, {interval - 1, nil, 200}, {1, nil, 503}, {0, minter, 200}, {interval, nil, 503}, {-time.Hour, minter, 200},
	} {
		now, p.signer.minter = now.Add(row.later), row.minter
		if got := callCanary(); got.Code != row.status {
			t.Errorf("step %d: got %d, want %d", step, got.Code, row.status)
		}
	}
}

// After a panic in one probe, others are answered.
func TestCanaryForMany(t *testing.T) {
	p := startRig(t)
	p.signer.minter = nil
	var all sync.WaitGroup
	for range 20 {
		all.Add(1)
		go func() { defer all.Done(); callCanary() }()
	}
	all.Wait()
	if n := p.canaryAnswers(t, decision.Panic); n != 20 {
		t.Errorf("%d of 20 were answered", n)
	}
}

// StripIdentity answers for a canary whose hooks are in a bundle, because a bundle has one list for all its APIs. It also
// checks that the lists would protect an API.
func TestCanaryOfABundle(t *testing.T) {
	const strip, sign, guard = tykapi.StripHook, tykapi.SignHook, tykapi.GuardHook
	rows := []struct {
		name   string
		change func(c *call)
		want   decision.Reason
	}{
		{"all three hooks", func(*call) {}, decision.Issued},
		{"without SignIdentity", listHooks(strip, "", guard), decision.ConfigInvalid},
		{"without GuardUpstream", listHooks(strip, sign, ""), decision.ConfigInvalid},
		{"StripIdentity alone", listHooks(strip, "", ""), decision.ConfigInvalid},
		{"a hook in the wrong list", listHooks(strip+" "+sign, sign, guard), decision.ConfigInvalid},
		{"a hook without a path", func(c *call) { c.api.CustomMiddleware.PostKeyAuth[0].Path = "" }, decision.ConfigInvalid},
		{"a plugin after GuardUpstream", func(c *call) {
			c.api.CustomMiddleware.Post = append(c.api.CustomMiddleware.Post, apidef.MiddlewareDefinition{Name: "Redirect", Path: "other.so"})
		}, decision.ConfigInvalid},
	}
	p := startRig(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := keyCall()
			c.api.APIID, c.api.UseKeylessAccess, c.api.UseStandardAuth, c.api.CustomMiddlewareBundle = row.name, true, false, "meshpass.zip"
			c.api.ConfigData = map[string]any{"meshpass": map[string]any{"canary": true}}
			row.change(c)
			rw := httptest.NewRecorder()
			StripIdentity(rw, c.request())
			switch {
			case row.want == decision.Issued && (rw.Code != http.StatusOK || rw.Body.String() != "ready\n"):
				t.Errorf("got %d %s, want 200 ready", rw.Code, rw.Body)
			case row.want != decision.Issued && (rw.Code != http.StatusServiceUnavailable || !strings.Contains(rw.Body.String(), `"reason":"`+string(row.want)+`"`)):
				t.Errorf("got %d %s, want 503 %s", rw.Code, rw.Body, row.want)
			}
		})
	}
	t.Run("without StripIdentity", func(t *testing.T) {
		c := keyCall()
		c.api.APIID, c.api.UseKeylessAccess, c.api.UseStandardAuth, c.api.CustomMiddlewareBundle = "unstripped", true, false, "meshpass.zip"
		c.api.ConfigData = map[string]any{"meshpass": map[string]any{"canary": true}}
		listHooks("", sign, guard)(c)
		r := c.request()
		requireDenied(t, p, r, p.callGuardOnly(r), 500, decision.ConfigInvalid)
	})
}
