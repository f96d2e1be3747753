package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/token"
	"github.com/meshpass/meshpass/shared/tokentest"
)

// settingsText is a plugin's file in full; DIR is replaced.
const settingsText = `
issuer: https://tyk.test.meshpass.dev
audience: test.meshpass.dev
workload: spiffe://cluster.local/ns/edge/sa/tyk-gateway
keys: {dir: DIR/keys}
lifetime: 60s
minRemaining: 5s
idps:
  - alias: idp
    issuer: https://idp.example.com
    audiences: [shop]
    subject: sub
    scopes: [scope, scp]
    claims: {tenant: org_id, groups: {from: groups, keep: ["orders-*"], max: 2}}
apiKeys: {subject: meta.developer_id, claims: {tenant: meta.tenant}, scopes: {byPolicy: {gold: [orders.read, orders.write]}}}
secretFile: DIR/secret
upstreams: ["*.svc.cluster.local", "127.0.0.1"]
allow: {optionalIdentity: [open-api]}
audit: {output: stderr}
`

// rig is the plugin as the gateway would have loaded it, with what it wrote.
type rig struct {
	dir        string
	audit, log bytes.Buffer
	watch      *watch
	signer     *signer
}

// start loads the plugin from settings in which old is replaced by new.
func start(t testing.TB, oldnew ...string) *rig {
	t.Helper()
	p := &rig{dir: t.TempDir()}
	if err := os.CopyFS(filepath.Join(p.dir, "keys"), os.DirFS(tokentest.KeyDir(t))); err != nil {
		t.Fatal(err)
	}
	p.write(t, "secret", strings.Repeat("s", minSecret)+"\n")
	p.write(t, "meshpass.yaml", strings.NewReplacer(append(oldnew, "DIR", p.dir)...).Replace(settingsText))
	p.load(t)
	return p
}

func (p *rig) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// load starts the plugin anew.
func (p *rig) load(t testing.TB) {
	t.Helper()
	p.watch = &watch{file: filepath.Join(p.dir, "meshpass.yaml"), log: slog.New(slog.NewTextHandler(&p.log, nil)), load: load}
	before := current
	current = func() *signer { return p.signer }
	t.Cleanup(func() { current = before })
	p.look()
}

// look does what the plugin does at every interval.
func (p *rig) look() {
	p.watch.look()
	p.signer = p.watch.inForce.Load()
	p.signer.audit = audit.New(&p.audit)
}

// call is one request as Tyk hands it to a hook.
type call struct {
	api     apidef.APIDefinition
	session *user.SessionState
	claims  map[string]any
	header  http.Header
	ignored bool // an endpoint without authentication
}

func keyCall() *call {
	return &call{
		api: shipped(apidef.APIDefinition{APIID: "orders-key", Name: "Orders", UseStandardAuth: true, EnableContextVars: true}),
		session: &user.SessionState{KeyID: "demo0123", OrgID: "demo", Alias: "not a subject", ApplyPolicies: []string{"gold"},
			MetaData: map[string]any{"developer_id": "partner-7", "tenant": "acme"}},
	}
}

func jwtCall() *call {
	return &call{
		api:     shipped(apidef.APIDefinition{APIID: "orders-jwt", Name: "Orders", EnableJWT: true, JWTIdentityBaseField: "sub", EnableContextVars: true}),
		session: &user.SessionState{KeyID: "demo6384e2b2184bcbf58eccf10ca7a6563c", OrgID: "demo"}, // md5 of alice
		claims: map[string]any{"iss": "https://idp.example.com", "sub": "alice", "aud": []any{"other", "shop"}, "exp": inSeconds(600),
			"scope": "orders.read profile", "scp": []any{"extra"}, "org_id": "acme", "groups": []any{"orders-eu", "staff"},
			"alg": "RS256", "kid": "k1", "typ": "JWT"},
	}
}

// shipped adds what every definition needs: the guard, and a target in the mesh.
func shipped(d apidef.APIDefinition) apidef.APIDefinition {
	d.CustomMiddleware.Driver = apidef.GoPluginDriver
	d.CustomMiddleware.Post = []apidef.MiddlewareDefinition{{Name: guardHook, Path: "plugins/identity.so"}}
	d.Proxy.TargetURL = "http://orders.shop.svc.cluster.local:8080/"
	return d
}

func inSeconds(n int) float64 { return float64(time.Now().Add(time.Duration(n) * time.Second).Unix()) }

func (c *call) request() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/tenants/acme/orders/7?secret=1", nil)
	for name, values := range c.header {
		r.Header[name] = values
	}
	c.enter(r)
	return r
}

// enter puts into the request's context what Tyk would for this API.
func (c *call) enter(r *http.Request) {
	ctx.SetDefinition(r, &c.api)
	if c.session != nil {
		ctx.SetSession(r, c.session, false, false, false) // fewer values, and Tyk's global configuration is asked
	}
	data := map[string]any{}
	for name, value := range c.claims {
		data["jwt_claims_"+name] = value
	}
	set(r, ctx.ContextData, data)
	if c.ignored {
		set(r, ctx.RequestStatus, "any")
	}
}

func set(r *http.Request, key, value any) {
	*r = *r.WithContext(context.WithValue(r.Context(), key, value))
}

// refused asserts a written refusal with nothing of ours left on the request.
func refused(t *testing.T, p *rig, r *http.Request, rw *httptest.ResponseRecorder, status int, reason decision.Reason) {
	t.Helper()
	want := fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d,"reason":%q}`+"\n", http.StatusText(status), status, reason)
	if rw.Code != status || rw.Body.String() != want {
		t.Errorf("got %d %s, want %d %s\nlog: %s", rw.Code, rw.Body, status, want, &p.log)
	}
	if got := rw.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
	if values := r.Header.Values(identity.Header); len(values) != 0 {
		t.Errorf("the refused request still carries %d tokens", len(values))
	}
}

// unsigned asserts a request that is passed on without any token.
func unsigned(t *testing.T, p *rig, r *http.Request, rw *httptest.ResponseRecorder) {
	t.Helper()
	if values := r.Header.Values(identity.Header); len(values) != 0 || rw.Body.Len() != 0 {
		t.Errorf("%d tokens, status %d, body %s: want none, and the request passed on\nlog: %s", len(values), rw.Code, rw.Body, &p.log)
	}
}

// signed gives the claims of the one token that the request must carry.
func signed(t *testing.T, p *rig, r *http.Request, rw *httptest.ResponseRecorder) *identity.Claims {
	t.Helper()
	values := r.Header.Values(identity.Header)
	if len(values) != 1 || rw.Body.Len() != 0 {
		t.Fatalf("%d tokens, status %d, body %s\nlog: %s", len(values), rw.Code, rw.Body, &p.log)
	}
	v, err := token.NewVerifier([]token.Trust{tokentest.Trust(t)}, tokentest.Domains, token.Options{})
	if err != nil {
		t.Fatal(err)
	}
	claims, err := v.Verify(values[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := rw.Header().Get(identity.TxnHeader); got != claims.Txn {
		t.Errorf("the client is told %q, the token says %q", got, claims.Txn)
	}
	return claims
}

func (p *rig) sign(r *http.Request) *httptest.ResponseRecorder {
	rw := httptest.NewRecorder()
	if SignIdentity(rw, r); rw.Body.Len() == 0 { // as Tyk does: what was written ends the chain
		GuardUpstream(rw, r)
	}
	return rw
}
