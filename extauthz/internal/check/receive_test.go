package check_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// sendRaw sends bytes as the message of a Check.
func (h *hop) sendRaw(t testing.TB, message []byte) *auth.CheckResponse {
	t.Helper()
	var answer auth.CheckResponse
	codec := grpc.ForceCodecV2(bytesAsMessage{encoding.GetCodecV2(protocodec.Name)})
	if err := h.conn.Invoke(t.Context(), auth.Authorization_Check_FullMethodName, message, &answer, codec); err != nil {
		t.Fatalf("a gRPC error, which failOpen may turn into an allow: %v", err)
	}
	return &answer
}

func reasonOf(answer *auth.CheckResponse) decision.Reason {
	return decision.Reason(answer.GetDynamicMetadata().GetFields()["reason"].GetStringValue())
}

// A Check that its sender makes too large is denied. The record names both sides, because they
// come first in a message.
func TestLargeChecks(t *testing.T) {
	h := newHop(t)
	body := func(size int) func(*auth.CheckRequest) {
		return func(r *auth.CheckRequest) { r.Attributes.Request.Http.Body = strings.Repeat("a", size) }
	}
	for _, r := range []checkRow{
		{name: "a body below the limit", change: body(1<<20 - 4096), status: 200, reason: decision.RuleAllowed, removed: ""},
		{name: "a body above it", change: body(1 << 20), status: 403, reason: decision.CheckTooLarge},
		{name: "as much as Envoy sends with its largest settings", change: body(17 << 20), status: 403, reason: decision.CheckTooLarge},
		{name: "more", change: body(40 << 20), status: 403, reason: decision.CheckTooLarge},
		{name: "a token", change: setHeaders("txn-token", strings.Repeat("a", 5<<20)), status: 403, reason: decision.CheckTooLarge},
	} {
		r.record = map[string]any{"caller": "ns/edge/sa/tyk-gateway", "callee": "ns/shop/sa/orders"}
		t.Run(r.name, func(t *testing.T) { r.testRow(t, h) })
	}
	if log := h.log.String(); !strings.Contains(log, "limits.checkBytes is 1MiB") {
		t.Errorf("log: %s", log)
	}
}

// Headers are counted before any of them is decoded.
func TestManyHeaders(t *testing.T) {
	h := newHop(t)
	usually := len(newCheck(t).Attributes.Request.Http.Headers)
	inMap := func(n int) func(*auth.CheckRequest) {
		return func(r *auth.CheckRequest) {
			for i := range n {
				r.Attributes.Request.Http.Headers[fmt.Sprintf("x-%d", i)] = ""
			}
		}
	}
	inList := func(n int) func(*auth.CheckRequest) {
		return func(r *auth.CheckRequest) {
			addRawHeaders(slices.Repeat([]string{"x-same", ""}, n)...)(r)
		}
	}
	for _, r := range []checkRow{
		{name: "200 in the map", change: inMap(200 - usually), status: 200, reason: decision.RuleAllowed},
		{name: "201 in the map", change: inMap(201 - usually), status: 403, reason: decision.TooManyHeaders},
		{name: "200 in both", change: inList(200 - usually), status: 200, reason: decision.RuleAllowed},
		{name: "201 in both", change: inList(201 - usually), status: 403, reason: decision.TooManyHeaders},
		{name: "20000 in the list", change: inList(20_000), status: 403, reason: decision.TooManyHeaders},
	} {
		r.record = map[string]any{"caller": "ns/edge/sa/tyk-gateway", "callee": "ns/shop/sa/orders", "method": "GET", "path": "/tenants/acme/orders/7"}
		t.Run(r.name, func(t *testing.T) { r.testRow(t, h) })
	}
}

// tinyHeaders is a CheckRequest with n headers of a few bytes.
func tinyHeaders(n int) []byte {
	var fields []byte
	for i := range n {
		entry := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), fmt.Sprintf("%x", i))
		fields = protowire.AppendBytes(protowire.AppendTag(fields, 3, protowire.BytesType), entry)
	}
	for _, number := range []protowire.Number{2, 4, 1} { // http, request, attributes
		fields = protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), fields)
	}
	return fields
}

