package check_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
	"github.com/meshpass/meshpass/shared/token"
)

// now is the time of every Check in these tests.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func fixedClock() time.Time { return now }

// hop is the real gRPC server on a loopback port, as a sidecar sees it. A record is queued
// before its answer is sent, so the two can be read in turn.
type hop struct {
	auth.AuthorizationClient
	conn    *grpc.ClientConn
	limiter *limits.Limiter
	records *audittest.Buffer
	log     bytes.Buffer
	meter   meter
}

func anyClient(context.Context) error { return nil }

// sidecar is how a sidecar's Check names both sides.
var sidecar = decide.Peers{Caller: decide.CallerByPrincipal(tokentest.Domains), Callee: decide.CalleeByPrincipal(tokentest.Domains)}

// alwaysReturn makes a source that gives the same snapshot each time.
func alwaysReturn[T any](value T) func() T { return func() T { return value } }

// newHop takes changes to the configuration of a listener "sidecar".
func newHop(t testing.TB, changes ...func(*check.Config)) *hop {
	t.Helper()
	h := &hop{records: audittest.NewBuffer(t, audit.Options{Now: fixedClock})}
	config := check.Config{Admit: anyClient, Decide: decide.Config{
		Listener: "sidecar", TokenFailure: 403, Peers: sidecar,
		Verifier: alwaysReturn(newVerifier(t, fixedClock)), Policies: alwaysReturn(loadPolicies(t)),
		Audit: h.records.Log, Meter: &h.meter, Log: slog.New(slog.NewJSONHandler(&h.log, nil)), Now: fixedClock,
	}}
	changeLimits(func(*limits.Limits) {})(&config)
	for _, change := range changes {
		change(&config)
	}
	checks, err := check.New(config)
	if err != nil {
		t.Fatal(err)
	}
	h.limiter = config.Limiter
	h.conn = serveLoopback(t, check.NewGRPC(checks), func(all net.Listener) net.Listener { return config.Limiter.Listen(all, "sidecar", limits.HTTP2) })
	h.AuthorizationClient = auth.NewAuthorizationClient(h.conn)
	return h
}

// changeLimits changes the limits of a hop. Their deadline is long enough for a busy machine.
func changeLimits(change func(*limits.Limits)) func(*check.Config) {
	return func(c *check.Config) {
		l := limits.Default
		l.Deadline = time.Minute
		change(&l)
		c.Limiter = limits.New(l, c.Decide.Log)
	}
}

func newVerifier(t testing.TB, clock func() time.Time) *token.Verifier {
	t.Helper()
	return newVerifierWith(t, token.Options{Now: clock})
}

func newVerifierWith(t testing.TB, o token.Options) *token.Verifier {
	t.Helper()
	v, err := token.NewVerifier([]token.Trust{tokentest.TrustEntry(t)}, tokentest.Domains, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func loadPolicies(t testing.TB) *policy.Set {
	t.Helper()
	set, err := source.Loader{}.Load(source.OSDir("testdata/policies"))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// serveLoopback starts a server on a free loopback port, whose listener may be bounded, and
// connects to it.
func serveLoopback(t testing.TB, server *grpc.Server, bounded ...func(net.Listener) net.Listener) *grpc.ClientConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	for _, bound := range bounded {
		listener = bound(listener)
	}
	go func() {
		if err := server.Serve(listener); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// takeRecord reads the one audit record that was written since the last call.
func (h *hop) takeRecord(t testing.TB) map[string]any {
	t.Helper()
	line := h.records.TakeRecords()
	if strings.Count(line, "\n") != 1 {
		t.Fatalf("want one audit record, got %q", line)
	}
	var record map[string]any
	if err := json.Unmarshal([]byte(line), &record); err != nil {
		t.Fatal(err)
	}
	return record
}

// sendCheck sends the usual Check with a change.
func (h *hop) sendCheck(t testing.TB, change func(*auth.CheckRequest)) *auth.CheckResponse {
	t.Helper()
	request := newCheck(t)
	if change != nil {
		change(request)
	}
	answer, err := h.Check(t.Context(), request)
	if err != nil {
		t.Fatalf("a gRPC error, which failOpen may turn into an allow: %v", err)
	}
	return answer
}

// newCheck is a Check as a sidecar of Istio 1.31 sends it: alice reads an order of
// her tenant, and the gateway calls for her.
func newCheck(t testing.TB) *auth.CheckRequest {
	t.Helper()
	const path = "/tenants/acme/orders/7?expand=lines"
	return &auth.CheckRequest{Attributes: &auth.AttributeContext{
		Source:      newPeer("spiffe://cluster.local/ns/edge/sa/tyk-gateway", "127.77.0.10", 40022),
		Destination: newPeer("spiffe://cluster.local/ns/shop/sa/orders", "127.77.0.11", 8080),
		Request: &auth.AttributeContext_Request{Http: &auth.AttributeContext_HttpRequest{
			Id: "7251431180632351817", Method: "GET", Path: path, Scheme: "http", Protocol: "HTTP/1.1",
			Host: "orders.shop.svc.cluster.local:8080",
			Headers: map[string]string{
				":authority": "orders.shop.svc.cluster.local:8080", ":method": "GET", ":path": path, ":scheme": "http",
				"txn-token": tokentest.ValidToken(t, now), "user-agent": "curl/8.5.0",
				"x-request-id": "5d7d0f0e-4a8c-9d3b-a3f4-0d3f6e1f2a11",
				"traceparent":  "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			},
		}},
	}}
}

func newPeer(principal, address string, port uint32) *auth.AttributeContext_Peer {
	return &auth.AttributeContext_Peer{
		Principal: principal,
		Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: address, PortSpecifier: &core.SocketAddress_PortValue{PortValue: port},
		}}},
	}
}

// outcome is what Envoy does with an answer.
type outcome struct {
	status  int
	body    string
	removed string // names, joined by spaces
	headers string // of the response: "name: value" lines, all of them overwriting
}

func outcomeOf(answer *auth.CheckResponse) outcome {
	if ok := answer.GetOkResponse(); ok != nil && answer.GetStatus().GetCode() == 0 {
		return outcome{status: 200, removed: strings.Join(ok.GetHeadersToRemove(), " "), headers: formatHeaders(ok.GetResponseHeadersToAdd())}
	}
	denied := answer.GetDeniedResponse()
	return outcome{status: int(denied.GetStatus().GetCode()), body: denied.GetBody(), headers: formatHeaders(denied.GetHeaders())}
}

func formatHeaders(options []*core.HeaderValueOption) string {
	var b strings.Builder
	for _, option := range options {
		if !proto.Equal(option, overwriteOption(option.GetHeader())) {
			b.WriteString("not overwriting: ")
		}
		b.WriteString(option.GetHeader().GetKey() + ": " + option.GetHeader().GetValue() + "\n")
	}
	return b.String()
}

func overwriteOption(header *core.HeaderValue) *core.HeaderValueOption {
	return &core.HeaderValueOption{Header: header, AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD}
}
