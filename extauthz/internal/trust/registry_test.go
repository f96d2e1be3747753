package trust_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/trust"
	"github.com/meshpass/meshpass/extauthz/internal/trust/jwks"
	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

func newRegistry(t *testing.T) *trust.Registry {
	t.Helper()
	r := trust.New(trust.Config{Domains: tokentest.Domains, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	t.Cleanup(r.Close)
	return r
}

func trustIn(t *testing.T, issuer string) token.Trust {
	t.Helper()
	_, trust := tokentest.NewIssuer(t, keyset.ES256, time.Now())
	trust.Issuer = issuer
	return trust
}

func ofFile(from token.Trust) trust.Entry { return trust.Entry{Trust: from} }

// at serves the keys and is an entry that follows them.
func at(t *testing.T, from token.Trust) trust.Entry {
	t.Helper()
	set, err := keyset.MarshalJWKS(from.Keys)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }))
	t.Cleanup(server.Close)
	from.Keys = nil
	return trust.Entry{Trust: from, Remote: &jwks.Config{Issuer: from.Issuer, URL: server.URL, Refresh: time.Hour, MaxStale: time.Hour}}
}

// keyServer serves the keys of a set that may change; nil: 503.
type keyServer struct {
	*httptest.Server
	set atomic.Pointer[keyset.PublicKeys]
}

func newKeyServer(t *testing.T, keys *keyset.PublicKeys) *keyServer {
	t.Helper()
	s := &keyServer{}
	s.set.Store(keys)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		keys := s.set.Load()
		if keys == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		set, err := keyset.MarshalJWKS(keys)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(set)
	}))
	t.Cleanup(s.Close)
	return s
}

func join(t *testing.T, sets ...*keyset.PublicKeys) *keyset.PublicKeys {
	t.Helper()
	data, err := keyset.MarshalJWKS(sets...)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyset.ParseJWKS(data)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func (s *keyServer) entry(issuer, seed string, home bool) trust.Entry {
	from := token.Trust{
		Issuer: issuer, Audience: tokentest.Audience, Algorithms: []string{keyset.ES256}, MaxLifetime: token.MaxLifetime, Home: home,
	}
	return trust.Entry{Trust: from, Remote: &jwks.Config{Issuer: issuer, URL: s.URL, Refresh: time.Second, MaxStale: time.Hour, Seed: seed}}
}

// counts are the keys that each issuer may use, and those that are dropped of its set.
func counts(r *trust.Registry) (text string) {
	for _, i := range r.Issuers() {
		text += fmt.Sprintf("%s %d -%d; ", strings.TrimPrefix(i.Name, "https://"), i.Keys, i.Dropped)
		if (i.Conflict != nil) != (i.Dropped > 0) {
			text += fmt.Sprintf("(%v) ", i.Conflict)
		}
	}
	return strings.TrimSuffix(text, "; ")
}

func eventually(t *testing.T, r *trust.Registry, want string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); counts(r) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %s, want %s", counts(r), want)
		}
	}
}

