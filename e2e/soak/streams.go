package soak

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/pace"
	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/shared/identity"
)

// stream sends one kind of request again and again.
type stream struct {
	name       string
	send       scenarios.Send
	want       string                 // its only right outcome
	forgeToken func() (string, error) // makes a new token for each request; nil: no token is set
	share      float64                // of all requests; 0: as many as the other streams without one

	// rightOutcomes are the outcomes that a request may have, by the times at which it was sent and answered; they count as
	// want. Nil: want alone.
	rightOutcomes func(sent, answered time.Time) []string
}

// senders bounds the requests of a stream that are under way together. If all of them wait, the stream is late.
const senders = 24

const orderPath = "/tenants/acme/orders/1001"

// asThePolicyIs is the right outcome of a stream whose policy changes.
const asThePolicyIs = "as the policy is"

func newStreams(mesh *localmesh.Mesh, keys *rotator, policies *policyChanger) ([]stream, error) {
	forger, err := newForger(mesh.Dir(), keys)
	toGateway := func(path, as string) scenarios.Send {
		return scenarios.Send{To: "gateway", Method: http.MethodGet, Path: path, As: as}
	}
	direct := scenarios.Send{From: "ns/edge/sa/tyk-gateway", To: "orders", Method: http.MethodGet, Path: orderPath}
	return []stream{
		{name: "alice, by JWT", send: toGateway("/jwt"+orderPath, "alice"), want: "200 orders", share: 0.6},
		{name: "alice, by OpenID Connect", send: toGateway("/oidc"+orderPath, "alice/id"), want: "200 orders"},
		{name: "another tenant's order", send: toGateway("/jwt/tenants/globex/orders/1001", "alice"), want: "403 meshpass no_rule"},
		{name: "without the scope", send: toGateway("/jwt"+orderPath, "bob"), want: "403 meshpass no_rule"},
		{name: "revoked in Redis", send: toGateway("/key"+orderPath, "partner"), want: "403 meshpass token_revoked"},
		{name: "revoked in the file", send: toGateway("/key"+orderPath, "hurried"), want: "401 plugin token_revoked"},
		{name: "forged, kid of the signing key", send: direct, want: "403 meshpass signature_invalid", forgeToken: forger.forgeToken},
		{name: "an order that a document denies at times", send: toGateway("/jwt"+switchedPath, "alice"), want: asThePolicyIs, rightOutcomes: policies.rightOutcomes},
	}, err
}

// rateOf is how many requests a second the stream sends, of the rate of all streams.
func (s stream) rateOf(all float64, streams []stream) float64 {
	if s.share > 0 {
		return s.share * all
	}
	rest, others := 1.0, 0
	for _, other := range streams {
		if rest -= other.share; other.share == 0 {
			others++
		}
	}
	return rest * all / float64(others)
}

// wantsAllow reports whether the stream's requests must be allowed.
func (s stream) wantsAllow() bool { return strings.HasPrefix(s.want, "200 ") }

// sendUntilDone sends at a rate until ctx ends.
func (s stream) sendUntilDone(ctx context.Context, mesh *localmesh.Mesh, tally *tally, rate float64) {
	turns, number := pace.New(rate), atomic.Int64{}
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for turns.Wait(ctx) {
				sent := time.Now()
				// A request that was sent gets its answer, even if ctx ends meanwhile.
				got := s.sendOnce(context.WithoutCancel(ctx), mesh, number.Add(1))
				tally.count(s, s.nameOutcome(got, sent, time.Now()), sent)
			}
		})
	}
	all.Wait()
}

// nameOutcome names an outcome that is right at its time.
func (s stream) nameOutcome(outcome string, sent, answered time.Time) string {
	if s.rightOutcomes != nil && slices.Contains(s.rightOutcomes(sent, answered), outcome) {
		return s.want
	}
	return outcome
}

func (s stream) sendOnce(ctx context.Context, mesh *localmesh.Mesh, n int64) string {
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
	began   time.Time
	mu      sync.Mutex
	streams []stream
	counts  map[string]map[string]int // stream → outcome
	allowed []timed                   // requests that were allowed
}

// timed is one request.
type timed struct{ sent, took time.Duration } // sent: since the load began

func newTally(streams []stream, began time.Time) *tally {
	t := &tally{streams: streams, counts: map[string]map[string]int{}, began: began}
	for _, s := range streams {
		t.counts[s.name] = map[string]int{}
	}
	return t
}

// count counts a request that has just been answered.
func (t *tally) count(s stream, outcome string, sent time.Time) {
	took := time.Since(sent)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[s.name][outcome]++
	if s.wantsAllow() && outcome == s.want {
		t.allowed = append(t.allowed, timed{sent.Sub(t.began), took})
	}
}

// quantile returns a quantile of sorted times; zero if there are no times.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func newLatency(times []time.Duration) Latency {
	slices.Sort(times)
	ms := func(q float64) float64 { return float64(quantile(times, q).Microseconds()) / 1000 }
	return Latency{P50: ms(0.5), P90: ms(0.9), P99: ms(0.99), Max: ms(1)}
}

func (t *tally) latencySummary() Latency {
	var times []time.Duration
	for _, one := range t.timedRequests() {
		times = append(times, one.took)
	}
	return newLatency(times)
}

func (t *tally) timedRequests() []timed {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.allowed)
}
