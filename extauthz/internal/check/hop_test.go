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

// now is when every Check of these tests happens.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// hop is the real gRPC server on a loopback port, as a sidecar meets it. A
// record is queued before its answer, so the two can be read in turn.
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

// always gives the same snapshot.
func always[T any](value T) func() T { return func() T { return value } }

// newHop takes changes to the configuration of a listener "sidecar".
func newHop(t testing.TB, changes ...func(*check.Config)) *hop {
	t.Helper()
	h := &hop{records: audittest.NewBuffer(audit.Options{Now: clock})}
	config := check.Config{Admit: anyClient, Decide: decide.Config{
		Listener: "sidecar", TokenFailure: 403, Peers: sidecar,
		Verifier: always(verifier(t, clock)), Policies: always(policies(t)),
		Audit: h.records.Log, Meter: &h.meter, Log: slog.New(slog.NewJSONHandler(&h.log, nil)), Now: clock,
	}}
	limited(func(*limits.Limits) {})(&config)
	for _, change := range changes {
		change(&config)
	}
	checks, err := check.New(config)
	if err != nil {
		t.Fatal(err)
	}
	h.limiter = config.Limiter
	h.conn = serve(t, check.NewGRPC(checks), func(all net.Listener) net.Listener { return config.Limiter.Listen(all, "sidecar", limits.HTTP2) })
	h.AuthorizationClient = auth.NewAuthorizationClient(h.conn)
	return h
}

// limited changes the limits of a hop, of which the deadline is one that a busy machine
// keeps.
func limited(change func(*limits.Limits)) func(*check.Config) {
	return func(c *check.Config) {
		l := limits.Default
		l.Deadline = time.Minute
		change(&l)
		c.Limiter = limits.New(l, c.Decide.Log)
	}
}

func verifier(t testing.TB, clock func() time.Time) *token.Verifier {
	t.Helper()
	return verifierWith(t, token.Options{Now: clock})
}

func verifierWith(t testing.TB, o token.Options) *token.Verifier {
	t.Helper()
	v, err := token.NewVerifier([]token.Trust{tokentest.TrustEntry(t)}, tokentest.Domains, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func policies(t testing.TB) *policy.Set {
	t.Helper()
	set, err := source.Loader{}.Load(source.OSDir("testdata/policies"))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// serve starts a server on a free loopback port, whose listener may be bounded, and
// connects to it.
func serve(t testing.TB, server *grpc.Server, bounded ...func(net.Listener) net.Listener) *grpc.ClientConn {
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

// record reads the one audit record that was written since the last call.
func (h *hop) record(t testing.TB) map[string]any {
	t.Helper()
	line := h.records.Take()
	if strings.Count(line, "\n") != 1 {
		t.Fatalf("want one audit record, got %q", line)
	}
	var record map[string]any
	if err := json.Unmarshal([]byte(line), &record); err != nil {
		t.Fatal(err)
	}
	return record
}

// ask sends the usual Check, changed.
func (h *hop) ask(t testing.TB, change func(*auth.CheckRequest)) *auth.CheckResponse {
	t.Helper()
	request := usual(t)
	if change != nil {
		change(request)
	}
	answer, err := h.Check(t.Context(), request)
	if err != nil {
		t.Fatalf("a gRPC error, which failOpen may turn into an allow: %v", err)
	}
	return answer
}

// usual is a Check as a sidecar of Istio 1.31 sends it: alice reads an order of
// her tenant, and the gateway calls for her.
func usual(t testing.TB) *auth.CheckRequest {
	t.Helper()
	const path = "/tenants/acme/orders/7?expand=lines"
	return &auth.CheckRequest{Attributes: &auth.AttributeContext{
		Source:      peer("spiffe://cluster.local/ns/edge/sa/tyk-gateway", "127.77.0.10", 40022),
		Destination: peer("spiffe://cluster.local/ns/shop/sa/orders", "127.77.0.11", 8080),
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

func peer(principal, address string, port uint32) *auth.AttributeContext_Peer {
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
		return outcome{status: 200, removed: strings.Join(ok.GetHeadersToRemove(), " "), headers: lines(ok.GetResponseHeadersToAdd())}
	}
	denied := answer.GetDeniedResponse()
	return outcome{status: int(denied.GetStatus().GetCode()), body: denied.GetBody(), headers: lines(denied.GetHeaders())}
}

func lines(options []*core.HeaderValueOption) string {
	var b strings.Builder
	for _, option := range options {
		if !proto.Equal(option, overwriting(option.GetHeader())) {
			b.WriteString("not overwriting: ")
		}
		b.WriteString(option.GetHeader().GetKey() + ": " + option.GetHeader().GetValue() + "\n")
	}
	return b.String()
}

func overwriting(header *core.HeaderValue) *core.HeaderValueOption {
	return &core.HeaderValueOption{Header: header, AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD}
}
