package check_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// The complete response to Envoy, for each kind of answer.
func TestAnswers(t *testing.T) {
	const problemJSON = "content-type: application/problem+json\n"
	rows := []struct {
		name   string
		change func(*auth.CheckRequest)
		code   codes.Code
		want   outcome
	}{
		{"allow", nil, codes.OK, outcome{status: 200}},
		{"allow without a verified token", setPath("/healthz"), codes.OK, outcome{status: 200, removed: "txn-token"}},
		{"deny", setPath("/tenants/umbrella/orders/7"), codes.PermissionDenied, outcome{
			status: 403, headers: problemJSON,
			body: `{"type":"about:blank","title":"Forbidden","status":403,"reason":"no_rule","txn":"` + txn + `"}`,
		}},
		{"a bad token", setHeaders("txn-token", "junk"), codes.Unauthenticated, outcome{
			status: 403, headers: problemJSON,
			body: `{"type":"about:blank","title":"Forbidden","status":403,"reason":"token_format"}`,
		}},
	}
	h := newHop(t)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			answer := h.sendCheck(t, r.change)
			if got := outcomeOf(answer); got != r.want {
				t.Errorf("got %+v\nwant %+v", got, r.want)
			}
			if got := codes.Code(answer.GetStatus().GetCode()); got != r.code {
				t.Errorf("got %v, want %v", got, r.code)
			}
			h.takeRecord(t)
		})
	}
}

// A listener may answer token failures with 401. A denial by a rule stays 403.
func TestTokenFailure401(t *testing.T) {
	h := newHop(t, func(c *check.Config) { c.Decide.TokenFailure = 401 })
	want := outcome{
		status: 401, headers: "content-type: application/problem+json\nwww-authenticate: Txn-Token error=\"token_missing\"\n",
		body: `{"type":"about:blank","title":"Unauthorized","status":401,"reason":"token_missing"}`,
	}
	if got := outcomeOf(h.sendCheck(t, withoutHeader("txn-token"))); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := outcomeOf(h.sendCheck(t, setPath("/tenants/umbrella/orders/7"))); got.status != 403 {
		t.Errorf("no_rule: got %d, want 403", got.status)
	}
}

func TestPanicDenies(t *testing.T) {
	rows := []struct {
		name, kind string
		clock      func() time.Time
	}{
		{"explicit", "explicit", func() time.Time { panic("secret input") }},
		{"runtime", "runtime error: index out of range [0] with length 0", func() time.Time { var none []time.Time; return none[len(none)] }},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			h := newHop(t, func(c *check.Config) { c.Decide.Verifier = alwaysReturn(newVerifier(t, r.clock)) })
			checkRow{"", nil, 500, decision.Panic, "", map[string]any{"callee": "ns/shop/sa/orders", "txn": nil}}.testRow(t, h)
			if log := h.log.String(); !strings.Contains(log, `"kind":"`+r.kind+`"`) || strings.Contains(log, "secret input") {
				t.Errorf("log: %s", log)
			}
			checkRow{"", setPath("/healthz"), 200, decision.Public, "txn-token", nil}.testRow(t, h) // and it goes on
			if got := strings.Join(h.meter.decided, ", "); got != "deny panic, allow public" {
				t.Errorf("counted: %s", got)
			}
		})
	}
}

// bytesAsMessage sends bytes unchanged in place of a message.
type bytesAsMessage struct{ encoding.CodecV2 }

func (bytesAsMessage) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func TestUndecodableChecks(t *testing.T) {
	h := newHop(t)
	codec := grpc.ForceCodecV2(bytesAsMessage{encoding.GetCodecV2(protocodec.Name)})
	for name, message := range map[string]string{
		"not protobuf":      "GET / HTTP/1.1\r\n\r\n",
		"cut off":           "\x0a\xff\x01",
		"a path, not UTF-8": "\x0a\x0a\x22\x08\x12\x06\x22\x04/a\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			var answer auth.CheckResponse
			if err := h.conn.Invoke(t.Context(), auth.Authorization_Check_FullMethodName, []byte(message), &answer, codec); err != nil {
				t.Fatalf("a gRPC error: %v", err)
			}
			if got := outcomeOf(&answer); got.status != 403 || !strings.Contains(got.body, `"reason":"no_http"`) {
				t.Errorf("got %+v", got)
			}
			h.takeRecord(t)
		})
	}
}

func TestNewRejectsAMissingPart(t *testing.T) {
	if _, err := check.New(check.Config{}); !errors.Is(err, decide.ErrIncomplete) {
		t.Errorf("got %v", err)
	}
	complete := check.Config{}
	newHop(t, func(c *check.Config) { complete = *c })
	for _, row := range []struct {
		name   string
		want   error
		remove func(*check.Config)
	}{
		{"listener", decide.ErrIncomplete, func(c *check.Config) { c.Decide.Listener = "" }},
		{"token failure", decide.ErrIncomplete, func(c *check.Config) { c.Decide.TokenFailure = 0 }},
		{"caller", decide.ErrIncomplete, func(c *check.Config) { c.Decide.Peers.Caller = nil }},
		{"callee", decide.ErrIncomplete, func(c *check.Config) { c.Decide.Peers.Callee = nil }},
		{"a caller's name where none can be", decide.ErrIncomplete, func(c *check.Config) { c.Decide.Peers.NoCaller = true }},
		{"verifier", decide.ErrIncomplete, func(c *check.Config) { c.Decide.Verifier = nil }},
		{"policies", decide.ErrIncomplete, func(c *check.Config) { c.Decide.Policies = nil }},
		{"admission", check.ErrIncomplete, func(c *check.Config) { c.Admit = nil }},
		{"audit", decide.ErrIncomplete, func(c *check.Config) { c.Decide.Audit = nil }},
		{"limiter", check.ErrIncomplete, func(c *check.Config) { c.Limiter = nil }},
		{"meter", decide.ErrIncomplete, func(c *check.Config) { c.Decide.Meter = nil }},
		{"log", decide.ErrIncomplete, func(c *check.Config) { c.Decide.Log = nil }},
		{"clock", decide.ErrIncomplete, func(c *check.Config) { c.Decide.Now = nil }},
	} {
		config := complete
		row.remove(&config)
		if _, err := check.New(config); !errors.Is(err, row.want) {
			t.Errorf("without %s: got %v", row.name, err)
		}
	}
}

// A Check is answered even if no snapshot of the policies is there.
func TestPanicBesideTheCheckDenies(t *testing.T) {
	h := newHop(t, func(c *check.Config) { c.Decide.Policies = func() *policy.Set { panic("gone") } })
	answer := h.sendCheck(t, nil)
	want := outcome{
		status: 500, headers: "content-type: application/problem+json\n",
		body: `{"type":"about:blank","title":"Internal Server Error","status":500,"reason":"panic"}`,
	}
	if got := outcomeOf(answer); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
