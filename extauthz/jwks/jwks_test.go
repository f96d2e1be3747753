package jwks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/tokentest"
)

const issuer = "https://tyk.test.meshpass.dev"

// server answers as the test says at the moment.
type server struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int64
}

func newServer(t *testing.T, answer http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.answers(answer)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func (s *server) answers(h http.HandlerFunc) { s.answer.Store(&h) }

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// set is a document with one new key, which it names.
func set(t *testing.T) (document, kid string) {
	t.Helper()
	keys := tokentest.NewKeys(t, keyset.ES256, time.Now())
	data, err := keys.JWKS(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return string(data), keys.Keys()[0].ID()
}

// followed is a source with what its hooks saw.
type followed struct {
	*Source
	accept  error
	changes atomic.Int64
	log     strings.Builder
}

func follow(t *testing.T, c Config) *followed {
	t.Helper()
	if c.Issuer == "" {
		c.Issuer = issuer
	}
	if c.Refresh == 0 {
		c.Refresh = time.Hour
	}
	if c.MaxStale == 0 {
		c.MaxStale = 2 * time.Hour
	}
	f := &followed{}
	f.Source = New(c, Hooks{
		Accept:  func(*keyset.Public) error { return f.accept },
		Changed: func() { f.changes.Add(1) },
		Log:     slog.New(slog.NewTextHandler(&f.log, nil)),
		Now:     time.Now,
	})
	t.Cleanup(func() { f.expiry.Stop() })
	return f
}

// kid of the one key in force; empty: there is none.
func (f *followed) kid() string {
	keys := f.State().Keys
	if keys == nil {
		return ""
	}
	return strings.Join(keys.IDs(), " ")
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// A set replaces the one before, so that a withdrawn key is gone; the same set
// again makes nothing anew.
func TestASetReplacesTheOneBefore(t *testing.T) {
	first, firstKid := set(t)
	second, secondKid := set(t)
	server := newServer(t, text(first))
	f := follow(t, Config{URL: server.URL})
	for i, step := range []struct {
		document, kid string
		changes       int64
	}{{first, firstKid, 1}, {first, firstKid, 1}, {second, secondKid, 2}} {
		server.answers(text(step.document))
		f.Fetch(t.Context())
		if f.kid() != step.kid || f.changes.Load() != step.changes || f.State().Err != nil {
			t.Errorf("step %d: got %s, %d changes, %v", i, f.kid(), f.changes.Load(), f.State().Err)
		}
	}
}

func TestUnchangedByETag(t *testing.T) {
	document, kid := set(t)
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("etag", `"1"`)
		if r.Header.Get("if-none-match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, document)
	})
	f := follow(t, Config{URL: server.URL})
	f.Fetch(t.Context())
	before := f.State()
	f.Fetch(t.Context())
	after := f.State()
	if f.kid() != kid || after.Err != nil || after.Keys != before.Keys || !after.Fetched.After(before.Fetched) {
		t.Errorf("got %+v after %+v", after, before)
	}
	server.answers(text("no set"))
	f.Fetch(t.Context())
	f.expire() // nothing: it is not too old
	server.answers(status(http.StatusNotModified))
	f.Fetch(t.Context())
	if f.kid() != kid || f.State().Err != nil {
		t.Errorf("got %s, %v: the tag is the last good set's", f.kid(), f.State().Err)
	}
}

// Past MaxStale no key may be used, whatever the fetches do; the next success
// mends it.
func TestTooOld(t *testing.T) {
	document, kid := set(t)
	server := newServer(t, text(document))
	f := follow(t, Config{URL: server.URL, MaxStale: 50 * time.Millisecond})
	f.Fetch(t.Context())
	fetched := f.State().Fetched
	server.answers(status(http.StatusBadGateway))
	eventually(t, "still in force", func() bool { f.Fetch(t.Context()); return f.kid() == "" })
	if age := time.Since(fetched); age < 50*time.Millisecond {
		t.Errorf("out of force after %s", age)
	}
	eventually(t, "nobody was told", func() bool { return f.changes.Load() == 2 })
	if f.State().Fetched != fetched {
		t.Errorf("fetched %s", f.State().Fetched)
	}
	server.answers(text(document))
	f.Fetch(t.Context())
	if f.kid() != kid {
		t.Errorf("got %q", f.kid())
	}
}

func TestSeed(t *testing.T) {
	document, kid := set(t)
	server := newServer(t, text(document))
	file := filepath.Join(t.TempDir(), "seed.json")
	c := Config{URL: server.URL, Seed: file, MaxStale: time.Minute}
	before := follow(t, c)
	before.Fetch(t.Context())
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	server.answers(status(http.StatusBadGateway))

	after := follow(t, c)
	after.Fetch(t.Context())
	if after.kid() != kid || !after.State().Fetched.Equal(before.State().Fetched) {
		t.Errorf("got %q of %s, want %s of %s: a restart does not make a set younger", after.kid(), after.State().Fetched, kid, before.State().Fetched)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	stamp := before.State().Fetched.UTC().Format(time.RFC3339Nano)
	at := func(when time.Duration) string {
		return strings.Replace(string(good), stamp, time.Now().Add(when).UTC().Format(time.RFC3339Nano), 1)
	}
	for _, row := range []struct {
		name, content, problem string
		change                 func(*Config)
	}{
		{"half written", string(good[:len(good)/2]), "not what a fetch writes", nil},
		{"a key set", document, "it is of issuer", nil},
		{"too old", at(-time.Hour), "longer ago than 1m0s", nil},
		{"from the future", at(time.Hour), "it is from the future", nil},
		{"no keys", strings.Replace(string(good), kid, "x", 1), "its kid is not the key's thumbprint", nil},
		{"another issuer", string(good), "it is of issuer", func(c *Config) { c.Issuer = "https://other" }},
		{"another server", string(good), "it is of issuer", func(c *Config) { c.URL += "/other" }},
		{"absent", "", "", func(c *Config) { c.Seed += ".absent" }},
		{"a folder", string(good), "is a directory", func(c *Config) { c.Seed = filepath.Dir(file) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(row.content), 0o600); err != nil {
				t.Fatal(err)
			}
			c := c
			if row.change != nil {
				row.change(&c)
			}
			f := follow(t, c)
			if f.kid() != "" || (f.State().Err == nil) != (row.problem == "") || !strings.Contains(fmt.Sprint(f.State().Err), row.problem) {
				t.Errorf("got %q, %v", f.kid(), f.State().Err)
			}
			server.answers(text(document))
			f.Fetch(t.Context())
			if f.kid() != kid || f.State().Err != nil {
				t.Errorf("after a fetch: %q, %v", f.kid(), f.State().Err)
			}
		})
	}
}

// A flood of unknown kids causes one fetch in a while, and a kid that is not found
// none for longer.
func TestMissingKeys(t *testing.T) {
	var m missing
	start := time.Now()
	for _, row := range []struct {
		kid   string
		after time.Duration
		want  bool
	}{
		{"a", 0, true},
		{"b", 1 * time.Second, false}, // too soon
		{"a", 11 * time.Second, false},
		{"b", 11 * time.Second, true},
		{"c", 12 * time.Second, false},
		{"b", 30 * time.Second, false},
		{"a", 61 * time.Second, true},
	} {
		if got := m.want(row.kid, start.Add(row.after), 10*time.Second, time.Minute); got != row.want {
			t.Errorf("%s after %s: %v", row.kid, row.after, got)
		}
	}
	for i := range 10000 {
		m.want(fmt.Sprint(i), start.Add(time.Duration(i)*time.Second), 10*time.Second, time.Minute)
	}
	if len(m.kids) > 8 {
		t.Errorf("%d kids are remembered", len(m.kids))
	}
}

func TestAMissingKeyIsFetched(t *testing.T) {
	first, firstKid := set(t)
	second, secondKid := set(t)
	server := newServer(t, text(first))
	f := follow(t, Config{URL: server.URL})
	f.bounds.pause = 0
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { f.Run(ctx); close(ended) }()
	eventually(t, "no first fetch", func() bool { return f.kid() == firstKid })
	server.answers(text(second))
	for range 1000 {
		f.Missing(secondKid)
	}
	eventually(t, "not fetched", func() bool { return f.kid() == secondKid })
	stop()
	<-ended
	if asked := server.asked.Load(); asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

func TestWhenTheNextFetchIs(t *testing.T) {
	for _, row := range []struct{ maxAge, want time.Duration }{
		{0, 5 * time.Minute}, {time.Hour, 5 * time.Minute}, {2 * time.Minute, 2 * time.Minute}, {time.Second, 30 * time.Second},
	} {
		if got := defaults.within(row.maxAge, 5*time.Minute); got != row.want {
			t.Errorf("%s: got %s", row.maxAge, got)
		}
	}
	for header, want := range map[string]time.Duration{
		"": 0, "no-store": 0, "public, max-age=60": time.Minute, "Max-Age=7": 7 * time.Second, "max-age=-1": 0, "max-age=99999999999999999999": 0,
	} {
		if got := maxAge(header); got != want {
			t.Errorf("%s: got %s", header, got)
		}
	}
	f := follow(t, Config{URL: "http://127.0.0.1:1"})
	for range 30 {
		f.failed(errors.New("away"))
		if f.next <= 0 || f.next > f.Refresh {
			t.Fatalf("next after %s", f.next)
		}
	}
	if f.next < f.Refresh*8/10 {
		t.Errorf("after many failures: %s", f.next)
	}
}
