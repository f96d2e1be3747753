package token_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// hop is a verifier with a cache, as in the authorizer. Its clock and its list can change.
type hop struct {
	cache    *token.Cache
	now      atomic.Pointer[time.Time]
	revoked  atomic.Pointer[revocation.List]
	verifier atomic.Pointer[token.Verifier]
	stale    atomic.Bool
}

func newHop(t testing.TB, cached int) *hop {
	t.Helper()
	h := &hop{}
	if cached > 0 {
		h.cache = token.NewCache(64<<20, cached)
	}
	start := noon
	h.now.Store(&start)
	h.revoked.Store(new(revocation.List))
	h.trust(t, tokentest.TrustEntry(t))
	return h
}

func (h *hop) trust(t testing.TB, trust token.Trust) {
	t.Helper()
	v, err := token.NewVerifier([]token.Trust{trust}, tokentest.Domains, token.Options{
		Now: func() time.Time { return *h.now.Load() }, Cache: h.cache,
		Revocations: revocation.Checker{
			Lists: []func() *revocation.List{h.revoked.Load},
			Stale: func(time.Time) bool { return h.stale.Load() },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.verifier.Store(v)
}

func (h *hop) reason(raw string) decision.Reason {
	if _, err := h.verifier.Load().Verify(raw); err != nil {
		return token.ReasonOf(err)
	}
	return ""
}

func (h *hop) revoke(t testing.TB, kind revocation.Kind, value string, until time.Time) {
	t.Helper()
	e := revocation.Entry{Issuer: tokentest.Issuer, Kind: kind, Value: value, Expires: noon.Add(time.Hour)}
	if kind == revocation.Sub || kind == revocation.SID {
		e.NotBefore = until
	}
	next, _, err := h.revoked.Load().WithEntries(noon, e)
	if err != nil {
		t.Fatal(err)
	}
	h.revoked.Store(next)
}

func kidOf(t *testing.T) string {
	return tokentest.ValidParts(t, noon).Header["kid"].(string)
}

// Revocations apply to new tokens and to cached ones (25).
func TestRevokedTokens(t *testing.T) {
	raw := tokentest.ValidToken(t, noon)
	for _, row := range []struct {
		kind  revocation.Kind
		value string
		until time.Time
		want  decision.Reason
	}{
		{revocation.Txn, tokentest.Identity().Txn, noon, decision.TokenRevoked},
		{revocation.SID, "test-sid", noon, decision.TokenRevoked},
		{revocation.SID, "test-sid", noon.Add(-time.Second), ""},
		{revocation.Sub, "idp:alice", noon, decision.TokenRevoked},
		{revocation.Sub, "idp:alice", noon.Add(-time.Second), ""},
		{revocation.Sub, "idp:bob", noon, ""},
		{revocation.KID, kidOf(t), noon, decision.TokenRevoked},
	} {
		for _, cached := range []int{0, 100} {
			h := newHop(t, cached)
			if cached > 0 {
				if got := h.reason(raw); got != "" {
					t.Fatalf("before: %s", got)
				}
			}
			h.revoke(t, row.kind, row.value, row.until)
			for range 2 {
				if got := h.reason(raw); got != row.want {
					t.Errorf("%s %s, cache of %d: got %q, want %q", row.kind, row.value, cached, got, row.want)
				}
			}
		}
	}
}

// A cached token ends with its time, its key, its trust entry, and by revocation.
func TestCachedTokensEnd(t *testing.T) {
	raw := tokentest.ValidToken(t, noon)
	_, others := tokentest.NewIssuer(t, keyset.ES256, noon)
	stricter := tokentest.TrustEntry(t)
	stricter.Subjects = token.Only("key")
	for name, row := range map[string]struct {
		change func(*hop)
		want   decision.Reason
	}{
		"nothing changes":   {func(*hop) {}, ""},
		"it expires":        {func(h *hop) { later := noon.Add(65 * time.Second); h.now.Store(&later) }, decision.TokenExpired},
		"still in leeway":   {func(h *hop) { later := noon.Add(64 * time.Second); h.now.Store(&later) }, ""},
		"the clock is back": {func(h *hop) { earlier := noon.Add(-6 * time.Second); h.now.Store(&earlier) }, decision.TokenNotYetValid},
		"it is revoked":     {func(h *hop) { h.revoke(t, revocation.Sub, "idp:alice", noon) }, decision.TokenRevoked},
		"lists are stale":   {func(h *hop) { h.stale.Store(true) }, decision.RevocationStale},
		"key withdrawn":     {func(h *hop) { h.trust(t, others) }, decision.KeyUnknown},
		"trust narrowed":    {func(h *hop) { h.trust(t, stricter) }, decision.NotEntitled},
	} {
		h := newHop(t, 100)
		for range 2 {
			if got := h.reason(raw); got != "" {
				t.Fatalf("%s: before: %s", name, got)
			}
		}
		row.change(h)
		if got := h.reason(raw); got != row.want {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
}

// The same under load: once a change is active, no goroutine gets the old answer.
func TestChangesReachEveryReader(t *testing.T) {
	raw := tokentest.ValidToken(t, noon)
	h := newHop(t, 100)
	var revoked atomic.Bool
	var readers sync.WaitGroup
	for range 8 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for {
				before := revoked.Load()
				got := h.reason(raw)
				if before && got != decision.TokenRevoked || got != "" && got != decision.TokenRevoked {
					t.Errorf("revoked %v: got %q", before, got)
				}
				if before {
					return
				}
			}
		}()
	}
	h.trust(t, tokentest.TrustEntry(t))
	h.revoke(t, revocation.Txn, tokentest.Identity().Txn, noon)
	revoked.Store(true)
	readers.Wait()
}

// Each caller gets its own claims: changes of one caller are not seen by others.
func TestCachedClaimsAreTheCallersOwn(t *testing.T) {
	raw := tokentest.ValidToken(t, noon)
	h := newHop(t, 100)
	for round := range 3 {
		claims, err := h.verifier.Load().Verify(raw)
		if err != nil {
			t.Fatal(err)
		}
		groups, _ := claims.Tctx["groups"].([]any)
		api, _ := claims.Tctx["api"].(map[string]any)
		if claims.Subject != "idp:alice" || claims.Tctx["tenant"] != "acme" || fmt.Sprint(groups) != "[orders-read staff]" || api["id"] != "orders-api" || claims.Rctx["ip"] != "192.0.2.7" {
			t.Fatalf("round %d: got %+v", round, claims)
		}
		claims.Subject, claims.Tctx["tenant"], groups[0], api["id"], claims.Rctx["ip"] = "idp:mallory", "other", "admin", "x", "y"
	}
}

// A verifier with a cache rejects forged tokens as one without, before and after a valid
// token is cached. They take no room in the cache.
func TestForgedTokensAreRefusedWithACache(t *testing.T) {
	h := newHop(t, 100)
	for range 2 {
		for _, forgery := range tokentest.ForgedTokens(t, noon) {
			if got := h.reason(forgery.Raw); got != forgery.Reason {
				t.Errorf("%s: got %q, want %q", forgery.Name, got, forgery.Reason)
			}
		}
		if n := h.verifier.Load().Cached(); n > 1 {
			t.Errorf("%d tokens remembered, one was good", n)
		}
		if got := h.reason(tokentest.ValidToken(t, noon)); got != "" {
			t.Fatal(got)
		}
	}
}

// The limit of entries holds as well as the limit of bytes.
func TestAMillionTokensStayWithinTheCap(t *testing.T) {
	const most = 1000
	v := newHop(t, most).verifier.Load()
	accept := token.Accepting(t, v, tokentest.ValidToken(t, noon))
	for i := range 1_000_000 {
		accept(fmt.Sprintf("token-%d", i))
		if n := v.Cached(); n > most {
			t.Fatalf("%d tokens remembered, at most %d", n, most)
		}
	}
	if v.Cached() < most/2 {
		t.Errorf("%d tokens remembered", v.Cached())
	}
}

// live returns the bytes of the heap in use, after a garbage collection.
func live() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// shaped returns a valid token with many groups of one form.
func shaped(t testing.TB, groups int, form string) string {
	t.Helper()
	p := tokentest.ValidParts(t, noon)
	list := make([]string, groups)
	for i := range list {
		list[i] = fmt.Sprintf(form, i)
	}
	p.Claims["tctx"] = map[string]any{"tenant": "acme", "groups": list}
	return p.Sign(t)
}

// The cache takes no more memory than its limit, measured in the heap, for tokens of any
// shape: with one verifier, with several that replace each other, and when many goroutines
// fill it at once.
func TestTheCacheTakesNoMoreThanItsBytes(t *testing.T) {
	const bytes = 8 << 20
	for _, row := range []struct {
		name           string
		groups         int
		form           string
		tokens, stay   int // number of stored tokens, and of those that are still cached at least
		verifiers, per int // verifiers one after the other; goroutines of each
	}{
		{"no groups", 0, "", 60_000, 8_000, 1, 1},
		{"two groups", 2, "group-%d", 60_000, 8_000, 1, 1},
		{"140 groups of 36 characters", 140, "b6f2%04d-7a1d-4b2c-9d3e-0123456789ab", 6_000, 500, 1, 1},
		{"900 short values", 900, "%d", 6_000, 500, 1, 1},
		{"new verifiers", 140, "b6f2%04d-7a1d-4b2c-9d3e-0123456789ab", 3_000, 500, 5, 1},
		{"many at once", 140, "b6f2%04d-7a1d-4b2c-9d3e-0123456789ab", 2_000, 500, 3, 8},
	} {
		raw := shaped(t, row.groups, row.form)
		h := &hop{cache: token.NewCache(bytes, 0)}
		h.now.Store(&noon)
		h.revoked.Store(new(revocation.List))
		before := live()
		var verifiers []*token.Verifier
		for range row.verifiers {
			h.trust(t, tokentest.TrustEntry(t))
			verifiers = append(verifiers, h.verifier.Load())
			var all sync.WaitGroup
			for _, v := range verifiers {
				accept := token.Accepting(t, v, raw)
				for g := range row.per {
					all.Add(1)
					go func() {
						defer all.Done()
						for i := range row.tokens {
							accept(fmt.Sprintf("%d-%d-%p", i, g, v))
						}
					}()
				}
			}
			all.Wait()
		}
		if grown := live() - before; grown > bytes {
			t.Errorf("%s: %d bytes of heap, at most %d", row.name, grown, bytes)
		}
		newest := verifiers[len(verifiers)-1]
		if n := newest.Cached(); n < row.stay {
			t.Errorf("%s: %d tokens remembered, want %d", row.name, n, row.stay)
		}
		for _, v := range verifiers[:len(verifiers)-1] {
			if n := v.Cached(); n > 0 {
				t.Errorf("%s: %d tokens remembered by an older verifier", row.name, n)
			}
		}
		runtime.KeepAlive(h)
	}
}

// A hundred thousand tokens of 600 bytes take a small part of the default size.
func TestAHundredThousandTokensIn16MiB(t *testing.T) {
	p := tokentest.ValidParts(t, noon)
	p.Claims["tctx"] = map[string]any{"tenant": "acme", "plan": "gold"}
	raw := p.Sign(t)
	if len(raw) < 600 {
		t.Fatalf("a token of %d bytes", len(raw))
	}
	cache := token.NewCache(64<<20, 0)
	h := &hop{cache: cache}
	h.now.Store(&noon)
	h.revoked.Store(new(revocation.List))
	h.trust(t, tokentest.TrustEntry(t))
	v := h.verifier.Load()
	accept := token.Accepting(t, v, raw)
	before := live()
	for i := range 100_000 {
		accept(fmt.Sprint(i))
	}
	if n := v.Cached(); n != 100_000 {
		t.Errorf("%d tokens remembered", n)
	}
	if grown := live() - before; grown > 16<<20 {
		t.Errorf("%d bytes of heap", grown)
	}
	runtime.KeepAlive(v)
}

// A verifier that was replaced still verifies. The tokens that it accepts are not cached
// for the new one.
func TestAnOlderVerifierLeavesNothingInTheCache(t *testing.T) {
	raw := tokentest.ValidToken(t, noon)
	h := newHop(t, 100)
	older := h.verifier.Load()
	stricter := tokentest.TrustEntry(t)
	stricter.Subjects = token.Only("key")
	h.trust(t, stricter)
	for range 2 {
		if _, err := older.Verify(raw); err != nil {
			t.Error(err)
		}
		if got := h.reason(raw); got != decision.NotEntitled {
			t.Errorf("got %q", got)
		}
	}
	fits := shaped(t, 0, "")
	h.trust(t, tokentest.TrustEntry(t))
	if got := h.reason(fits); got != "" || !h.verifier.Load().Remembers(fits) {
		t.Errorf("got %q", got)
	}
	if _, err := older.Verify(raw); err != nil || older.Remembers(raw) || h.verifier.Load().Remembers(raw) || !h.verifier.Load().Remembers(fits) {
		t.Errorf("got %v; the older verifier changed the cache", err)
	}
}

// A cache without room for a token accepts it each time.
func TestACacheWithoutRoom(t *testing.T) {
	raw := tokentest.ValidToken(t, noon)
	h := &hop{cache: token.NewCache(100, 0)}
	h.now.Store(&noon)
	h.revoked.Store(new(revocation.List))
	h.trust(t, tokentest.TrustEntry(t))
	for range 2 {
		if got := h.reason(raw); got != "" || h.verifier.Load().Remembers(raw) {
			t.Errorf("got %q", got)
		}
	}
}

// A cached token has the same claims as before, with values of every type.
func TestRememberedClaimsAreTheSame(t *testing.T) {
	for _, tctx := range []string{
		`{}`,
		`{"a":null,"b":true,"c":false,"":""}`,
		`{"n":[0,1,-1,9223372036854775807,-9223372036854775808,127,128,-64,-65]}`,
		`{"f":[0.5,-0.0,1e300,5e-324,9223372036854775808,1.0]}`,
		`{"t":["","ä","日本","\u0000","` + strings.Repeat("x", 200) + `"],"é":{"l":[],"o":{}}}`,
		`{"a":{"b":{"c":[[1],[{"d":null}]]}}}`,
	} {
		p := tokentest.ValidParts(t, noon)
		p.Claims["tctx"], p.Claims["nbf"] = json.RawMessage(tctx), noon.Unix()
		raw := p.Sign(t)
		h := newHop(t, 10)
		v := h.verifier.Load()
		fresh, err := v.Verify(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !v.Remembers(raw) {
			t.Fatalf("%s: not remembered", tctx)
		}
		if again, err := v.Verify(raw); err != nil || !reflect.DeepEqual(again, fresh) {
			t.Errorf("%s: got %+v, %v, want %+v", tctx, again, err, fresh)
		}
	}
}

// A token that is used again and again stays cached, for any number of others.
func TestWhatIsUsedStays(t *testing.T) {
	v := newHop(t, 10).verifier.Load()
	accept := token.Accepting(t, v, tokentest.ValidToken(t, noon))
	accept("often")
	for i := range 100 {
		accept(fmt.Sprint(i))
		if !v.Remembers("often") {
			t.Fatalf("forgotten after %d others", i+1)
		}
	}
	if v.Remembers("0") {
		t.Error("what was used once is still there")
	}
}

// Shared claims are the same, and read once. Changes of trust, time and revocations apply to them too.
func TestSharedClaims(t *testing.T) {
	raw := tokentest.ValidToken(t, noon)
	h := newHop(t, 100)
	share := func() (any, decision.Reason) {
		claims, err := h.verifier.Load().VerifyShared(raw)
		if err != nil {
			return nil, token.ReasonOf(err)
		}
		return claims, ""
	}
	first, reason := share()
	if again, _ := share(); reason != "" || again != first {
		t.Fatalf("%s, or another value", reason)
	}
	if own, err := h.verifier.Load().Verify(raw); err != nil || any(own) == first || !reflect.DeepEqual(any(own), first) {
		t.Errorf("the claims of the caller: %+v, %v", own, err)
	}
	for _, row := range []struct {
		change func()
		want   decision.Reason
	}{
		{func() { h.stale.Store(true) }, decision.RevocationStale},
		{func() { h.stale.Store(false) }, ""},
		{func() { later := noon.Add(time.Hour); h.now.Store(&later) }, decision.TokenExpired},
		{func() { h.now.Store(&noon) }, ""},
		{func() { h.revoke(t, revocation.Sub, "idp:alice", noon) }, decision.TokenRevoked},
		{func() { h.revoked.Store(new(revocation.List)) }, ""},
		{func() { _, others := tokentest.NewIssuer(t, keyset.ES256, noon); h.trust(t, others) }, decision.KeyUnknown},
	} {
		row.change()
		if _, got := share(); got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}
