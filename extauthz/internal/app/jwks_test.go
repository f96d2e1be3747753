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
	"github.com/meshpass/meshpass/shared/keyset"
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

// home marks an entry as one of our own fleets.
func home(entry string) string { return strings.Replace(entry, "{", "{home: true, ", 1) }

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
	if v, err := NewVerifier(f.config, time.Now, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	} else if _, err := v.Verify(renewed.claim(t, unchanged)); err != nil {
		t.Error(err)
	}
}

// Without any set it starts, answers 503 with the reason, and is not ready: until
// the server is back. Tokens that fail for another reason still get that reason.
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
	f := newTrusting(t, overHTTP, home(fromURL(east, newKeyServer(t, "").URL)))
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
	f := newTrusting(t, overHTTP, home(fromURL(west, server.URL)), entry(east, "east.json"))
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
	// The other way round, a home file that takes the key of a home URL is a refused change.
	f.write("east.json", west.jwks(t))
	a.await(t, refusedMessage)
	if got := a.reasonFor(t, east.claim(t, unchanged)); got != "rule_allowed" {
		t.Errorf("after the refused change: %s", got)
	}
}

// jwksOf is one set with the keys of several fleets.
func jwksOf(t *testing.T, all ...fleet) string {
	t.Helper()
	var sets []*keyset.PublicKeys
	for _, f := range all {
		set, err := keyset.ParseJWKS([]byte(f.jwks(t)))
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, set)
	}
	data, err := keyset.MarshalJWKS(sets...)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A partner publishes our key beside its own: ours goes on, now and after a restart, and
// so does the partner's; its copy of our key is not used.
func TestAPartnerThatPublishesOurKey(t *testing.T) {
	ours, partner := newFleet(t, "east"), newFleet(t, "west")
	partners, our := newKeyServer(t, partner.jwks(t)), newKeyServer(t, ours.jwks(t))
	f := newTrusting(t, overHTTP, fromURL(partner, partners.URL), home(fromURL(ours, our.URL)))
	a := startAsked(t, f)
	partners.serves(jwksOf(t, partner, ours))
	dropped := `meshpass_jwks_keys_dropped{issuer="` + partner.issuer + `"} 1`
	eventually(t, "not dropped", func() bool { return strings.Contains(body(t, a.ops()+"/metrics"), dropped) })
	for _, when := range []string{"now", "after a restart"} {
		asPartner := ours.claim(t, func(issuer *string, id *identity.Identity) {
			*issuer, id.Subject.Namespace, id.Requester = partner.issuer, partner.subjects, partner.requester
		})
		for _, row := range []struct{ raw, want string }{
			{ours.claim(t, unchanged), "rule_allowed"}, {partner.claim(t, unchanged), "rule_allowed"}, {asPartner, "kid_unknown"},
		} {
			if got := a.reasonFor(t, row.raw); got != row.want {
				t.Errorf("%s: got %s, want %s", when, got, row.want)
			}
		}
		if metrics := body(t, a.ops()+"/metrics"); !strings.Contains(metrics, dropped) || !strings.Contains(metrics, `meshpass_jwks_keys_dropped{issuer="`+ours.issuer+`"} 0`) {
			t.Errorf("%s: %s", when, metrics)
		}
		if text := body(t, a.ops()+"/readyz"); !strings.Contains(text, "is also a key of "+ours.issuer) {
			t.Errorf("%s: %s", when, text)
		}
		if err := a.end(t); err != nil {
			t.Fatal(err)
		}
		a = startAsked(t, f)
	}
}

// What a requester writes into a token that nobody signed, and what a partner's server
// does, is no outage while a home issuer has keys; without a home entry there is none.
func TestAPartnerCausesNoOutage(t *testing.T) {
	east, partner := newFleet(t, "east"), newFleet(t, "west")
	partners := newKeyServer(t, "")
	f := newTrusting(t, overHTTP, entry(east, "east.json"), fromURL(partner, partners.URL))
	f.write("east.json", east.jwks(t))
	f.write("policies/orders.yaml", strings.Replace(allowing("a"), "spec:", "spec:\n  onOutage: allow", 1))
	a := startAsked(t, f)
	fromPartner := partner.claim(t, unchanged)
	for want, raw := range map[string]string{
		"keys_unavailable": fromPartner,
		"rule_allowed":     east.claim(t, unchanged),
	} {
		if got := a.reasonFor(t, raw); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}

	// East is at a URL now, home, and away: an outage for east's tokens alone.
	f.trusting(overHTTP, home(fromURL(east, newKeyServer(t, "").URL)), fromURL(partner, partners.URL))
	a.eventually(t, east.claim(t, unchanged), "allowed_on_outage")
	if got := a.reasonFor(t, fromPartner); got != "keys_unavailable" {
		t.Errorf("the partner in an outage of home: %s", got)
	}

	// The last home entry goes: at once there is no outage, and the document is refused.
	f.trusting(overHTTP, fromURL(east, newKeyServer(t, "").URL), fromURL(partner, partners.URL))
	a.eventually(t, east.claim(t, unchanged), "keys_unavailable")
	a.await(t, "documents rejected, all others are active")
	const problem = "onOutage: allow needs an entry of trust with home: true"
	if text := body(t, a.ops()+"/readyz"); !strings.Contains(text, problem) {
		t.Errorf("readyz: %s", text)
	}
	if got := a.reasonFor(t, east.claim(t, unchanged)); got != "keys_unavailable" {
		t.Errorf("with the last good version of a refused document: %s", got)
	}

	// And comes back: the document is accepted though no file of policies has changed.
	f.trusting(overHTTP, home(fromURL(east, newKeyServer(t, "").URL)))
	a.eventually(t, east.claim(t, unchanged), "allowed_on_outage")
	eventually(t, "still refused", func() bool { return !strings.Contains(body(t, a.ops()+"/readyz"), problem) })
}

// A document that says onOutage: allow is refused at a start without a home entry; what
// several entries leave open is a warning.
func TestOnOutageNeedsAHomeEntry(t *testing.T) {
	east, west := newFleet(t, "east"), newFleet(t, "west")
	unbound := func(entry string) string { head, _, _ := strings.Cut(entry, ", subjects:"); return head + "}" }
	f := newTrusting(t, overHTTP, unbound(fromURL(east, newKeyServer(t, "").URL)), unbound(fromURL(west, newKeyServer(t, "").URL)))
	f.write("policies/orders.yaml", strings.Replace(allowing("a"), "spec:", "spec:\n  onOutage: allow", 1))
	a := startAsked(t, f)
	if got := a.reasonFor(t, east.claim(t, unchanged)); got != "policy_refused" {
		t.Errorf("got %s", got)
	}
	for _, text := range []string{"trust: no entry is home", "trust: entries without subjects and requesters"} {
		if got := len(a.matches(`"level":"WARN","msg":"(` + text + `)`)); got != 1 {
			t.Errorf("%s: warned %d times", text, got)
		}
	}
	p := process(f.config)
	p.Strict = true
	if _, err := loadAuthorizer(p); err == nil || !strings.Contains(err.Error(), "onOutage: allow needs an entry of trust with home: true") {
		t.Errorf("strict: got %v", err)
	}
}
