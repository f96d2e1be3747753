package soak

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/shared/identity"
)

// sendInterval is the time between two requests of a stream. Some request is always in flight, and a small
// machine has enough left for the programs under test.
const sendInterval = 50 * time.Millisecond

// stream sends one kind of request again and again.
type stream struct {
	name       string
	send       scenarios.Send
	want       string                 // its only right outcome
	forgeToken func() (string, error) // makes a new token for each request; nil: no token is set
}

const orderPath = "/tenants/acme/orders/1001"

func newStreams(mesh *localmesh.Mesh, keys *rotator) ([]stream, error) {
	forger, err := newForger(mesh.Dir(), keys)
	toGateway := func(path, as string) scenarios.Send {
		return scenarios.Send{To: "gateway", Method: http.MethodGet, Path: path, As: as}
	}
	direct := scenarios.Send{From: "ns/edge/sa/tyk-gateway", To: "orders", Method: http.MethodGet, Path: orderPath}
	return []stream{
		{name: "alice, by JWT", send: toGateway("/jwt"+orderPath, "alice"), want: "200 orders"},
		{name: "alice, by OpenID Connect", send: toGateway("/oidc"+orderPath, "alice/id"), want: "200 orders"},
		{name: "another tenant's order", send: toGateway("/jwt/tenants/globex/orders/1001", "alice"), want: "403 meshpass no_rule"},
		{name: "without the scope", send: toGateway("/jwt"+orderPath, "bob"), want: "403 meshpass no_rule"},
		{name: "revoked in Redis", send: toGateway("/key"+orderPath, "partner"), want: "403 meshpass token_revoked"},
		{name: "revoked in the file", send: toGateway("/key"+orderPath, "hurried"), want: "401 plugin token_revoked"},
		{name: "forged, kid of the signing key", send: direct, want: "403 meshpass signature_invalid", forgeToken: forger.forgeToken},
	}, err
}

// wantsAllow reports whether the stream's requests must be allowed.
func (s stream) wantsAllow() bool { return strings.HasPrefix(s.want, "200 ") }

func (s stream) sendUntilDone(ctx context.Context, mesh *localmesh.Mesh, tally *tally) {
	for n := 0; wait(ctx, sendInterval); n++ {
		began := time.Now()
		// A request that was sent gets its answer, even if ctx ends meanwhile.
		got := s.sendOnce(context.WithoutCancel(ctx), mesh, n)
		tally.count(s, got, time.Since(began))
	}
}

func (s stream) sendOnce(ctx context.Context, mesh *localmesh.Mesh, n int) string {
	send := s.send
	if s.forgeToken != nil {
		raw, err := s.forgeToken()
		if err != nil {
			return "not sent: " + err.Error()
		}
		send.Headers = map[string][]string{identity.Header: {raw}}
	}
	answer, err := mesh.Send(ctx, scenarios.Request{ID: fmt.Sprintf("%s %d", s.name, n), Send: send})
	if err != nil {
		return "no answer: " + err.Error()
	}
	return describeOutcome(answer)
}

// notAsked are outcomes without a decision: Envoy got no answer from an authorizer, at the first hop, or at
// the second one, whose answer orders passes on.
var notAsked = map[string]bool{"503 envoy": true, "503 orders": true}

// describeOutcome returns the status, who answered, and the reason if there is one. Orders passes on the answer
// of inventory's hop.
func describeOutcome(a scenarios.Answer) string {
	reason := cmp.Or(a.BodyField("reason"), a.BodyField("answer.body.reason"))
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", a.Status, a.AnsweredBy(), reason))
}

// tally counts the answers of all streams.
type tally struct {
	mu        sync.Mutex
	streams   []stream
	counts    map[string]map[string]int // stream → outcome
	latencies []time.Duration           // of requests that were allowed
}

func newTally(streams []stream) *tally {
	t := &tally{streams: streams, counts: map[string]map[string]int{}}
	for _, s := range streams {
		t.counts[s.name] = map[string]int{}
	}
	return t
}

func (t *tally) count(s stream, outcome string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[s.name][outcome]++
	if s.wantsAllow() && outcome == s.want {
		t.latencies = append(t.latencies, took)
	}
}

// quantile returns a quantile of sorted times; zero if there are no times.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func (t *tally) latencySummary() Latency {
	t.mu.Lock()
	sorted := slices.Sorted(slices.Values(t.latencies))
	t.mu.Unlock()
	ms := func(q float64) float64 { return float64(quantile(sorted, q).Microseconds()) / 1000 }
	return Latency{P50: ms(0.5), P90: ms(0.9), P99: ms(0.99), Max: ms(1)}
}
