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

	"github.com/meshpass/meshpass/extauthz/ops"
	"github.com/meshpass/meshpass/extauthz/status"
)

type source struct {
	since time.Time
	err   error
}

func (s *source) Since() time.Time { return s.since }
func (s *source) Err() error       { return s.err }

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// process is what /readyz and /metrics of one process are served from.
type process struct {
	url            string
	jwks, policies *source
	ready          *ops.Readiness
	metrics        *ops.Metrics
	issuers        []ops.Issuer
	published      map[string]string // key sets
}

func newProcess(t *testing.T) *process {
	t.Helper()
	p := &process{jwks: &source{since: noon}, policies: &source{since: noon.Add(time.Hour)}, metrics: ops.NewMetrics()}
	sources := ops.Sources{"jwks": p.jwks, "policies": p.policies}
	p.metrics.Watch(sources)
	issuers := func() []ops.Issuer { return p.issuers }
	p.metrics.Issuers(issuers)
	p.ready = ops.NewReadiness(sources, issuers)
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
		jwks     = "jwks: in force since 2026-06-01T12:00:00Z"
		policies = "policies: in force since 2026-06-01T13:00:00Z"
	)
	p := newProcess(t)
	for _, step := range []struct {
		name   string
		before func()
		status int
		body   string
	}{
		{"at the start", func() {}, 503, "not ready: starting\n" + jwks + "\n" + policies + "\n"},
		{"serving", p.ready.Serving, 200, "ready\n" + jwks + "\n" + policies + "\n"},
		{"a change is refused", func() { p.policies.err = errors.New("a.yaml:1:2: wrong\nb.yaml:3:4: wrong") }, 200, "ready\n" + jwks + "\n" +
			policies + "; what should replace it is refused:\n  a.yaml:1:2: wrong\n  b.yaml:3:4: wrong\n"},
		{"mended", func() { p.policies.err = nil }, 200, "ready\n" + jwks + "\n" + policies + "\n"},
		{"stopping", p.ready.Stopping, 503, "not ready: stopping\n" + jwks + "\n" + policies + "\n"},
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
