package app

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/revocation"
)

// A cached token ends when the keys, the trust or the revocations change that it was verified
// with. After the first denied Check, no later Check is allowed, from any peer.
func TestRememberedTokensEnd(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*remembered)
		west   bool // the token of the fleet whose keys are at a URL
		want   string
	}{
		"the file withdraws the key":  {func(r *remembered) { r.write("east.json", newFleet(r.t, "east").jwks(r.t)) }, false, "kid_unknown"},
		"the URL withdraws the key":   {func(r *remembered) { r.server.serves(newFleet(r.t, "west").jwks(r.t)) }, true, "kid_unknown"},
		"the issuer is removed":       {func(r *remembered) { r.trusting(r.settings, fromURL(r.west, r.server.URL)) }, false, "issuer_unknown"},
		"the URL's issuer is removed": {func(r *remembered) { r.trusting(r.settings, entry(r.east, "east.json")) }, true, "issuer_unknown"},
		"the issuer may say less": {func(r *remembered) {
			r.trusting(r.settings, strings.Replace(entry(r.east, "east.json"), r.east.subjects, "other-idp", 1))
		}, false, "issuer_not_entitled"},
		"the user is revoked":      {func(r *remembered) { r.revoke(revocation.Sub, r.east.subjects+":alice") }, false, "token_revoked"},
		"the key is revoked":       {func(r *remembered) { r.revoke(revocation.KID, r.east.keys.Keys()[0].ID()) }, false, "token_revoked"},
		"the token's time is over": {func(r *remembered) { r.late.Store(int64(70 * time.Second)) }, false, "token_expired"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRemembered(t)
			raw := r.east.claim(t, unchanged)
			if row.west {
				raw = r.west.claim(t, unchanged)
			}
			for range 2 {
				if got := r.reasonFor(t, raw); got != "rule_allowed" {
					t.Fatalf("before: %s", got)
				}
			}
			r.allAsk(raw, row.want, func() { row.change(r) })
		})
	}
}

// remembered is an authorizer that trusts east by a file and west by a URL, with a
// list of revocations and a clock of its own.
type remembered struct {
	asked
	files
	t          *testing.T
	settings   string
	east, west fleet
	server     *keyServer
	late       atomic.Int64
}

func newRemembered(t *testing.T) *remembered {
	t.Helper()
	r := &remembered{t: t, settings: overHTTP + "revocation: {file: revoked.yaml}\n", east: newFleet(t, "east"), west: newFleet(t, "west")}
	r.server = newKeyServer(t, r.west.jwks(t))
	r.files = newTrusting(t, r.settings, entry(r.east, "east.json"), fromURL(r.west, r.server.URL))
	r.write("east.json", r.east.jwks(t))
	r.write("revoked.yaml", "revocations: []")
	r.asked = startAsked(t, r.files, func(p *Process) {
		p.Now = func() time.Time { return time.Now().Add(time.Duration(r.late.Load())) }
	})
	return r
}

func (r *remembered) revoke(kind revocation.Kind, value string) {
	list := withdrawing(r.t, kind, value)
	r.write("revoked.yaml", strings.Replace(list, tokentest.Issuer, r.east.issuer, 1))
}

// allAsk has several clients ask about the token until each is refused.
func (r *remembered) allAsk(raw, want string, change func()) {
	var over atomic.Bool
	var clients sync.WaitGroup
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	request := order(r.t, gateway)
	request.Attributes.Request.Http.Headers["txn-token"] = raw
	ask := func() bool {
		began := over.Load()
		answer, err := r.Check(ctx, request)
		got := answer.GetDynamicMetadata().GetFields()["reason"].GetStringValue()
		switch {
		case err == nil && got == want:
			over.Store(true)
			return !began
		case err == nil && got == "rule_allowed" && !began:
			return true
		}
		r.t.Errorf("refused before: %v; got %s, %v", began, got, err)
		return false
	}
	for range 4 {
		clients.Go(func() {
			for ask() {
			}
		})
	}
	change()
	clients.Wait()
}