// One Check with many tiny headers costs as much as its bytes, and not as much as the decoded
// headers would.
func TestTinyHeadersAreNotDecoded(t *testing.T) {
	h := newHop(t, changeLimits(func(l *limits.Limits) { l.CheckBytes, l.InFlightBytes = 16*bytesize.MiB, 256*bytesize.MiB }))
	message := tinyHeaders(1_000_000)
	if got := reasonOf(h.sendRaw(t, message)); got != decision.TooManyHeaders {
		t.Errorf("got %s", got)
	}
	small := tinyHeaders(100_000)
	allocated := testing.AllocsPerRun(1, func() {
		if got := reasonOf(h.sendRaw(t, small)); got != decision.TooManyHeaders {
			t.Errorf("got %s", got)
		}
	})
	if allocated > 20_000 { // 100,000 entries of a map would be more than 200,000
		t.Errorf("%.0f allocations", allocated)
	}
}

// Other parts of a message are not decoded, however many they are.
func TestOtherPartsOfAMessageAreNotDecoded(t *testing.T) {
	h := newHop(t)
	request := newCheck(t)
	request.Attributes.ContextExtensions = map[string]string{}
	for i := range 20_000 {
		request.Attributes.ContextExtensions[fmt.Sprintf("%x", i)] = ""
	}
	message, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	allocated := testing.AllocsPerRun(1, func() {
		if got := reasonOf(h.sendRaw(t, message)); got != decision.RuleAllowed {
			t.Errorf("got %s", got)
		}
	})
	if allocated > 10_000 {
		t.Errorf("%.0f allocations", allocated)
	}
}

// halfMessage is a message that stops before its end.
type halfMessage struct {
	message []byte
	stop    <-chan struct{}
}

func (b *halfMessage) Read(p []byte) (int, error) {
	if len(b.message) == 0 {
		<-b.stop
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, b.message)
	b.message = b.message[n:]
	return n, nil
}

// postBody sends a body as a Check.
func postBody(t *testing.T, h *hop, transport *http.Transport, body io.Reader) (*http.Response, error) {
	t.Helper()
	url := "http://" + h.conn.Target() + auth.Authorization_Check_FullMethodName
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}}
	return transport.RoundTrip(request)
}

// beginMessage is the prefix of a message of some size, and its first bytes.
func beginMessage(size, sent int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(size)), make([]byte, sent)...)
}

// sendHalf sends the first bytes of a message of some size. It gives the answer that comes
// before the message is complete.
func sendHalf(t *testing.T, h *hop, transport *http.Transport, size, sent int) decision.Reason {
	t.Helper()
	stop := make(chan struct{})
	response, err := postBody(t, h, transport, &halfMessage{beginMessage(size, sent), stop})
	if err != nil {
		t.Error(err)
		return ""
	}
	defer response.Body.Close() // which waits for the body that was to be sent
	defer close(stop)
	answer, err := io.ReadAll(response.Body)
	if err != nil || len(answer) < 5 || response.Trailer.Get("grpc-status") != "0" {
		t.Errorf("%q, %v, %v", answer, response.Trailer, err)
		return ""
	}
	var checked auth.CheckResponse
	if err := proto.Unmarshal(answer[5:], &checked); err != nil {
		t.Error(err)
	}
	return reasonOf(&checked)
}

// newCleartextTransport makes a transport for HTTP/2 without TLS.
func newCleartextTransport(t *testing.T) *http.Transport {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// A message that never ends is answered in time. One that is too large is answered at once,
// without waiting for its end.
func TestHalfSentChecks(t *testing.T) {
	h := newHop(t, changeLimits(func(l *limits.Limits) { l.Deadline = 20 * time.Millisecond }))
	transport := newCleartextTransport(t)
	for _, row := range []struct {
		name       string
		size, sent int
		want       decision.Reason
	}{
		{"all but the last byte", 1000, 999, decision.DeadlineExceeded},
		{"all but the last byte of many", 1 << 20, 1<<20 - 1, decision.DeadlineExceeded},
		{"nothing", 1000, 0, decision.DeadlineExceeded},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := sendHalf(t, h, transport, row.size, row.sent); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
			h.takeRecord(t)
		})
	}
}

func TestHalfSentLargeChecks(t *testing.T) {
	h := newHop(t, changeLimits(func(l *limits.Limits) { l.Deadline = time.Hour }))
	transport := newCleartextTransport(t)
	answers := make(chan decision.Reason)
	for range 20 {
		go func() { answers <- sendHalf(t, h, transport, 17<<20, 20<<10) }()
	}
	for range 20 {
		if got := <-answers; got != decision.CheckTooLarge {
			t.Errorf("got %s", got)
		}
	}
}

