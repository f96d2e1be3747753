package decide_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
	"github.com/meshpass/meshpass/shared/token"
)

// now is the time of every question in these tests. Its answer takes a millisecond.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const document = `
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: orders}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  public:
    - {methods: [GET], paths: [/healthz]}
  rules:
    - name: read-own-tenant
      effect: allow
      from: {workloads: [ns/edge/sa/tyk-gateway]}
      to: {methods: [GET], paths: ["/tenants/{tenant}/orders"]}
      when: claims.tctx.tenant == path.tenant
`

type countingMeter struct{ decided, missing int32 }

func (m *countingMeter) Decided(context.Context, decision.Decision, time.Duration) {
	atomic.AddInt32(&m.decided, 1)
}
func (m *countingMeter) TokenMissing(identity.Workload, identity.Workload) {
	atomic.AddInt32(&m.missing, 1)
}

// listener is a Decider with what it writes.
type listener struct {
	*decide.Decider
	records *audittest.Buffer
	log     bytes.Buffer
	meter   countingMeter
}

func newListener(t testing.TB, changes ...func(*decide.Config)) *listener {
	t.Helper()
	set, err := source.Loader{}.Load(source.Dir{Name: "policies", Files: fstest.MapFS{"orders.yaml": {Data: []byte(document)}}})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := token.NewVerifier([]token.Trust{tokentest.TrustEntry(t)}, tokentest.Domains, token.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{records: audittest.NewBuffer(t, audit.Options{Now: func() time.Time { return now }})}
	config := decide.Config{
		Listener: "sidecar", TokenFailure: 403,
		Peers:    decide.Peers{Caller: decide.CallerByPrincipal(tokentest.Domains), Callee: decide.CalleeByPrincipal(tokentest.Domains)},
		Verifier: func() *token.Verifier { return verifier }, Policies: func() *policy.Set { return set },
		Audit: l.records.Log, Meter: &l.meter, Log: slog.New(slog.NewJSONHandler(&l.log, nil)),
		Now: func() time.Time { return now.Add(time.Millisecond) },
	}
	for _, change := range changes {
		change(&config)
	}
	if l.Decider, err = decide.New(config); err != nil {
		t.Fatal(err)
	}
	return l
}

// newQuestion asks for alice, with a valid token of her tenant, and more headers.
func newQuestion(t testing.TB, path string, headers ...decide.Field) decide.Question {
	t.Helper()
	http := &decide.HTTP{Method: "GET", Path: path, Host: "orders.shop", Headers: decide.NewHeaders(1)}
	http.Headers.Add("txn-token", tokentest.ValidToken(t, now))
	for _, header := range headers {
		http.Headers.Add(header.Name, header.Value)
	}
	return decide.Question{Received: now, Request: &decide.Request{
		Source:      "spiffe://cluster.local/ns/edge/sa/tyk-gateway",
		Destination: "spiffe://cluster.local/ns/shop/sa/orders", Address: "10.0.0.7", Port: 8080, HTTP: http,
	}}
}

func (l *listener) takeRecord(t *testing.T) map[string]any {
	t.Helper()
	var record map[string]any
	if line := l.records.TakeRecords(); strings.Count(line, "\n") != 1 || json.Unmarshal([]byte(line), &record) != nil {
		t.Fatalf("want one record, got %q", line)
	}
	return record
}

// The complete answer, with its record.
func TestDecide(t *testing.T) {
	user, err := decide.NewIdentityHeader("x-meshpass-user", "sub")
	if err != nil {
		t.Fatal(err)
	}
	l := newListener(t, func(c *decide.Config) { c.IdentityHeaders = decide.IdentityHeaders{user} })
	const txn = "0197a1b2-0000-7000-8000-000000000001"
	problem := []decide.Field{{Name: "content-type", Value: "application/problem+json"}}
	for _, row := range []struct {
		name     string
		question decide.Question
		want     decide.Answer
		allowed  bool
	}{
		{"allowed", newQuestion(t, "/tenants/acme/orders?all=1", decide.Field{Name: "X-Meshpass-Role", Value: "root"}), decide.Answer{
			Decision:   decision.Decision{Reason: decision.RuleAllowed, Policy: "orders", Folder: "policies", Rule: "read-own-tenant"},
			SetHeaders: []decide.Field{{Name: "x-meshpass-user", Value: "idp:alice"}}, RemoveHeaders: []string{"X-Meshpass-Role", "x_meshpass_user"},
			Metadata: []decide.Field{
				{Name: "reason", Value: "rule_allowed"}, {Name: "policy", Value: "orders"}, {Name: "folder", Value: "policies"}, {Name: "rule", Value: "read-own-tenant"},
				{Name: "txn", Value: txn}, {Name: "sub", Value: "idp:alice"},
			},
		}, true},
		{"denied", newQuestion(t, "/tenants/umbrella/orders"), decide.Answer{
			Decision: decision.Deny(decision.NoRule), Status: 403, Headers: problem,
			Body:     `{"type":"about:blank","title":"Forbidden","status":403,"reason":"no_rule","txn":"` + txn + `"}`,
			Metadata: []decide.Field{{Name: "reason", Value: "no_rule"}, {Name: "txn", Value: txn}, {Name: "sub", Value: "idp:alice"}},
		}, false},
		{"the zero question", decide.Question{}, decide.Answer{
			Decision: decision.Deny(decision.NoHTTP), Status: 403, Headers: problem,
			Body:     `{"type":"about:blank","title":"Forbidden","status":403,"reason":"no_http"}`,
			Metadata: []decide.Field{{Name: "reason", Value: "no_http"}},
		}, false},
		{"nothing but a reason", decide.Question{Received: now, Deny: decision.Overloaded}, decide.Answer{
			Decision: decision.Deny(decision.Overloaded), Status: 503, Headers: problem,
			Body:     `{"type":"about:blank","title":"Service Unavailable","status":503,"reason":"overloaded"}`,
			Metadata: []decide.Field{{Name: "reason", Value: "overloaded"}},
		}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := l.Decide(t.Context(), row.question)
			record := l.takeRecord(t)
			if len(got.Metadata) == 0 || got.Metadata[0] != (decide.Field{Name: "decision_id", Value: record["id"].(string)}) {
				t.Errorf("metadata %v of the record %v", got.Metadata, record["id"])
			}
			got.Metadata = got.Metadata[1:]
			if diff := cmp.Diff(row.want, got, cmpopts.EquateEmpty()); diff != "" || got.Decision.Allowed() != row.allowed {
				t.Errorf("allowed: %v; -want +got\n%s", got.Decision.Allowed(), diff)
			}
			if record["reason"] != string(row.want.Decision.Reason) || record["listener"] != "sidecar" {
				t.Errorf("record: %v", record)
			}
		})
	}
	if l.meter.decided != 4 || l.meter.missing != 0 {
		t.Errorf("counted %+v", l.meter)
	}
}

// A question without a request is denied, also if the listener knows its callee by configuration.
func TestNothingIsRecordedOfAnUnreadRequest(t *testing.T) {
	l := newListener(t, func(c *decide.Config) {
		c.Peers = decide.Peers{NoCaller: true, Callee: decide.CalleeNamed("gateway/ingress")}
	})
	for _, q := range []decide.Question{{}, {Received: now, Deny: decision.ClientRefused}} {
		if answer := l.Decide(t.Context(), q); answer.Decision.Allowed() {
			t.Errorf("%+v: got %+v", q, answer)
		}
		if record := l.takeRecord(t); record["callee"] != nil || record["method"] != nil {
			t.Errorf("%+v: recorded %v", q, record)
		}
	}
}

// A question that has a reason to be denied is denied, even if its request would be allowed.
func TestDenyIsNeverLifted(t *testing.T) {
	l := newListener(t)
	for _, reason := range decision.Reasons() {
		q := newQuestion(t, "/healthz")
		q.Deny = reason
		if answer := l.Decide(t.Context(), q); answer.Decision.Allowed() || answer.Status < 400 {
			t.Errorf("%s: got %+v", reason, answer)
		}
		if record := l.takeRecord(t); record["decision"] != "deny" || record["path"] != "/healthz" {
			t.Errorf("%s: recorded %v", reason, record)
		}
	}
}

// A panic is answered with a denial: with a record if the request causes it, and without one
// if no record can be made.
func TestPanicIsDenied(t *testing.T) {
	const body = `{"type":"about:blank","title":"Internal Server Error","status":500,"reason":"panic"}`
	for _, row := range []struct {
		name    string
		change  func(*decide.Config)
		records int
	}{
		{"in a decision", func(c *decide.Config) {
			c.Peers.Callee = func(*decide.Request) (identity.Workload, error) { panic("secret input") }
		}, 1},
		{"beside it", func(c *decide.Config) { c.Policies = func() *policy.Set { panic("secret input") } }, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			l := newListener(t, row.change)
			answer := l.Decide(t.Context(), newQuestion(t, "/healthz"))
			if answer.Decision != decision.Deny(decision.Panic) || answer.Status != 500 || answer.Body != body {
				t.Errorf("got %+v", answer)
			}
			if got := strings.Count(l.records.TakeRecords(), "\n"); got != row.records {
				t.Errorf("got %d records", got)
			}
			if log := l.log.String(); !strings.Contains(log, `"kind":"explicit"`) || strings.Contains(log, "secret input") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// brokenSink fails each write until it is repaired.
type brokenSink struct {
	mu     sync.Mutex
	broken bool
	text   strings.Builder
}

func (s *brokenSink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return 0, syscall.ENOSPC
	}
	return s.text.Write(line)
}

func (s *brokenSink) set(broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = broken
}

// Where records are required, an allow without a record is a denial: 503, with a record of its own that has the same id.
// Denials are as they were. Once records can be written, requests are allowed again.
func TestAnAllowWithoutItsRequiredRecord(t *testing.T) {
	sink := &brokenSink{broken: true}
	records := audit.New(sink, audit.Options{Settings: audit.Settings{Required: true}, Now: func() time.Time { return now }})
	l := newListener(t, func(c *decide.Config) { c.Audit = records })
	answer := l.Decide(t.Context(), newQuestion(t, "/tenants/acme/orders"))
	const txn = "0197a1b2-0000-7000-8000-000000000001"
	want := decide.Answer{
		Decision: decision.Deny(decision.AuditUnavailable), Status: 503, Headers: []decide.Field{{Name: "content-type", Value: "application/problem+json"}},
		Body:     `{"type":"about:blank","title":"Service Unavailable","status":503,"reason":"audit_unavailable","txn":"` + txn + `"}`,
		Metadata: []decide.Field{answer.Metadata[0], {Name: "reason", Value: "audit_unavailable"}, {Name: "txn", Value: txn}, {Name: "sub", Value: "idp:alice"}},
	}
	if diff := cmp.Diff(want, answer, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if answer := l.Decide(t.Context(), newQuestion(t, "/tenants/umbrella/orders")); answer.Decision != decision.Deny(decision.NoRule) {
		t.Errorf("a denial: got %+v", answer)
	}
	if err := records.Flush(t.Context()); err != nil || records.Stats().Lost[logqueue.NoSpace] != 3 {
		t.Errorf("%v, %+v", err, records.Stats())
	}
	sink.set(false)
	allowed := l.Decide(t.Context(), newQuestion(t, "/tenants/acme/orders"))
	if err := records.Close(t.Context()); err != nil || !allowed.Decision.Allowed() {
		t.Errorf("afterwards: %v, %+v", err, allowed)
	}
	audittest.CheckLines(t, sink.text.String())
	first, _, _ := strings.Cut(sink.text.String(), "\n")
	if !strings.Contains(first, `"id":"`+allowed.Metadata[0].Value+`"`) || !strings.Contains(first, `"decision":"allow"`) {
		t.Errorf("the record of the allow: %s", first)
	}
	if l.meter.decided != 3 {
		t.Errorf("counted %+v", l.meter)
	}
}

// A reader that hangs ends an allow with its time, and no denial. What is recorded then is the denial alone.
func TestARequiredRecordEndsWithTheDeadline(t *testing.T) {
	sink := &hangingSink{begun: make(chan struct{}), free: make(chan struct{})}
	records := audit.New(sink, audit.Options{Settings: audit.Settings{Required: true}, Now: func() time.Time { return now }})
	l := newListener(t, func(c *decide.Config) { c.Audit = records })
	if answer := l.Decide(t.Context(), newQuestion(t, "/tenants/umbrella/orders")); answer.Decision != decision.Deny(decision.NoRule) {
		t.Errorf("a denial: got %+v", answer)
	}
	<-sink.begun // the writer hangs on the denial's record
	ctx, end := context.WithCancel(t.Context())
	answers := make(chan decide.Answer)
	go func() { answers <- l.Decide(ctx, newQuestion(t, "/tenants/acme/orders")) }()
	for records.Stats().Queued < 2 { // until the allow waits
		runtime.Gosched()
	}
	end()
	answer := <-answers
	if answer.Decision != decision.Deny(decision.AuditUnavailable) || answer.Status != 503 {
		t.Errorf("got %+v", answer)
	}
	close(sink.free)
	if err := records.Close(t.Context()); err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(sink.text.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[1], `"id":"`+answer.Metadata[0].Value+`"`) || !strings.Contains(lines[1], `"decision":"deny","reason":"audit_unavailable"`) {
		t.Errorf("got %q", lines)
	}
	audittest.CheckLines(t, sink.text.String())
}

// hangingSink holds each write until it is released.
type hangingSink struct {
	begun, free chan struct{}
	once        sync.Once
	text        strings.Builder
}

func (s *hangingSink) Write(line []byte) (int, error) {
	s.once.Do(func() { close(s.begun) })
	<-s.free
	return s.text.Write(line)
}

// The record of a denial for want of a record keeps the names of inputs that were too long.
func TestTheDenialKeepsWhatIsUnrecorded(t *testing.T) {
	sink := &failFirst{}
	records := audit.New(sink, audit.Options{Settings: audit.Settings{Required: true}, Now: func() time.Time { return now }})
	set, err := source.Loader{}.Load(source.Dir{Name: "policies", Files: fstest.MapFS{"orders.yaml": {Data: []byte(strings.Replace(document,
		"path.tenant", `path.tenant && request.headers["x-note"] != ""`, 1))}}})
	if err != nil {
		t.Fatal(err)
	}
	l := newListener(t, func(c *decide.Config) { c.Audit, c.Policies = records, func() *policy.Set { return set } })
	note := decide.Field{Name: "x-note", Value: strings.Repeat("n", audit.MaxInput+1)}
	if answer := l.Decide(t.Context(), newQuestion(t, "/tenants/acme/orders", note)); answer.Decision != decision.Deny(decision.AuditUnavailable) {
		t.Errorf("got %+v", answer)
	}
	if err := records.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if line, _, _ := strings.Cut(sink.text.String(), "\n"); !strings.Contains(line, `"inputs":{"claims.tctx.tenant":"acme"},"unrecorded":["request.headers.x-note"]`) {
		t.Errorf("got %s", line)
	}
}

// failFirst fails its first write.
type failFirst struct {
	failed bool
	text   strings.Builder
}

func (s *failFirst) Write(line []byte) (int, error) {
	if !s.failed {
		s.failed = true
		return 0, syscall.ENOSPC
	}
	return s.text.Write(line)
}

// BenchmarkDecide compares audit records that an allow waits for with those that it does not wait for. Both go to a file.
// The decision is the cheapest one, without a token, so that the record costs the largest part.
func BenchmarkDecide(b *testing.B) {
	for _, required := range []bool{false, true} {
		b.Run(fmt.Sprintf("required=%t", required), func(b *testing.B) {
			file, err := logqueue.OpenFile(filepath.Join(b.TempDir(), "audit.jsonl"))
			if err != nil {
				b.Fatal(err)
			}
			records := audit.New(file, audit.Options{Settings: audit.Settings{Required: required, Queue: 1 << 30}})
			l := newListener(b, func(c *decide.Config) { c.Audit = records })
			question := newQuestion(b, "/healthz")
			b.SetParallelism(32) // an authorizer decides many Checks at one time
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if answer := l.Decide(b.Context(), question); !answer.Decision.Allowed() {
						b.Error(answer.Decision)
					}
				}
			})
			if err := records.Close(b.Context()); err != nil { // the records that no allow waited for count too
				b.Fatal(err)
			}
		})
	}
}

// A decision ends with its context.
func TestEndedContextIsDenied(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	if answer := newListener(t).Decide(ended, newQuestion(t, "/healthz")); answer.Decision != decision.Deny(decision.DeadlineExceeded) {
		t.Errorf("got %+v", answer)
	}
}

// Headers with one name are kept apart, with reserved room and without.
func TestHeaders(t *testing.T) {
	for size := range 4 {
		headers := decide.NewHeaders(size)
		if size == 0 {
			headers = decide.Headers{}
		}
		for _, value := range []string{"1", "2", "3"} {
			headers.Add("X-A", "a"+value)
			headers.Add("x-b", "b"+value)
		}
		headers.Add("x-c", "c")
		reading := decide.ReadRequest(&decide.Request{HTTP: &decide.HTTP{Headers: headers}},
			decide.Peers{NoCaller: true, Callee: decide.CalleeNamed("gateway/ingress")}, now)
		want := map[string]string{"x-a": "a1,a2,a3", "x-b": "b1,b2,b3", "x-c": "c"}
		if diff := cmp.Diff(want, reading.Request.Headers); diff != "" {
			t.Errorf("room for %d: -want +got\n%s", size, diff)
		}
	}
}

// The package can be linked into a proxy's module: it does not import Envoy's protos or gRPC,
// and only the expressions of package policy (CEL) import protobuf.
func TestNoProtosAndNoGRPC(t *testing.T) {
	format := `{{range .Imports}}{{$.ImportPath}} {{.}}` + "\n" + `{{end}}`
	output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", format, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(output)) {
		importer, imported, _ := strings.Cut(strings.TrimSpace(line), " ")
		seen++
		for _, forbidden := range []string{"google.golang.org/grpc", "github.com/envoyproxy/", "github.com/cncf/xds"} {
			if strings.HasPrefix(imported, forbidden) {
				t.Errorf("%s imports %s", importer, imported)
			}
		}
		ours := strings.HasPrefix(importer, "github.com/meshpass/meshpass/")
		policies := strings.HasPrefix(importer, "github.com/meshpass/meshpass/shared/policy")
		if ours && !policies && strings.HasPrefix(imported, "google.golang.org/") {
			t.Errorf("%s imports %s", importer, imported)
		}
	}
	if seen < 100 {
		t.Errorf("only %d imports were listed", seen)
	}
}
