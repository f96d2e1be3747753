package ops_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/ops"
	"github.com/meshpass/meshpass/extauthz/internal/status"
)

type source struct {
	since  time.Time
	looked time.Time
	err    error
}

func (s *source) Since() time.Time  { return s.since }
func (s *source) Looked() time.Time { return s.looked }
func (s *source) Err() error        { return s.err }

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// never is a time of a last look that is not long ago while anybody runs this.
var never = noon.AddDate(100, 0, 0)

// process is what /readyz and /metrics of one process are served from.
type process struct {
	url            string
	jwks, policies *source
	ready          *ops.Readiness
	metrics        *ops.Metrics
	issuers        []ops.Issuer
	published      map[string]string // key sets
	audit          status.Audit
	limits         ops.Limits
	hangs          error // what the self-checks say
}

// selfChecks are those of a process.
type selfChecks struct{ *process }

func (c selfChecks) Err() error { return c.hangs }

func (selfChecks) Describe() []string { return []string{"self-check of sidecar: answered at noon"} }

func newProcess(t *testing.T) *process {
	t.Helper()
	p := &process{jwks: &source{since: noon, looked: never}, policies: &source{since: noon.Add(time.Hour), looked: never}, metrics: ops.NewMetrics(), limits: quarter}
	sources := ops.Sources{"jwks": p.jwks, "policies": p.policies}
	p.metrics.ShowSources(sources)
	issuers := func() []ops.Issuer { return p.issuers }
	p.metrics.ShowIssuers(issuers)
	trail := func() status.Audit { return p.audit }
	p.metrics.ShowAudit(trail)
	used := func() ops.Limits { return p.limits }
	p.metrics.ShowLimits(used)
	p.ready = ops.NewReadiness(selfChecks{p}, sources, issuers, trail, used)
	server := httptest.NewServer(ops.NewServer(p.ready, p.metrics, p.keys, p.report, slog.New(slog.DiscardHandler)).Handler)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *process) report() status.Report { return status.Report{State: p.ready.State()} }

