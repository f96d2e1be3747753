package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/token"
)

// settingsText is a plugin's file in full; DIR is replaced.
var settingsText = func() string {
	text, err := os.ReadFile("../../internal/gateway/settings/testdata/full.yaml")
	if err != nil {
		panic(err)
	}
	return string(text)
}()

// rig is the plugin as a gateway loads it, with its log and its records.
type rig struct {
	dir    string
	audit  *audittest.Buffer
	log    bytes.Buffer
	watch  *watch
	signer *signer
}

// startRig loads the plugin from settings, with each old text replaced by the new one.
func startRig(t testing.TB, oldnew ...string) *rig {
	t.Helper()
	p := &rig{dir: t.TempDir(), audit: audittest.NewBuffer(t, audit.Options{})}
	trailsBefore := auditTrails
	auditTrails = &trails{logs: map[string]*audit.Log{settings.Stdout: p.audit.Log, settings.Stderr: p.audit.Log}}
	t.Cleanup(func() { auditTrails = trailsBefore })
	tokentest.WriteKeyDir(t, filepath.Join(p.dir, "keys"))
	p.writeFile(t, "secret", strings.Repeat("s", identity.MinPseudonymKeyBytes)+"\n")
	p.writeFile(t, "meshpass.yaml", strings.NewReplacer(append(oldnew, "DIR", p.dir)...).Replace(settingsText))
	p.restart(t)
	return p
}

// pseudonym names a session by the secret of the rig.
func (p *rig) pseudonym(sessionKey string) string {
	return identity.PseudonymKey(strings.Repeat("s", identity.MinPseudonymKeyBytes)).Pseudonym(sessionKey)
}

func (p *rig) writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// restart starts the plugin again.
func (p *rig) restart(t testing.TB) {
	t.Helper()
	p.watch = newWatch(filepath.Join(p.dir, "meshpass.yaml"), slog.New(slog.NewTextHandler(&p.log, nil)))
	before := activeSigner
	activeSigner = func() *signer { return p.signer }
	t.Cleanup(func() { activeSigner = before })
	p.checkOnce()
}

// checkOnce makes the checks of one interval.
func (p *rig) checkOnce() {
	p.watch.patience = time.Hour // also on a busy machine
	p.watch.checkFiles()
	p.watch.checkDefinitions()
	p.signer = p.watch.signer.Load()
}

// requireDenied checks that a denial was written, and that no token is left on the request.
func requireDenied(t *testing.T, p *rig, r *http.Request, rw *httptest.ResponseRecorder, status int, reason decision.Reason) {
	t.Helper()
	want := fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d,"reason":%q}`+"\n", http.StatusText(status), status, reason)
	if rw.Code != status || rw.Body.String() != want {
		t.Errorf("got %d %s, want %d %s\nlog: %s", rw.Code, rw.Body, status, want, &p.log)
	}
	if got := rw.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
	if got := rw.Header().Get("WWW-Authenticate"); (got != "") != (status == http.StatusUnauthorized) {
		t.Errorf("%d with WWW-Authenticate %q: a 401 must name a scheme (RFC 9110 section 15.5.2)", status, got)
	}
	if values := r.Header.Values(identity.Header); len(values) != 0 {
		t.Errorf("the refused request still carries %d tokens", len(values))
	}
}

// requireUnsigned checks that a request is passed on without any token.
func requireUnsigned(t *testing.T, p *rig, r *http.Request, rw *httptest.ResponseRecorder) {
	t.Helper()
	if values := r.Header.Values(identity.Header); len(values) != 0 || rw.Body.Len() != 0 {
		t.Errorf("%d tokens, status %d, body %s: want none, and the request passed on\nlog: %s", len(values), rw.Code, rw.Body, &p.log)
	}
}

// requireSigned gives the claims of the one token that the request must carry.
func requireSigned(t *testing.T, p *rig, r *http.Request, rw *httptest.ResponseRecorder) *identity.Claims {
	t.Helper()
	values := r.Header.Values(identity.Header)
	if len(values) != 1 || rw.Body.Len() != 0 {
		t.Fatalf("%d tokens, status %d, body %s\nlog: %s", len(values), rw.Code, rw.Body, &p.log)
	}
	trust := tokentest.TrustEntry(t)
	trust.Subjects = token.Any[string]() // every kind of session has its own
	v, err := token.NewVerifier([]token.Trust{trust}, tokentest.Domains, token.Options{})
	if err != nil {
		t.Fatal(err)
	}
	claims, err := v.Verify(values[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := rw.Header().Get(identity.TxnHeader); got != claims.Txn {
		t.Errorf("the client gets %q, the token has %q", got, claims.Txn)
	}
	return claims
}

// callGuardOnly runs only the post hook, as Tyk does for a keyless API.
func (p *rig) callGuardOnly(r *http.Request) *httptest.ResponseRecorder {
	rw := httptest.NewRecorder()
	GuardUpstream(rw, r)
	return rw
}

func (p *rig) callSignAndGuard(r *http.Request) *httptest.ResponseRecorder {
	rw := httptest.NewRecorder()
	if SignIdentity(rw, r); rw.Body.Len() == 0 { // as in Tyk, a written answer ends the chain
		GuardUpstream(rw, r)
	}
	return rw
}
