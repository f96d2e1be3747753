package soak

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/shared/identity"
)

// pace of each stream: enough that some request is always under way, not so much that a small machine
// has nothing left for what is tested.
const pace = 50 * time.Millisecond

// stream is one kind of request, sent again and again.
type stream struct {
	name  string
	send  scenarios.Send
	want  string                 // its only right outcome
	forge func() (string, error) // nil, or makes a new token for each request
}

const order = "/tenants/acme/orders/1001"

func newStreams(mesh *localmesh.Mesh, keys *rotor) ([]stream, error) {
	forger, err := newForger(mesh.Dir(), keys)
	toGateway := func(path, as string) scenarios.Send {
		return scenarios.Send{To: "gateway", Method: http.MethodGet, Path: path, As: as}
	}
	direct := scenarios.Send{From: "ns/edge/sa/tyk-gateway", To: "orders", Method: http.MethodGet, Path: order}
	return []stream{
		{name: "alice, by JWT", send: toGateway("/jwt"+order, "alice"), want: "200 orders"},
		{name: "alice, by OpenID Connect", send: toGateway("/oidc"+order, "alice/id"), want: "200 orders"},
		{name: "another tenant's order", send: toGateway("/jwt/tenants/globex/orders/1001", "alice"), want: "403 meshpass no_rule"},
		{name: "without the scope", send: toGateway("/jwt"+order, "bob"), want: "403 meshpass no_rule"},
		{name: "revoked in Redis", send: toGateway("/key"+order, "partner"), want: "403 meshpass token_revoked"},
		{name: "revoked in the file", send: toGateway("/key"+order, "hurried"), want: "401 plugin token_revoked"},
		{name: "forged, kid of the signing key", send: direct, want: "403 meshpass signature_invalid", forge: forger.forge},
	}, err
}

// admitted: the stream's requests are to be let in.
func (s stream) admitted() bool { return strings.HasPrefix(s.want, "200 ") }

func (s stream) run(ctx context.Context, mesh *localmesh.Mesh, tally *tally) {
	for n := 0; pause(ctx, pace); n++ {
		began := time.Now()
		// What was sent gets its answer, though the time is over meanwhile.
		got := s.once(context.WithoutCancel(ctx), mesh, n)
		tally.add(s, got, time.Since(began))
	}
}

func (s stream) once(ctx context.Context, mesh *localmesh.Mesh, n int) string {
	send := s.send
	if s.forge != nil {
		raw, err := s.forge()
		if err != nil {
			return "not sent: " + err.Error()
		}
		send.Headers = map[string][]string{identity.Header: {raw}}
	}
	answer, err := mesh.Send(ctx, scenarios.Request{ID: fmt.Sprintf("%s %d", s.name, n), Send: send})
	if err != nil {
		return "no answer: " + err.Error()
	}
	return outcome(answer)
}

// notAsked are outcomes without a decision: Envoy got no answer from an authorizer, at the first hop or,
// passed on by orders, at the second.
var notAsked = map[string]bool{"503 envoy": true, "503 orders": true}

// outcome is status, who answered, and the reason if there is one. Orders passes on what inventory's hop says.
func outcome(a scenarios.Answer) string {
	reason := cmp.Or(a.BodyField("reason"), a.BodyField("answer.body.reason"))
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", a.Status, a.AnsweredBy(), reason))
}
