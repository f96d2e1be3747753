package jwks

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/keyset"
)

const issuer = "https://tyk.test.meshpass.dev"

// server answers with the current handler of the test.
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
	keys := tokentest.NewSigningKeys(t, keyset.ES256, time.Now())
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
		Accept:  func(*keyset.PublicKeys) error { return f.accept },
		Changed: func() { f.changes.Add(1) },
		Owned:   func(keys *keyset.PublicKeys) ([]string, bool) { return keys.KeyIDs(), true },
		Log:     slog.New(slog.NewTextHandler(&f.log, nil)),
		Now:     time.Now,
	})
	t.Cleanup(func() { f.expiry.Stop() })
	return f
}

// kid of the active key; empty: no key is active.
func (f *followed) kid() string {
	keys := f.State().Keys
	if keys == nil {
		return ""
	}
	return strings.Join(keys.KeyIDs(), " ")
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
// again changes nothing.
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
	f.expireKeys() // nothing: it is not too old
	server.answers(status(http.StatusNotModified))
	f.Fetch(t.Context())
	if f.kid() != kid || f.State().Err != nil {
		t.Errorf("got %s, %v: the tag is the last good set's", f.kid(), f.State().Err)
	}
}

// After MaxStale no key may be used, however often fetches fail. The next success
// makes the keys active again.
func TestTooOld(t *testing.T) {
	document, kid := set(t)
	server := newServer(t, text(document))
	f := follow(t, Config{URL: server.URL, MaxStale: 50 * time.Millisecond})
	f.Fetch(t.Context())
	fetched := f.State().Fetched
	server.answers(status(http.StatusBadGateway))
	eventually(t, "still active", func() bool { f.Fetch(t.Context()); return f.kid() == "" })
	if age := time.Since(fetched); age < 50*time.Millisecond {
		t.Errorf("no longer active after %s", age)
	}
	eventually(t, "no change was reported", func() bool { return f.changes.Load() == 2 })
	if f.State().Fetched != fetched {
		t.Errorf("fetched %s", f.State().Fetched)
	}
	server.answers(text(document))
	f.Fetch(t.Context())
	if f.kid() != kid {
		t.Errorf("got %q", f.kid())
	}
}
