package fleets_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/fleets"
	"github.com/meshpass/meshpass/extauthz/jwks"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
	"github.com/meshpass/meshpass/shared/tokentest"
)

func newFleets(t *testing.T) *fleets.Fleets {
	t.Helper()
	f := fleets.New(fleets.Config{Domains: tokentest.Domains, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	t.Cleanup(f.Close)
	return f
}

func trustIn(t *testing.T, issuer string) token.Trust {
	t.Helper()
	_, trust := tokentest.Fleet(t, keyset.ES256, time.Now())
	trust.Issuer = issuer
	return trust
}

func ofFile(trust token.Trust) fleets.Entry { return fleets.Entry{Trust: trust} }

// at serves the keys and is an entry that follows them.
func at(t *testing.T, trust token.Trust) fleets.Entry {
	t.Helper()
	set, err := keyset.MarshalJWKS(trust.Keys)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }))
	t.Cleanup(server.Close)
	trust.Keys = nil
	return fleets.Entry{Trust: trust, Remote: &jwks.Config{Issuer: trust.Issuer, URL: server.URL, Refresh: time.Hour, MaxStale: time.Hour}}
}

// Sets that come at the same time and share a key: it is the file's, and of two
// URLs the earlier one's. The other issuer is without keys and has a fault to tell.
func TestASharedKeyAtTheStart(t *testing.T) {
	a, b := trustIn(t, "https://a"), trustIn(t, "https://b")
	same := b
	same.Issuer = "https://same"
	for _, row := range []struct {
		name    string
		entries []fleets.Entry
		keys    []int
	}{
		{"file and URL", []fleets.Entry{at(t, same), ofFile(a), ofFile(b)}, []int{0, 1, 1}},
		{"two URLs", []fleets.Entry{ofFile(a), at(t, b), at(t, same)}, []int{1, 1, 0}},
	} {
		f := newFleets(t)
		if err := f.Apply(t.Context(), row.entries); err != nil {
			t.Fatal(err)
		}
		<-f.Usable()
		for i, state := range f.Issuers() {
			if state.Keys != row.keys[i] || (state.Err != nil) != (state.Keys == 0) {
				t.Errorf("%s: %s has %d keys, %v", row.name, state.Name, state.Keys, state.Err)
			}
		}
	}
}

// Entries that make no verifier change nothing.
func TestEntriesThatAreRefused(t *testing.T) {
	f := newFleets(t)
	a := trustIn(t, "https://a")
	if err := f.Apply(t.Context(), []fleets.Entry{ofFile(a)}); err != nil {
		t.Fatal(err)
	}
	before := f.Verifier()
	bad := a
	bad.Audience = "cluster.local"
	err := f.Apply(t.Context(), []fleets.Entry{ofFile(bad)})
	if err == nil || !strings.Contains(err.Error(), "audience cluster.local") {
		t.Errorf("got %v", err)
	}
	if f.Verifier() != before || f.Issuers()[0].Name != a.Issuer {
		t.Error("something changed")
	}
}

// A file may not take a key of a URL that stays, and may take one of a URL that goes.
func TestConflicts(t *testing.T) {
	f := newFleets(t)
	a, b := trustIn(t, "https://a"), trustIn(t, "https://b")
	remote := at(t, a)
	if err := f.Apply(t.Context(), []fleets.Entry{remote, ofFile(b)}); err != nil {
		t.Fatal(err)
	}
	taken := b
	taken.Keys = a.Keys
	if err := f.Conflict([]fleets.Entry{remote, ofFile(taken)}); err == nil || !strings.Contains(err.Error(), "is also a key of https://a") {
		t.Errorf("got %v", err)
	}
	for _, entries := range [][]fleets.Entry{{remote, ofFile(b)}, {ofFile(taken)}, {ofFile(a), ofFile(b)}} {
		if err := f.Conflict(entries); err != nil {
			t.Errorf("got %v", err)
		}
	}
}
