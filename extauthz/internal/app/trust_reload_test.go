package app

import (
	"strings"
	"testing"
)

// Trust follows its file: an issuer is added and removed without a restart, a file
// that cannot be used changes nothing, and changes of other sections are logged.
func TestTrustIsReloaded(t *testing.T) {
	east, west, north := newFleet(t, "east"), newFleet(t, "west"), newFleet(t, "north")
	server := newKeyServer(t, west.jwks(t))
	f := newTrusting(t, overHTTP, entry(east, "east.json"), fromURL(north, newKeyServer(t, north.jwks(t)).URL))
	f.write("east.json", east.jwks(t))
	a := startAsked(t, f)
	fromEast, fromWest := east.claim(t, unchanged), west.claim(t, unchanged)
	if got := a.reasonFor(t, fromWest); got != "issuer_unknown" {
		t.Fatalf("got %s", got)
	}
	f.trusting(overHTTP, entry(east, "east.json"), fromURL(west, server.URL))
	a.eventually(t, fromWest, "rule_allowed")

	before := a.logged(refusedMessage)
	f.trusting(overHTTP, fromURL(west, server.URL), strings.Replace(entry(east, "east.json"), "audience", "audeince", 1))
	eventually(t, "not refused", func() bool { return a.logged(refusedMessage) == before+1 })
	f.trusting(overHTTP, entry(east, "absent.json"))
	eventually(t, "not refused", func() bool { return a.logged(refusedMessage) == before+2 })
	for _, raw := range []string{fromEast, fromWest} {
		if got := a.reasonFor(t, raw); got != "rule_allowed" {
			t.Errorf("after refused changes: %s", got)
		}
	}

	const needsRestart = "the configuration has changed in more than trust: a restart is needed for the rest"
	if a.logged(needsRestart) != 0 {
		t.Error("nothing else has changed")
	}
	f.trusting(overHTTP+"cache: {verifiedTokens: 1}\n", entry(west, "west.json"))
	f.write("west.json", west.jwks(t))
	a.eventually(t, fromEast, "issuer_unknown")
	if got := a.reasonFor(t, fromWest); got != "rule_allowed" {
		t.Errorf("west, from a file now: %s", got)
	}
	eventually(t, "the waiting sections are not logged", func() bool { return a.logged(needsRestart) == 1 })
	if got := a.matches(`"sections":(\[[^]]*\])`); len(got) != 1 || got[0] != `["cache"]` {
		t.Errorf("sections: %v", got)
	}
	// The issuer at a URL is gone at once, though a restart would reject what admitted its plain HTTP.
	const atRestart = "trust is reloaded, but a restart would reject the file"
	eventually(t, "the rejection at a restart is not logged", func() bool { return a.logged(atRestart) == 1 })
	if page := body(t, a.ops()+"/readyz"); !strings.Contains(page, "insecure.jwksOverHTTP: no key set needs it") {
		t.Errorf("readyz: %s", page)
	}
	f.trusting(oneListener, entry(west, "west.json"))
	eventually(t, "still not usable", func() bool { return !strings.Contains(body(t, a.ops()+"/readyz"), "jwksOverHTTP") })
	f.write("west.json", east.jwks(t)) // the file that is named now is the one that is followed
	a.eventually(t, fromWest, "kid_unknown")
}

// One authorizer shows the keys of its file, and another follows them there.
func TestPublishedKeysAreFollowed(t *testing.T) {
	east, west := newFleet(t, "east"), newFleet(t, "west")
	published := strings.Replace(entry(east, "east.json"), "audience", "publish: true, audience", 1)
	f := newTrusting(t, oneListener, published, entry(west, "west.json"))
	f.write("east.json", east.jwks(t))
	f.write("west.json", west.jwks(t))
	shows := startAsked(t, f)
	url := shows.ops() + "/.well-known/jwks.json?issuer=" + east.issuer
	follows := startAsked(t, newTrusting(t, overHTTP, fromURL(east, url)))
	if got := follows.reasonFor(t, east.claim(t, unchanged)); got != "rule_allowed" {
		t.Errorf("got %s", got)
	}
	if all := body(t, shows.ops()+"/.well-known/jwks.json"); strings.Count(all, `"kid"`) != 1 || !strings.Contains(all, east.keys.Keys()[0].ID()) {
		t.Errorf("got %s", all)
	}
	f.write("east.json", newFleet(t, "east").jwks(t))
	follows.eventually(t, east.claim(t, unchanged), "kid_unknown")
}
