package app

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
)

// keyServer serves one key set; empty: it answers 503.
type keyServer struct {
	*httptest.Server
	set atomic.Pointer[string]
}

func newKeyServer(t *testing.T, set string) *keyServer {
	t.Helper()
	s := &keyServer{}
	s.serves(set)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if *s.set.Load() == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, *s.set.Load())
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *keyServer) serves(set string) { s.set.Store(&set) }

const overHTTP = oneListener + "insecure: {jwksOverHTTP: true}\n"

// fromURL is an entry whose keys are at a URL, with more settings of its jwks.
func fromURL(f fleet, url string, more ...string) string {
	jwks := strings.Join(append([]string{"url: \"" + url + "\"", "refresh: 1s"}, more...), ", ")
	return "{issuer: \"" + f.issuer + "\", audience: test.meshpass.dev, jwks: {" + jwks + "}, subjects: [" + f.subjects + "], requesters: [\"" + f.requester + "\"]}"
}

// trusting writes the configuration with these entries.
func (f files) trusting(settings string, entries ...string) {
	f.write(filepath.Base(f.config), settings+"tls: {mode: plaintext}\ntrust: ["+strings.Join(entries, ", ")+"]\npolicies: {dirs: [{path: policies}]}\n")
}

func newTrusting(t *testing.T, settings string, entries ...string) files {
	t.Helper()
	f := newFiles(t, settings)
	f.trusting(settings, entries...)
	return f
}

func (a asked) reasonFor(t *testing.T, raw string) string {
	t.Helper()
	request := order(t, gateway)
	request.Attributes.Request.Http.Headers["txn-token"] = raw
	return reasonOf(t, a, t.Context(), request)
}

func (a asked) eventually(t *testing.T, raw, want string) {
	t.Helper()
	eventually(t, "never "+want, func() bool { return a.reasonFor(t, raw) == want })
}

// From the first Check on, a set at a URL is as good as one in a file; a key that
// is withdrawn there stops, and a new one is found.
func TestKeysFromAURL(t *testing.T) {
	east, renewed := newFleet(t, "east"), newFleet(t, "east")
	server := newKeyServer(t, east.jwks(t))
	f := newTrusting(t, overHTTP, fromURL(east, server.URL))
	a := startAsked(t, f)
	if got := a.reasonFor(t, east.claim(t, unchanged)); got != "rule_allowed" {
		t.Fatalf("got %s", got)
	}
	if got := a.reasonFor(t, renewed.claim(t, unchanged)); got != "kid_unknown" {
		t.Errorf("an unknown key: got %s", got)
	}
	server.serves(renewed.jwks(t))
	a.eventually(t, renewed.claim(t, unchanged), "rule_allowed")
	if got := a.reasonFor(t, east.claim(t, unchanged)); got != "kid_unknown" {
		t.Errorf("a withdrawn key: got %s", got)
	}
	if warned := len(a.matches(`"level":"WARN","msg":"(insecure\.jwksOverHTTP): `)); warned != 1 {
		t.Errorf("warned %d times", warned)
	}
	if v, err := Verifier(f.config, time.Now, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	} else if _, err := v.Verify(renewed.claim(t, unchanged)); err != nil {
		t.Error(err)
	}
}

// Without any set it starts, answers 503 with the reason, and is not ready: until
// the server is back. What fails for another reason is told so all the same.
func TestAColdStartWithoutKeys(t *testing.T) {
	east := newFleet(t, "east")
	server := newKeyServer(t, "")
	a := startAsked(t, newTrusting(t, overHTTP, fromURL(east, server.URL)))
	if got := a.reasonFor(t, east.claim(t, unchanged)); got != "keys_unavailable" {
		t.Errorf("got %s", got)
	}
	foreign := func(_ *string, id *identity.Identity) { id.Subject.Namespace = "west-idp" }
	if got := a.reasonFor(t, east.claim(t, foreign)); got != "issuer_not_entitled" {
		t.Errorf("got %s", got)
	}
	if status, text := get(t, a.ops()+"/readyz"); status != 503 || !strings.Contains(text, "no keys, never fetched; the last attempt failed:\n  status 503") {
		t.Errorf("got %d, %s", status, text)
	}
	if status, _ := get(t, a.ops()+"/livez"); status != 200 {
		t.Errorf("livez: %d: it would be restarted for ever", status)
	}
	server.serves(east.jwks(t))
	a.eventually(t, east.claim(t, unchanged), "rule_allowed")
	eventually(t, "never ready", func() bool { status, _ := get(t, a.ops()+"/readyz"); return status == 200 })
}

