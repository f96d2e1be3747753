// Package gateway_test asks the real Tyk what it answers where requests take unusual ways, alone and
// with the plugin. docs/gateway.md is written from these tests. No mesh is needed: the upstream is a
// server of this process that tells which token it saw.
package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/meshpass/meshpass/e2e/idp"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/process"
)

// setup is what is particular about a gateway.
type setup struct {
	apis  []definition
	conf  string            // what differs from the demo's tyk.conf, as JSON
	files map[string]string // beside tyk.conf
	bare  bool              // the plugin's files are not there yet
	first func(*rig)        // is called before the gateway is started
	alone bool              // the rig's own API is without our plugin: a gateway loads it from one folder only
}

// rig is a running gateway with its Redis, two identity providers and one upstream.
type rig struct {
	dir      string
	url      string // of the port that clients reach
	admin    string // of the control API's port
	redis    *miniredis.Miniredis
	issuers  map[string]string // URL by tenant
	upstream *upstream
	tyk      *process.Proc
	key      string // of an API key
}

// secret is that of the control API.
const secret = "e2e"

func start(t *testing.T, s setup) *rig {
	t.Helper()
	r := &rig{dir: t.TempDir(), redis: miniredis.RunT(t), issuers: map[string]string{}, upstream: newUpstream(t)}
	for _, tenant := range []string{"acme", "globex"} {
		r.issuers[tenant] = provider(t, tenant)
	}
	if !s.bare {
		r.writePlugin(t)
	}
	for name, text := range s.files {
		r.write(t, name, text)
	}
	r.writeConf(t, s.conf)
	r.writeAPIs(t, append(s.apis, definition{id: canary, json: "{}", alone: s.alone}))
	if s.first != nil {
		s.first(r)
	}
	r.startTyk(t)
	return r
}

// provider is an OpenID provider that knows alice. Her name is the same at each of them, and her
// tenant is not.
func provider(t *testing.T, tenant string) string {
	t.Helper()
	server := httptest.NewServer(nil)
	t.Cleanup(server.Close)
	handler, err := idp.New(server.URL, []idp.User{{Name: "alice", Tenant: tenant, Scope: "orders.read"}})
	must(t, err)
	server.Config.Handler = handler
	return server.URL
}

func (r *rig) startTyk(t *testing.T) {
	t.Helper()
	path, err := repo.Bin("tyk", "build")
	must(t, err)
	bin, err := repo.BinDir()
	must(t, err)
	must(t, os.Mkdir(r.path("middleware"), 0o700))
	must(t, os.Symlink(filepath.Join(bin, "plugins"), r.path("plugins")))
	must(t, os.Symlink(filepath.Join(bin, "tyk-templates"), r.path("templates")))
	r.tyk, err = process.Start(process.Spec{
		Name: "tyk", Path: path, Args: []string{"--conf", "tyk.conf"}, Dir: r.dir,
		Env: []string{"MESHPASS_CONFIG=" + r.path("identity.yaml")}, Stdout: r.path("audit.log"), Stderr: r.path("tyk.log"),
	})
	must(t, err)
	t.Cleanup(func() {
		if err := r.tyk.Stop(); err != nil {
			t.Error(err)
		}
		audittest.CheckFiles(t, r.path("audit.log"))
		if log, err := os.ReadFile(r.path("tyk.log")); t.Failed() && err == nil {
			t.Logf("the gateway's log:\n%s", log)
		}
	})
}

// serving waits until the gateway serves its APIs, and makes the API key.
func (r *rig) serving(t *testing.T) *rig {
	t.Helper()
	r.await(t, r.serves)
	r.key = r.newKey(t, `{"developer_id": "partner-7", "tenant": "acme"}`)
	return r
}

// newKey makes an API key with this metadata.
func (r *rig) newKey(t *testing.T, metadata string) string {
	t.Helper()
	session := fmt.Sprintf(`{"org_id": "demo", "apply_policies": ["all"], "meta_data": %s}`, metadata)
	_, body, err := r.control(t.Context(), http.MethodPost, "/tyk/keys/create", session)
	must(t, err)
	key, _ := parse(t, string(body))["key"].(string)
	if key == "" {
		t.Fatalf("no API key: %s", body)
	}
	return key
}

// serves is a condition: APIs are loaded.
func (r *rig) serves(ctx context.Context) error {
	status, _, err := r.ask(ctx, r.url, http.MethodGet, "/"+canary+"/", "")
	if err == nil && status == http.StatusNotFound {
		err = errors.New("the APIs are not loaded")
	}
	return err
}

// await polls a condition for as long as a slow machine may need.
func (r *rig) await(t *testing.T, ready func(context.Context) error) {
	t.Helper()
	r.awaitWithin(t, 30*time.Second, ready)
}

func (r *rig) awaitWithin(t *testing.T, bound time.Duration, ready func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	must(t, r.tyk.AwaitReady(ctx, ready))
}

// logged is a condition: the gateway, or the plugin in it, has logged a text.
func (r *rig) logged(text string) error {
	log, err := os.ReadFile(r.path("tyk.log"))
	if err == nil && !strings.Contains(string(log), text) {
		err = fmt.Errorf("the gateway has not logged %q", text)
	}
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