func start(t *testing.T, entries ...trust.Entry) *trust.Registry {
	t.Helper()
	r := newRegistry(t)
	if err := r.Apply(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	return r
}

// Of sets that come at the same time and share a key, a home entry keeps it, else the
// file's, else the earlier entry's. Only the copy is dropped, the rest is used.
func TestASharedKeyAtTheStart(t *testing.T) {
	a, b := trustIn(t, "https://a"), trustIn(t, "https://b")
	more := newKeyServer(t, join(t, a.Keys, b.Keys))
	homeFile := a
	homeFile.Home = true
	for _, row := range []struct {
		name, want string
		entries    []trust.Entry
	}{
		{"a home file after a URL", "url 1 -1; a 1 -0", []trust.Entry{more.entry("https://url", "", false), ofFile(homeFile)}},
		{"a file after a URL", "url 1 -1; a 1 -0", []trust.Entry{more.entry("https://url", "", false), ofFile(a)}},
		{"a home URL after a file", "a 0 -1; url 2 -0", []trust.Entry{ofFile(a), more.entry("https://url", "", true)}},
		{"a home URL after a URL", "first 0 -2; url 2 -0", []trust.Entry{more.entry("https://first", "", false), more.entry("https://url", "", true)}},
		{"two URLs", "first 2 -0; second 0 -2", []trust.Entry{more.entry("https://first", "", false), more.entry("https://second", "", false)}},
		{"two files", "a 1 -0; b 0 -1", []trust.Entry{ofFile(a), ofFile(token.Trust{Issuer: "https://b", Audience: a.Audience, Algorithms: a.Algorithms, MaxLifetime: a.MaxLifetime, Keys: a.Keys})}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := start(t, row.entries...)
			<-r.Usable()
			if got := counts(r); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

// A thief is first in the configuration and publishes the other's public key beside
// its own. Home never loses it; of two others, the one that had it first keeps it, also
// after a restart with the seeds, and while its server is away.
func TestAThiefOfKeys(t *testing.T) {
	ours, theirs, next := trustIn(t, "https://ours").Keys, trustIn(t, "https://thief").Keys, trustIn(t, "https://next").Keys
	for _, row := range []struct {
		name string
		home bool
	}{{"home", true}, {"not home", false}} {
		t.Run(row.name, func(t *testing.T) {
			seeds := t.TempDir()
			good, thief := newKeyServer(t, ours), newKeyServer(t, theirs)
			entries := []trust.Entry{
				thief.entry("https://thief", filepath.Join(seeds, "thief.json"), false),
				good.entry("https://ours", filepath.Join(seeds, "ours.json"), row.home),
			}
			r := start(t, entries...)
			thief.set.Store(join(t, theirs, ours))
			eventually(t, r, "thief 1 -1; ours 1 -0")
			r.Close()
			r = start(t, entries...)
			if got := counts(r); got != "thief 1 -1; ours 1 -0" {
				t.Errorf("after a restart: %s", got)
			}
			r.Close()

			good.set.Store(nil) // the owner is away, and its last set too old
			outdate(t, filepath.Join(seeds, "ours.json"))
			r = start(t, entries...)
			if got := counts(r); got != "thief 1 -1; ours 0 -0" {
				t.Errorf("while the owner is away: %s", got)
			}
			good.set.Store(ours)
			eventually(t, r, "thief 1 -1; ours 1 -0")

			// The next key, published by the thief first.
			thief.set.Store(join(t, theirs, next))
			eventually(t, r, "thief 2 -0; ours 1 -0")
			good.set.Store(join(t, ours, next))
			if row.home {
				eventually(t, r, "thief 1 -1; ours 2 -0")
			} else {
				eventually(t, r, "thief 2 -0; ours 1 -1")
			}
		})
	}
}

// outdate makes the set of a seed a year old.
func outdate(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old := regexp.MustCompile(`"fetched":"[^"]*"`).ReplaceAll(data, []byte(`"fetched":"2020-01-01T00:00:00Z"`))
	if err := os.WriteFile(file, old, 0o600); err != nil || bytes.Equal(old, data) {
		t.Fatal(err, string(data))
	}
}

// A set that contains only keys of other issuers is not used: the last good one stays.
func TestASetOfOthersKeysOnly(t *testing.T) {
	a := trustIn(t, "https://a")
	server := newKeyServer(t, trustIn(t, "https://b").Keys)
	r := start(t, ofFile(a), server.entry("https://b", "", false))
	server.set.Store(a.Keys)
	for deadline := time.Now().Add(20 * time.Second); r.Issuers()[1].Refused == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never rejected")
		}
	}
	if got := counts(r); got != "a 1 -0; b 1 -0" || !strings.Contains(fmt.Sprint(r.Issuers()[1].Err), "no key of its own: key "+a.Keys.KeyIDs()[0]+" is also a key of https://a") {
		t.Errorf("got %s, %v", got, r.Issuers()[1].Err)
	}
}

// Entries that make no verifier are rejected, and change nothing.
func TestEntriesThatAreRefused(t *testing.T) {
	r := newRegistry(t)
	a := trustIn(t, "https://a")
	if err := r.Apply(t.Context(), []trust.Entry{ofFile(a)}); err != nil {
		t.Fatal(err)
	}
	before := r.Verifier()
	invalid := a
	invalid.Audience = "cluster.local"
	err := r.Apply(t.Context(), []trust.Entry{ofFile(invalid)})
	if err == nil || !strings.Contains(err.Error(), "audience cluster.local") {
		t.Errorf("got %v", err)
	}
	if r.Verifier() != before || r.Issuers()[0].Name != a.Issuer {
		t.Error("something changed")
	}
}

// A home file may not take a key of a home URL that stays, and may take one of a URL that
// goes. Between other entries a shared key is no reason to reject the change.
func TestConflicts(t *testing.T) {
	r := newRegistry(t)
	a, b := trustIn(t, "https://a"), trustIn(t, "https://b")
	a.Home, b.Home = true, true
	remote := at(t, a)
	if err := r.Apply(t.Context(), []trust.Entry{remote, ofFile(b)}); err != nil {
		t.Fatal(err)
	}
	taken, partner := b, b
	taken.Keys, partner.Keys, partner.Home = a.Keys, a.Keys, false
	if err := r.CheckConflicts([]trust.Entry{remote, ofFile(taken)}); err == nil || !strings.Contains(err.Error(), "is also a key of https://a") {
		t.Errorf("got %v", err)
	}
	notHome := remote
	notHome.Trust.Home = false
	for _, entries := range [][]trust.Entry{{remote, ofFile(b)}, {ofFile(taken)}, {ofFile(a), ofFile(b)}, {remote, ofFile(partner)}, {notHome, ofFile(taken)}} {
		if err := r.CheckConflicts(entries); err != nil {
			t.Errorf("got %v", err)
		}
	}
}

// A source that is added by a change of trust is compared with the new entries: a home
// entry has its keys at once, even if another entry published them before, and an issuer that
// is renamed keeps its keys. A moment without keys would be an outage.
func TestASourceThatIsAdded(t *testing.T) {
	ours, theirs := trustIn(t, "https://ours").Keys, trustIn(t, "https://thief").Keys
	good, thief := newKeyServer(t, ours), newKeyServer(t, join(t, theirs, ours))
	thieves := thief.entry("https://thief", "", false)
	slowly := func(e trust.Entry) trust.Entry { // no second fetch covers up for the first
		e.Remote.Refresh = time.Hour
		return e
	}
	for _, row := range []struct {
		name          string
		before, after []trust.Entry
		want          string
	}{
		{"home, after its key was published by another", []trust.Entry{thieves},
			[]trust.Entry{thieves, slowly(good.entry("https://ours", "", true))}, "thief 1 -1; ours 1 -0"},
		{"home from now on, at another address", []trust.Entry{thieves, at(t, trustIn(t, "https://ours"))},
			[]trust.Entry{thieves, slowly(good.entry("https://ours", "", true))}, "thief 1 -1; ours 1 -0"},
		{"another name of an issuer", []trust.Entry{good.entry("https://ours", "", true)},
			[]trust.Entry{slowly(good.entry("https://renamed", "", true))}, "renamed 1 -0"},
		{"not home, and the key is another's", []trust.Entry{thieves},
			[]trust.Entry{thieves, slowly(good.entry("https://ours", "", false))}, "thief 2 -0; ours 0 -1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := start(t, row.before...)
			if err := r.Apply(t.Context(), row.after); err != nil {
				t.Fatal(err)
			}
			if got := counts(r); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}
