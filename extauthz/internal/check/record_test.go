package check_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/policy/source"
)

func TestRecord(t *testing.T) {
	h := newHop(t)
	h.sendCheck(t, setHeaders("x-region", "eu"))
	got := h.takeRecord(t)
	if id, _ := got["id"].(string); len(id) != 36 {
		t.Errorf("id: got %v", got["id"])
	}
	delete(got, "id")
	want := map[string]any{
		"time": "2026-11-22T12:00:00Z", "kind": "check", "listener": "sidecar",
		"txn": txn, "sub": "idp:alice", "iss": tokentest.Issuer,
		"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "request_id": "5d7d0f0e-4a8c-9d3b-a3f4-0d3f6e1f2a11",
		"caller": "ns/edge/sa/tyk-gateway", "callee": "ns/shop/sa/orders",
		"method": "GET", "path": "/tenants/acme/orders/7", "host": "orders.shop.svc.cluster.local:8080",
		"decision": "allow", "reason": "rule_allowed", "policy": "orders", "folder": "policies", "rule": "read-own-tenant",
		"duration_us": 0.0, "generation": loadPolicies(t).Generation(),
		"inputs": map[string]any{"claims.scope": "orders.read", "claims.tctx.tenant": "acme", "request.headers.x-region": "eu", "request.no_caller": false, "request.port": 8080.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A decision in shadow is recorded beside the enforced one, and does not change it.
func TestRecordOfWhatIsInShadow(t *testing.T) {
	set, err := source.Loader{}.Load(source.OSDir("testdata/policies"), source.OSDir("testdata/shadow"))
	if err != nil {
		t.Fatal(err)
	}
	h := newHop(t, func(c *check.Config) { c.Decide.Policies = alwaysReturn(set) })
	h.sendCheck(t, func(*auth.CheckRequest) {})
	record := h.takeRecord(t)
	if diff := cmp.Diff([]any{"deny rule_denied new-rules/not-yet"}, record["shadow"]); diff != "" || record["decision"] != "allow" {
		t.Errorf("%v: -want +got\n%s", record["decision"], diff)
	}
}

func TestRecordBoundsWhatClientsChoose(t *testing.T) {
	h := newHop(t)
	long := strings.Repeat("é", 5000)
	h.sendCheck(t, applyAll(setPath("/"+long), setHeaders("x-request-id", long, "x-region", long, "traceparent", long), func(r *auth.CheckRequest) {
		r.Attributes.Request.Http.Method = long
		r.Attributes.Request.Http.Host = long
	}))
	record := h.takeRecord(t)
	for field, most := range map[string]int{"path": 2048, "request_id": 128, "method": 32, "host": 256} {
		text, _ := record[field].(string)
		if len(text) > most || len(text) < most-2 || !strings.HasSuffix(text, "é…") {
			t.Errorf("%s: got %d bytes, ending in %q", field, len(text), text[max(0, len(text)-8):])
		}
	}
	if cmp.Diff([]any{"request.headers.x-region"}, record["unrecorded"]) != "" {
		t.Errorf("unrecorded: got %v", record["unrecorded"])
	}
	if record["trace_id"] != nil || strings.Contains(cmp.Diff(nil, record["inputs"]), "x-region") {
		t.Errorf("got trace_id %v, inputs %v", record["trace_id"], record["inputs"])
	}
}

func TestTraceparent(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	h := newHop(t)
	for header, want := range map[string]any{
		"00-" + id + "-00f067aa0ba902b7-01":                      id,
		"cc-" + id + "-00f067aa0ba902b7-01-later":                id,
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01": nil,
		"00-" + id[:31] + "g-00f067aa0ba902b7-01":                nil,
		"00-" + id: nil,
		"":         nil,
	} {
		h.sendCheck(t, setHeaders("traceparent", header))
		if got := h.takeRecord(t)["trace_id"]; got != want {
			t.Errorf("%q: got %v, want %v", header, got, want)
		}
	}
}

// hangingWriter is standard output whose reader has stopped.
type hangingWriter struct{ free chan struct{} }

func (h hangingWriter) Write(line []byte) (int, error) {
	<-h.free
	return len(line), nil
}

// No Check waits for the audit trail: neither for a reader that hangs nor for room in the queue.
func TestNoCheckWaitsForItsRecord(t *testing.T) {
	stdout := hangingWriter{make(chan struct{})}
	defer close(stdout.free)
	records := audit.New(stdout, audit.Options{Settings: audit.Settings{Queue: 2000}})
	h := newHop(t, func(c *check.Config) { c.Decide.Audit = records })
	for i := range 20 {
		if got := outcomeOf(h.sendCheck(t, nil)); got.status != 200 {
			t.Errorf("Check %d: got %+v", i, got)
		}
		if got := outcomeOf(h.sendCheck(t, withoutHeader("txn-token"))); got.status != 403 {
			t.Errorf("Check %d without a token: got %+v", i, got)
		}
	}
	if s := records.Stats(); s.Queued == 0 || s.Bytes > 2000 || s.Lost[logqueue.QueueFull] != 40-uint64(s.Queued) {
		t.Errorf("got %+v", s)
	}
}

// Denials that anyone can cause are recorded under a limit. A denial of a known caller is always
// recorded.
func TestAnonymousDenialsAreRecordedUnderALimit(t *testing.T) {
	h := newHop(t)
	for range 250 {
		h.sendCheck(t, withoutHeader("txn-token"))
		h.sendCheck(t, setPath("/tenants/umbrella/orders/7"))
	}
	if n, s := strings.Count(h.records.TakeRecords(), `"kind":"check"`), h.records.Log.Stats(); n != 200+250 || s.Suppressed != 50 {
		t.Errorf("got %d records, suppressed %d", n, s.Suppressed)
	}
}

// The text of a token is in no log and no record, valid or not.
func TestNoTokenInLogsOrRecords(t *testing.T) {
	h := newHop(t)
	valid := tokentest.ValidToken(t, now)
	parts := strings.Split(valid, ".")
	for _, raw := range []string{valid, valid + "," + valid, valid + "!", parts[0] + "." + parts[1] + "." + parts[2][1:] + "A"} {
		h.sendCheck(t, setHeaders("txn-token", raw))
	}
	written := h.records.String() + h.log.String()
	for _, part := range parts {
		if strings.Contains(written, part[:20]) {
			t.Errorf("a part of the token is in\n%s", written)
		}
	}
}

func TestConcurrentChecks(t *testing.T) {
	h := newHop(t)
	request := newCheck(t)
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			if answer, err := h.Check(t.Context(), request); err != nil || answer.GetStatus().GetCode() != int32(codes.OK) {
				t.Errorf("got %v, %v", answer, err)
			}
		})
	}
	callers.Wait()
	if got := strings.Count(h.records.String(), "\n"); got != 50 {
		t.Errorf("got %d records", got)
	}
}

// Missing tokens are counted by caller and callee, to find the service that drops the header.
func TestMissingTokensNameTheirCaller(t *testing.T) {
	h := newHop(t)
	h.sendCheck(t, nil)
	h.sendCheck(t, setHeaders("txn-token", "a.b.c"))
	h.sendCheck(t, withoutHeader("txn-token"))
	want := []string{"ns/edge/sa/tyk-gateway ns/shop/sa/orders"}
	if !slices.Equal(h.meter.missing, want) {
		t.Errorf("got %q, want %q", h.meter.missing, want)
	}
}