// Messages that are too much together are shed, and those that were admitted before are decided.
func TestBytesInFlight(t *testing.T) {
	h := newHop(t, changeLimits(func(l *limits.Limits) { l.InFlightBytes, l.Deadline = 3*bytesize.MiB, time.Hour }))
	transport := newCleartextTransport(t)
	stop := make(chan struct{})
	for range 2 { // each holds a MiB until it is complete, and of what it sent as much again
		go func() {
			if response, err := postBody(t, h, transport, &halfMessage{beginMessage(1<<20, 400<<10), stop}); err == nil {
				_ = response.Body.Close()
			}
		}()
	}
	awaitBytes(t, h, func(held int64) bool { return held > 2<<20+700<<10 })
	if got := sendHalf(t, h, transport, 1<<20, 0); got != decision.Overloaded {
		t.Errorf("with no room for it: %s", got)
	}
	close(stop)
	awaitBytes(t, h, func(held int64) bool { return held == 0 })
	if got := reasonOf(h.sendCheck(t, nil)); got != decision.RuleAllowed {
		t.Errorf("with room again: %s", got)
	}
}

func awaitBytes(t *testing.T, h *hop, holds func(int64) bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(h.limiter.Usage().Bytes); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("held: %d", h.limiter.Usage().Bytes)
		}
	}
}

// More Checks than may be in flight get 503 at once. They are no outage, so onOutage does not apply.
func TestChecksAreShed(t *testing.T) {
	deciding, goOn := make(chan struct{}), make(chan struct{})
	h := newHop(t, changeLimits(func(l *limits.Limits) { l.InFlight, l.Deadline = 16, time.Hour }), func(c *check.Config) {
		policies := c.Decide.Policies
		c.Decide.Policies = func() *policy.Set {
			deciding <- struct{}{}
			<-goOn
			return policies()
		}
	})
	answers := make(chan decision.Reason)
	request := newCheck(t)
	ask := func() {
		answer, err := h.Check(t.Context(), request)
		if err != nil {
			t.Error(err)
		}
		answers <- reasonOf(answer)
	}
	for range 16 {
		go ask()
		<-deciding
	}
	go ask()
	<-deciding // its answer needs the generation of the policies
	close(goOn)
	got := map[decision.Reason]int{}
	for range 17 {
		got[<-answers]++
	}
	if want := map[decision.Reason]int{decision.RuleAllowed: 16, decision.Overloaded: 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A Check ends with its context.
func TestDeadlineWhileDeciding(t *testing.T) {
	for _, row := range []struct {
		name   string
		when   string // the time is over
		change func(*auth.CheckRequest)
		want   decision.Reason
	}{
		{"in time", "never", nil, decision.RuleAllowed},
		{"before the decision", "before", nil, decision.DeadlineExceeded},
		{"after an allow", "after", nil, decision.DeadlineExceeded},
		{"after a denial", "after", setPath("/tenants/umbrella/orders/7"), decision.NoRule},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var server *check.Server
			newHop(t, func(c *check.Config) {
				policies, now := c.Decide.Policies, c.Decide.Now
				c.Decide.Policies = func() *policy.Set {
					if row.when == "before" {
						cancel()
					}
					return policies()
				}
				c.Decide.Verifier = alwaysReturn(newVerifier(t, func() time.Time {
					if row.when == "after" {
						cancel()
					}
					return now()
				}))
				var err error
				if server, err = check.New(*c); err != nil {
					t.Fatal(err)
				}
			})
			request := newCheck(t)
			if row.change != nil {
				row.change(request)
			}
			answer, err := server.Check(ctx, request)
			if err != nil || reasonOf(answer) != row.want {
				t.Errorf("got %s, %v; want %s", reasonOf(answer), err, row.want)
			}
		})
	}
}

// A compressed message and an incomplete one are answered like an empty one.
func TestMessagesThatAreNone(t *testing.T) {
	h := newHop(t)
	transport := newCleartextTransport(t)
	for name, message := range map[string]string{
		"nothing": "", "half a prefix": "\x00\x00", "compressed": "\x01\x00\x00\x00\x01x", "cut off": "\x00\x00\x00\x00\x09\x0a\x07",
	} {
		t.Run(name, func(t *testing.T) {
			response, err := postBody(t, h, transport, strings.NewReader(message))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			answer, err := io.ReadAll(response.Body)
			if err != nil || !strings.Contains(string(answer), `"reason":"no_http"`) || response.Trailer.Get("grpc-status") != "0" {
				t.Errorf("got %q, %v, %v", answer, response.Trailer, err)
			}
			h.takeRecord(t)
		})
	}
}
