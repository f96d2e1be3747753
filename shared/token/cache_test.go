package token_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
	"github.com/meshpass/meshpass/shared/tokentest"
)

// hop is a verifier as an authorizer has it: with a cache, a clock and a list that
// change under it.
type hop struct {
	now      atomic.Pointer[time.Time]
	revoked  atomic.Pointer[revocation.List]
	verifier atomic.Pointer[token.Verifier]
	stale    atomic.Bool
}

func newHop(t testing.TB, cached int) *hop {
	t.Helper()
	h := &hop{}
	start := noon
	h.now.Store(&start)
	h.revoked.Store(new(revocation.List))
	h.trust(t, cached, tokentest.Trust(t))
	return h
}

func (h *hop) trust(t testing.TB, cached int, trust token.Trust) {
	t.Helper()
	v, err := token.NewVerifier([]token.Trust{trust}, tokentest.Domains, token.Options{
		Now: func() time.Time { return *h.now.Load() }, Cache: cached,
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
	next, _, err := h.revoked.Load().With(noon, e)
	if err != nil {
		t.Fatal(err)
	}
	h.revoked.Store(next)
}

func kidOf(t *testing.T) string {
	return tokentest.ValidParts(t, noon).Header["kid"].(string)
}

// Rule 25, on tokens that were never seen and on tokens that are remembered.
func TestRevokedTokens(t *testing.T) {
	raw := tokentest.Valid(t, noon)
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

// What the cache remembers counts no longer than what it was made of.
func TestCachedTokensEnd(t *testing.T) {
	raw := tokentest.Valid(t, noon)
	_, others := tokentest.Fleet(t, keyset.ES256, noon)
	stricter := tokentest.Trust(t)
	stricter.Subjects = []string{"key"}
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
		"key withdrawn":     {func(h *hop) { h.trust(t, 100, others) }, decision.KeyUnknown},
		"trust narrowed":    {func(h *hop) { h.trust(t, 100, stricter) }, decision.NotEntitled},
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

// The same under load: from the moment that a change is in force, no goroutine
// gets the old answer.
func TestChangesReachEveryReader(t *testing.T) {
	raw := tokentest.Valid(t, noon)
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
	h.trust(t, 100, tokentest.Trust(t))
	h.revoke(t, revocation.Txn, tokentest.Identity().Txn, noon)
	revoked.Store(true)
	readers.Wait()
}

// Callers get claims of their own: what one does to them, no other sees.
func TestCachedClaimsAreTheCallersOwn(t *testing.T) {
	raw := tokentest.Valid(t, noon)
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

// Forged tokens are refused with a cache as without, before and after a valid one
// is in it, and never take room in it.
func TestForgedTokensAreRefusedWithACache(t *testing.T) {
	h := newHop(t, 100)
	for range 2 {
		for _, forgery := range tokentest.Forged(t, noon) {
			if got := h.reason(forgery.Raw); got != forgery.Reason {
				t.Errorf("%s: got %q, want %q", forgery.Name, got, forgery.Reason)
			}
		}
		if n := h.verifier.Load().Cached(); n > 1 {
			t.Errorf("%d tokens remembered, one was good", n)
		}
		if got := h.reason(tokentest.Valid(t, noon)); got != "" {
			t.Fatal(got)
		}
	}
}

// A million distinct tokens stay within the cap, in number and in memory.
func TestAMillionTokensStayWithinTheCap(t *testing.T) {
	const most = 1000
	v := newHop(t, most).verifier.Load()
	accept := token.Accepting(t, v, tokentest.Valid(t, noon))
	before := live()
	var peak uint64
	for i := range 1_000_000 {
		accept(fmt.Sprintf("token-%d", i))
		if n := v.Cached(); n > most {
			t.Fatalf("%d tokens remembered, at most %d", n, most)
		}
		if i%250_000 == 249_999 {
			peak = max(peak, live())
		}
	}
	if grown := int64(peak) - int64(before); grown > most*4096 {
		t.Errorf("the cache of %d tokens takes %d bytes", most, grown)
	}
	if v.Cached() < most/2 {
		t.Errorf("%d tokens remembered", v.Cached())
	}
}

// live is the heap that is in use, after a collection.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A token that is asked for again and again stays, however many others come.
func TestWhatIsUsedStays(t *testing.T) {
	v := newHop(t, 10).verifier.Load()
	accept := token.Accepting(t, v, tokentest.Valid(t, noon))
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