func (p *process) get(t *testing.T, path string) (int, string) {
	t.Helper()
	answer, err := http.Get(p.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestReadiness(t *testing.T) {
	const (
		jwks     = "jwks: active since 2026-06-01T12:00:00Z"
		policies = "policies: active since 2026-06-01T13:00:00Z"
	)
	p := newProcess(t)
	for _, step := range []struct {
		name   string
		before func()
		status int
		body   string
	}{
		{"at the start", func() {}, 503, "not ready: starting\n" + jwks + "\n" + policies + "\n"},
		{"serving", p.ready.SetServing, 200, "ready\n" + jwks + "\n" + policies + "\n"},
		{"a change is refused", func() { p.policies.err = errors.New("a.yaml:1:2: wrong\nb.yaml:3:4: wrong") }, 200, "ready\n" + jwks + "\n" +
			policies + "; what should replace it is rejected:\n  a.yaml:1:2: wrong\n  b.yaml:3:4: wrong\n"},
		{"fixed", func() { p.policies.err = nil }, 200, "ready\n" + jwks + "\n" + policies + "\n"},
		{"stopping", p.ready.SetStopping, 503, "not ready: stopping\n" + jwks + "\n" + policies + "\n"},
	} {
		step.before()
		if status, body := p.get(t, "/readyz"); status != step.status || body != step.body {
			t.Errorf("%s: got %d\n%s", step.name, status, body)
		}
		if status, body := p.get(t, "/livez"); status != 200 || body != "alive\n" {
			t.Errorf("%s: livez: got %d, %s", step.name, status, body)
		}
		if _, body := p.get(t, "/status"); !strings.Contains(step.body, p.report().State+"\n") || !strings.Contains(body, `"state":"`+p.report().State+`"`) {
			t.Errorf("%s: status: got %s", step.name, body)
		}
	}
}

// An audit trail that is in trouble is shown to all who ask, and one that is well to those who ask for it; neither takes
// readiness back, for an authorizer that is not ready is no safer.
func TestReadinessTellsOfTheAuditTrail(t *testing.T) {
	all, half := 1.0, 0.5
	p := newProcess(t)
	p.ready.SetServing()
	usual := "ready\njwks: active since 2026-06-01T12:00:00Z\npolicies: active since 2026-06-01T13:00:00Z\n"
	limits := "checks in flight: 256 of 1024\nbytes in flight: 8388608 of 33554432\nhealth watches: 25 of 100\nfile descriptors: 300 of 1200\nconnections of sidecar: 250 of 1000\n" +
		"deadline of sidecar: 200ms, no timeout of Envoy was seen\n"
	lost := map[string]uint64{"queue_full": 30, "no_space": 8, "stopped": 0}
	for _, row := range []struct {
		name          string
		audit         status.Audit
		body, verbose string
	}{
		{"well", status.Audit{Output: "stdout", Limit: 8 << 20, Waits: 0.1}, "", "audit: stdout, 0 of 8388608 bytes wait, lost none, suppressed 0\n"},
		{"lost before", status.Audit{Output: "stdout", Limit: 9, Lost: lost, Suppressed: 4}, "", "audit: stdout, 0 of 9 bytes wait, lost 8 no_space, 30 queue_full, suppressed 4\n"},
		{"hangs", status.Audit{Output: "stdout", Bytes: 9, Limit: 9, Waits: 61.2},
			"audit: stdout, 9 of 9 bytes wait, lost none, suppressed 0\n  audit: nothing was written to stdout for 61 s: its reader or disk hangs\n", ""},
		{"fails", status.Audit{Output: "audit.jsonl", Limit: 9, Problem: "no space left on device"},
			"audit: audit.jsonl, 0 of 9 bytes wait, lost none, suppressed 0\n  audit: the last write to audit.jsonl failed: no space left on device\n", ""},
		{"all settings", status.Audit{Output: "stdout", Limit: 9, Required: true, SampleAllowed: &all, Mask: []string{"sub", "path"}}, "",
			"audit: stdout, 0 of 9 bytes wait, lost none, suppressed 0, required, masked sub path\n"},
		{"sampled", status.Audit{Output: "stdout", Limit: 9, SampleAllowed: &half, Sampled: 7}, "",
			"audit: stdout, 0 of 9 bytes wait, lost none, suppressed 0, sampleAllowed 0.5 left out 7\n"},
		{"chain", status.Audit{Output: "stdout", Limit: 9, Chain: &status.AuditChain{ID: "c1", Key: "k1", Checkpoint: 60, Lines: 9, Uncovered: 2, LastCheckpoint: noon, Age: 65, Waits: 65}}, "",
			"audit: stdout, 0 of 9 bytes wait, lost none, suppressed 0\naudit chain: c1, lines 9, last checkpoint 1m5s ago, 2 lines since, failed checkpoints 0, key k1\n"},
		{"a chain without checkpoints", status.Audit{Output: "stdout", Limit: 9, Chain: &status.AuditChain{ID: "c1", Key: "k1", Checkpoint: 60, Waits: 65.1, Failed: 3}},
			"audit: stdout, 0 of 9 bytes wait, lost none, suppressed 0\naudit chain: c1, lines 0, no checkpoint yet, 0 lines since, failed checkpoints 3, key k1\n" +
				"  audit chain: no checkpoint for 1m5s, with checkpoint: 1m0s: the lines since the last one can be changed without a trace (checkpoints that could not be written: 3)\n", ""},
		{"hangs, and records are required", status.Audit{Output: "stdout", Bytes: 9, Limit: 9, Waits: 61.2, Required: true},
			"audit: stdout, 9 of 9 bytes wait, lost none, suppressed 0, required\n  audit: nothing was written to stdout for 61 s: its reader or disk hangs; records are required, so requests are not allowed (503 audit_unavailable)\n", ""},
		{"fails, and records are required", status.Audit{Output: "audit.jsonl", Limit: 9, Problem: "no space left on device", Required: true},
			"audit: audit.jsonl, 0 of 9 bytes wait, lost none, suppressed 0, required\n  audit: the last write to audit.jsonl failed: no space left on device; records are required, so requests are not allowed (503 audit_unavailable)\n", ""},
	} {
		p.audit = row.audit
		if row.verbose == "" {
			row.verbose = row.body
		}
		for path, want := range map[string]string{"/readyz": usual + row.body, "/readyz?verbose": usual + limits + row.verbose} {
			if path == "/readyz?verbose" {
				want += "self-check of sidecar: answered at noon\n"
			}
			if code, body := p.get(t, path); code != 200 || body != want {
				t.Errorf("%s, %s: got %d\n%s", row.name, path, code, body)
			}
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	p := newProcess(t)
	for _, path := range []string{"/", "/debug/pprof/", "/metrics/", "/readyz/x"} {
		if status, _ := p.get(t, path); status != 404 {
			t.Errorf("%s: got %d", path, status)
		}
	}
	answer, err := http.Post(p.url+"/readyz", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 405 {
		t.Errorf("POST: got %d", answer.StatusCode)
	}
}
