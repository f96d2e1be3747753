package fidelity_test

import (
	"slices"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

// TestEnvoy shows what Envoy tells an authorizer and what it does with the
// answer, with any authorizer.
func TestEnvoy(t *testing.T) {
	r := newRig(t, fromDump)
	e := &alone{rig: r, recorder: newRecorder(t, r.authorizerAddress())}
	for _, topic := range []struct {
		name string
		test func(*testing.T)
	}{
		{"attributes", e.testAttributes},
		{"header forms", e.testHeaderForms},
		{"forwarded headers", e.testForwardedHeaders},
		{"hosts", e.testHosts},
		{"paths", e.testPaths},
		{"no route", e.testNoRoute},
		{"request lines", e.testRequestLines},
		{"bodies", e.testBodies},
		{"smuggling", e.testSmuggling},
		{"plaintext", e.testPlaintext},
		{"no ALPN", e.testNoALPN},
		{"HTTP 2", e.testHTTP2},
		{"gRPC", e.testGRPC},
		{"WebSocket", e.testWebSocket},
		{"request headers of an answer", e.testRequestHeaders},
		{"other changes of an answer", e.testOtherChanges},
		{"answers", e.testAnswers},
		{"random lines", e.testRandomLines},
		{"random HTTP 2", e.testRandomHTTP2},
	} {
		t.Run(topic.name, topic.test)
	}
}

// alone is Envoy without us.
type alone struct {
	*rig
	*recorder
}

// views are the three sides of one request.
type views struct {
	reply   reply
	asked   []*auth.AttributeContext_HttpRequest
	arrived []arrival
}

// try sends one request and returns once it has arrived, if it does at all.
func (e *alone) try(t testing.TB, raw string) views {
	t.Helper()
	return e.views(t, e.one(t, raw))
}

func (e *alone) views(t testing.TB, reply reply) views {
	t.Helper()
	e.settle(t)
	v := views{reply: reply, arrived: e.arrivals()}
	for _, check := range e.recorder.take() {
		v.asked = append(v.asked, check.GetAttributes().GetRequest().GetHttp())
	}
	return v
}

// checkEnded wants that the request ended at Envoy, unasked.
func (v views) checkEnded(t testing.TB, status int) {
	t.Helper()
	if v.reply.status != status || len(v.asked) != 0 || len(v.arrived) != 0 {
		t.Errorf("got %d, %d Checks, %d arrivals; want %d, and the end at Envoy", v.reply.status, len(v.asked), len(v.arrived), status)
	}
}

// passed wants that the request was asked about once and arrived once.
func (v views) passed(t testing.TB) (*auth.AttributeContext_HttpRequest, arrival) {
	t.Helper()
	if v.reply.status != 200 || len(v.asked) != 1 || len(v.arrived) != 1 {
		t.Fatalf("got %d, %d Checks, %d arrivals; want 200, one and one", v.reply.status, len(v.asked), len(v.arrived))
	}
	return v.asked[0], v.arrived[0]
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func equalLists(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}
