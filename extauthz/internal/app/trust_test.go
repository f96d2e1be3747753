package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// fleet is the gateways of one cluster: an issuer with keys of its own.
type fleet struct {
	issuer, subjects, requester string
	keys                        *keyset.SigningKeys
}

func newFleet(t *testing.T, name string) fleet {
	t.Helper()
	dir, now := t.TempDir(), time.Now()
	plan := keyset.Plan{PublishAt: now.Add(-time.Hour), SignFrom: now.Add(-time.Hour), SignUntil: now.Add(time.Hour), RemoveAfter: now.Add(2 * time.Hour)}
	if _, err := keyset.CreateKey(dir, keyset.ES256, plan); err != nil {
		t.Fatal(err)
	}
	keys, err := keyset.LoadSigningKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	return fleet{
		issuer: "https://" + name + ".test.meshpass.dev", subjects: name + "-idp",
		requester: "spiffe://" + name + ".example/ns/edge/sa/tyk-gateway", keys: keys,
	}
}

func (f fleet) jwks(t *testing.T) string {
	t.Helper()
	data, err := f.keys.JWKS(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// claim is what a token of this fleet's keys says: of itself, unless changed.
func (f fleet) claim(t *testing.T, change func(issuer *string, id *identity.Identity)) string {
	t.Helper()
	issuer := f.issuer
	id := identity.Identity{
		Subject: identity.Subject{Namespace: f.subjects, ID: "alice"}, Scopes: []string{"orders.read"},
		Requester: f.requester, API: identity.API{ID: "orders"}, Method: "jwt",
		Claims: map[string]any{"tenant": "acme"},
	}
	change(&issuer, &id)
	minter, err := token.NewMinter(token.MinterConfig{
		Issuer: issuer, Audience: "test.meshpass.dev", Lifetime: time.Minute, MinRemaining: 5 * time.Second, Keys: f.keys, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, _, err := minter.Mint(id)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func unchanged(*string, *identity.Identity) {}

func entry(f fleet, file string) string {
	return "{issuer: \"" + f.issuer + "\", audience: test.meshpass.dev, jwks: {file: " + file + "}, subjects: [" + f.subjects + "], requesters: [\"" + f.requester + "\"]}"
}

// newFleetFiles trusts these entries.
func newFleetFiles(t *testing.T, entries ...string) files {
	t.Helper()
	f := newFiles(t, oneListener)
	config, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	before, after, _ := strings.Cut(string(config), "trust: [")
	_, after, _ = strings.Cut(after, "\n")
	f.write(filepath.Base(f.config), before+"trust: ["+strings.Join(entries, ", ")+"]\n"+after)
	return f
}

// Two clusters with one issuer each: a token of either is good for what its own
// fleet may say, and for nothing of the other's.
func TestTwoFleets(t *testing.T) {
	east, west := newFleet(t, "east"), newFleet(t, "west")
	f := newFleetFiles(t, entry(east, "east.json"), entry(west, "west.json"))
	f.write("east.json", east.jwks(t))
	f.write("west.json", west.jwks(t))
	a := startAsked(t, f)
	reason := func(raw string) string {
		request := order(t, gateway)
		request.Attributes.Request.Http.Headers["txn-token"] = raw
		return reasonOf(t, a, t.Context(), request)
	}
	as := func(other fleet) func(*string, *identity.Identity) {
		return func(issuer *string, _ *identity.Identity) { *issuer = other.issuer }
	}
	for _, row := range []struct{ name, raw, want string }{
		{"east", east.claim(t, unchanged), "rule_allowed"},
		{"west", west.claim(t, unchanged), "rule_allowed"},
		{"west signs in east's name", west.claim(t, as(east)), "kid_unknown"},
		{"east signs in west's name", east.claim(t, as(west)), "kid_unknown"},
		{"west asserts east's subjects", west.claim(t, func(_ *string, id *identity.Identity) { id.Subject.Namespace = east.subjects }), "issuer_not_entitled"},
		{"west asserts a reserved namespace", west.claim(t, func(_ *string, id *identity.Identity) { id.Subject.Namespace = "key" }), "issuer_not_entitled"},
		{"west names east's gateway", west.claim(t, func(_ *string, id *identity.Identity) { id.Requester = east.requester }), "issuer_not_entitled"},
		{"west names the local mesh's gateway", west.claim(t, func(_ *string, id *identity.Identity) { id.Requester = gateway }), "issuer_not_entitled"},
		{"a third fleet", newFleet(t, "north").claim(t, unchanged), "issuer_unknown"},
	} {
		if got := reason(row.raw); got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
	}

	// West's file with east's key in it would let east's key speak for west.
	f.write("west.json", east.jwks(t))
	a.await(t, refusedMessage)
	if got := reason(west.claim(t, unchanged)); got != "rule_allowed" {
		t.Errorf("west after the refused change: %s", got)
	}
	if got := reason(east.claim(t, as(west))); got != "kid_unknown" {
		t.Errorf("east in west's name after the refused change: %s", got)
	}
}

// What would let one fleet speak for another does not start.
func TestFleetsThatAreRefused(t *testing.T) {
	east, west := newFleet(t, "east"), newFleet(t, "west")
	same := west
	same.issuer = east.issuer
	for _, row := range []struct {
		name    string
		entries []string
		want    string
	}{
		{"one issuer twice", []string{entry(east, "east.json"), entry(same, "west.json")}, `trust[1].issuer: a second entry for "https://east.test.meshpass.dev": give it one`},
		{"one key for two", []string{entry(east, "east.json"), entry(west, "east.json")}, "is also a key of https://east.test.meshpass.dev: one key may sign for one issuer"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFleetFiles(t, row.entries...)
			f.write("east.json", east.jwks(t))
			f.write("west.json", west.jwks(t))
			if _, err := loadAuthorizer(process(f.config)); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}
