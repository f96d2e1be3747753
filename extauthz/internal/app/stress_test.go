package app

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/revocation"
)

// The tests of this file put the authorizer under stress. docs/failure-modes.md names them in its table "The authorizer under
// stress". e2e/drills has those that need a process of its own.

// The clock jumps ahead and back. Tokens are verified by it at every Check, also those that were verified before, and nothing
// that a jump ends is lost when the clock is right again: neither tokens nor revocations nor keys.
//
// A stand-in replaces the machine's clock, because a test may not change that. All readers of the time see the jump at once, also
// those that measure how long something took, which in a process do not see it.
func TestClockJumps(t *testing.T) {
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	f := newFiles(t, oneListener+"revocation: {file: revoked.yaml}\n")
	f.write("policies/orders.yaml", allowing("read-own-tenant"))
	f.write("revoked.yaml", "revocations: []")
	a := startAsked(t, f, func(p *Process) { p.Now = now })
	old := tokentest.ValidToken(t, time.Now())

	// A token that is minted at the clock's own time shows whether gateways whose clocks jump along are accepted.
	for _, step := range []struct {
		clock       time.Duration
		old, minted string
	}{
		{0, "rule_allowed", "rule_allowed"},
		{10 * time.Minute, "token_expired", "rule_allowed"},
		{0, "rule_allowed", "rule_allowed"},
		{-time.Hour, "token_not_yet_valid", "rule_allowed"},
		{0, "rule_allowed", "rule_allowed"},
		{48 * time.Hour, "token_expired", "rule_allowed"},
		{-48 * time.Hour, "token_not_yet_valid", "rule_allowed"},
		{0, "rule_allowed", "rule_allowed"},
	} {
		ahead.Store(int64(step.clock))
		if got := a.reasonFor(t, old); got != step.old {
			t.Errorf("the clock is %v ahead: the token from before got %s, want %s", step.clock, got, step.old)
		}
		if got := a.reasonFor(t, tokentest.ValidToken(t, now())); got != step.minted {
			t.Errorf("the clock is %v ahead: a token of its time got %s, want %s", step.clock, got, step.minted)
		}
		if code, text := get(t, a.ops()+"/readyz"); code != 200 {
			t.Errorf("the clock is %v ahead: /readyz answers %d %s", step.clock, code, text)
		}
	}

	// Entries of the list end by the clock, and are there again when it is set back.
	f.write("revoked.yaml", withdrawing(t, revocation.Sub, "idp:alice"))
	for _, step := range []struct {
		clock time.Duration
		want  string
	}{
		{0, "token_revoked"},
		{2 * time.Hour, "token_expired"},
		{0, "token_revoked"},
	} {
		ahead.Store(int64(step.clock))
		eventually(t, "never "+step.want, func() bool { return a.reasonFor(t, old) == step.want })
	}
	if err := a.end(t); err != nil {
		t.Error(err)
	}
}

// A jump ends no key set of a URL, also if it is longer than maxStale and the server is away: the age of a set is measured, and not
// read from the clock.
func TestClockJumpsKeepKeySets(t *testing.T) {
	var ahead atomic.Int64
	east := newFleet(t, "east")
	server := newKeyServer(t, east.jwks(t))
	f := newTrusting(t, overHTTP, home(fromURL(east, server.URL, "maxStale: 10m")))
	a := startAsked(t, f, func(p *Process) { p.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } })
	raw := east.claim(t, unchanged)
	a.eventually(t, raw, "rule_allowed")
	server.serves("")
	a.await(t, "no new key set; the last good one stays active until it is too old")
	for _, step := range []struct {
		clock time.Duration
		want  string
	}{
		{time.Hour, "token_expired"}, // and not keys_unavailable
		{0, "rule_allowed"},
		{-time.Hour, "token_not_yet_valid"},
		{0, "rule_allowed"},
	} {
		ahead.Store(int64(step.clock))
		if got := a.reasonFor(t, raw); got != step.want {
			t.Errorf("the clock is %v ahead: got %s, want %s", step.clock, got, step.want)
		}
	}
}

// A resolver that never answers holds up neither the start nor decisions about other issuers' tokens nor the end. A stand-in
// replaces the machine's resolver: this process asks one on loopback.
func TestDNSThatHangs(t *testing.T) {
	asked := hangingResolver(t)
	home, partner := newFleet(t, "east"), newFleet(t, "partner")
	f := newTrusting(t, overHTTP, entry(home, "east.json"), fromURL(partner, "http://keys.partner.example/jwks"))
	f.write("east.json", home.jwks(t))
	a := startAsked(t, f)
	eventually(t, "the resolver is not asked", func() bool { return asked.Load() > 0 })
	for range 20 {
		if got := a.reasonFor(t, home.claim(t, unchanged)); got != "rule_allowed" {
			t.Fatalf("our token: %s", got)
		}
	}
	if got := a.reasonFor(t, partner.claim(t, unchanged)); got != "keys_unavailable" {
		t.Errorf("the partner's token: %s", got)
	}
	if code, text := get(t, a.ops()+"/readyz"); code != 200 {
		t.Errorf("/readyz answers %d %s", code, text)
	}
	eventually(t, "the failed fetch is not counted", func() bool {
		return a.sample(t, `meshpass_jwks_fetch_failures_total{cause="unreachable",issuer="`+partner.issuer+`"} `) != "0"
	})
	if err := a.end(t); err != nil {
		t.Error(err)
	}
}

// hangingResolver makes this process ask a name server that never answers. It counts the questions.
func hangingResolver(t *testing.T) *atomic.Int64 {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := new(atomic.Int64)
	go func() {
		for question := make([]byte, 512); ; asked.Add(1) {
			if _, _, err := socket.ReadFrom(question); err != nil {
				return // closed
			}
		}
	}()
	address := socket.LocalAddr().String()
	nameServer.Store(&address)
	t.Cleanup(func() {
		nameServer.Store(nil)
		_ = socket.Close() // ends the reader
	})
	return asked
}

// nameServer is the address of the name server that this process asks; nil: the system's.
var nameServer atomic.Pointer[string]

// useNameServer makes the process follow nameServer. It is called once, before the tests: a fetch that hangs may read the
// resolver after its test has ended.
func useNameServer() {
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if hanging := nameServer.Load(); hanging != nil {
			network, address = "udp", *hanging
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
}