// onOutage speaks where the issuer's keys cannot be had, and nowhere else.
func TestOutageOfKeysAndPolicy(t *testing.T) {
	east := newFleet(t, "east")
	f := newTrusting(t, overHTTP, fromURL(east, newKeyServer(t, "").URL))
	f.write("policies/orders.yaml", strings.Replace(allowing("a"), "spec:", "spec:\n  onOutage: allow", 1))
	a := startAsked(t, f)
	for want, raw := range map[string]string{
		"allowed_on_outage":   east.claim(t, unchanged),
		"issuer_not_entitled": east.claim(t, func(_ *string, id *identity.Identity) { id.Subject.Namespace = "key" }),
		"token_missing":       "",
		"issuer_unknown":      newFleet(t, "north").claim(t, unchanged),
	} {
		if got := a.reasonFor(t, raw); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A set that grows too old ends, and a restart with the seed file neither loses it
// before nor keeps it beyond that.
func TestTheSeedOutlivesARestart(t *testing.T) {
	east := newFleet(t, "east")
	server := newKeyServer(t, east.jwks(t))
	f := newTrusting(t, overHTTP, fromURL(east, server.URL, "seed: seed.json", "maxStale: 4s"))
	first := startAsked(t, f)
	began := time.Now()
	server.serves("")
	if err := first.end(t); err != nil {
		t.Fatal(err)
	}
	a := startAsked(t, f)
	if got := a.reasonFor(t, east.claim(t, unchanged)); got != "rule_allowed" && time.Since(began) < 3*time.Second {
		t.Errorf("after the restart: %s", got)
	}
	a.eventually(t, east.claim(t, unchanged), "keys_unavailable")
	if status, _ := get(t, a.ops()+"/readyz"); status != 200 {
		t.Errorf("readyz: %d: every replica would be withdrawn", status)
	}
	server.serves(east.jwks(t))
	a.eventually(t, east.claim(t, unchanged), "rule_allowed")
}

// West's server begins to name East's key: its last good set stays, and the key
// keeps speaking for East alone.
func TestAURLThatNamesAnotherIssuersKey(t *testing.T) {
	east, west := newFleet(t, "east"), newFleet(t, "west")
	server := newKeyServer(t, west.jwks(t))
	f := newTrusting(t, overHTTP, fromURL(west, server.URL), entry(east, "east.json"))
	f.write("east.json", east.jwks(t))
	a := startAsked(t, f)
	server.serves(east.jwks(t))
	eventually(t, "not refused", func() bool {
		return strings.Contains(body(t, a.ops()+"/readyz"), "is also a key of "+east.issuer)
	})
	asWest := east.claim(t, func(issuer *string, id *identity.Identity) {
		*issuer, id.Subject.Namespace, id.Requester = west.issuer, west.subjects, west.requester
	})
	for _, row := range []struct{ raw, want string }{
		{west.claim(t, unchanged), "rule_allowed"}, {east.claim(t, unchanged), "rule_allowed"}, {asWest, "kid_unknown"},
	} {
		if got := a.reasonFor(t, row.raw); got != row.want {
			t.Errorf("got %s, want %s", got, row.want)
		}
	}
	if metrics := body(t, a.ops()+"/metrics"); strings.Contains(metrics, `meshpass_jwks_fetch_failures_total{cause="refused",issuer="`+west.issuer+`"} 0`) {
		t.Error("not counted")
	}
	// The other way round, a file that takes the key of a URL is a refused change.
	f.write("east.json", west.jwks(t))
	a.await(t, refusedMessage)
	if got := a.reasonFor(t, east.claim(t, unchanged)); got != "rule_allowed" {
		t.Errorf("after the refused change: %s", got)
	}
}
