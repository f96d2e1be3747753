package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// authorizerAt serves a report of an authorizer without problems, except for
// the changes.
func authorizerAt(t *testing.T, changes ...func(*status.Report)) string {
	t.Helper()
	report := status.Report{
		State:    status.Ready,
		Policies: status.Policies{Generation: "aaa", Wanted: "aaa", Documents: 2, Unguarded: "deny"},
		Issuers:  []status.Issuer{{Name: "https://a", Keys: 2}, {Name: "https://b", Keys: 1, Fetched: time.Now().Add(-time.Minute)}},
		Sources:  []status.Source{{Name: "jwks", Since: time.Now().Add(-time.Hour)}, {Name: "policies", Since: time.Now()}},
	}
	for _, change := range changes {
		change(&report)
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+status.Path, status.Handler(func() status.Report { return report }))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestStatus(t *testing.T) {
	good := authorizerAt(t)
	lifted := authorizerAt(t, func(r *status.Report) {
		until := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
		r.Policies.Overrides = []status.Override{{Target: "ns/shop/sa/orders", Until: until, By: "alice", Reason: "INC-7"}}
	})
	refused := authorizerAt(t, func(r *status.Report) {
		r.Policies.Wanted = "bbb"
		r.Policies.Rejected = []status.Rejected{{Name: "orders", File: "p/orders.yaml"}, {Name: "new", File: "p/new.yaml", Denied: true}}
		r.Sources[1].Problems = []string{`p/orders.yaml:7:5: unknown key "wehn"`}
	})
	other := authorizerAt(t, func(r *status.Report) { r.Policies.Generation, r.Policies.Wanted = "ccc", "ccc" })
	keyless := authorizerAt(t, func(r *status.Report) { r.Issuers[1].Keys, r.Issuers[1].Problem = 0, "503" })
	timed := authorizerAt(t, func(r *status.Report) {
		r.Limits = []status.Limit{{Name: "file descriptors", Now: 950, Max: 1024}}
		r.Deadlines = []status.Deadline{{Listener: "a", Seconds: 0.2}, {Listener: "b", Seconds: 0.2, Envoy: 0.25}, {Listener: "c", Seconds: 0.2, Envoy: 0.15}}
	})
	versioned := authorizerAt(t, func(r *status.Report) {
		r.Policies.Folders = []status.Folder{{Name: "plain", Path: "/p", Version: "/p"}, {Name: "shop", Path: "/s/current", Version: "/s/sha256-ab"}}
	})
	starting := authorizerAt(t, func(r *status.Report) { r.State = "not ready: starting" })
	for _, row := range []struct {
		name string
		args []string
		code int
		says []string
	}{
		{"all as wanted", []string{good, good + "/"}, exitFine, []string{good, "  ready\n  policies     generation aaa, documents 2, unguarded: deny\n", "  jwks         active for 1h0m0s\n", "  issuer       https://a: 2 keys\n", "  issuer       https://b: 1 key, fetched 1m0s ago\n"}},
		{"an override", []string{lifted}, exitFine, []string{"  override     ns/shop/sa/orders until 2026-06-01T12:00:00Z, by alice: INC-7\n"}},
		{"versions of folders", []string{versioned}, exitFine, []string{"unguarded: deny\n  folder       shop: /s/sha256-ab\n  issuer"}},
		{"timeouts", []string{timed}, exitFine, []string{
			"  limit        file descriptors: 950 of 1024, near its limit\n",
			"  deadline     a: 200ms, no timeout of Envoy was seen\n  deadline     b: 200ms, Envoy waits for 250ms\n",
			"  deadline     c: 200ms, but Envoy waits for 150ms only: raise the provider's timeout or lower limits.deadline\n"}},
		{"timeouts as JSON", []string{"-o", "json", timed}, exitFine, []string{`"envoySeconds": 0.15`}},
		{"documents refused", []string{refused}, exitAnswerNo, []string{
			"  ! generation aaa is active, the files contain bbb\n",
			"  ! orders (p/orders.yaml) is rejected: the previous version stays active\n",
			"  ! new (p/new.yaml) is rejected: all requests to its targets are denied\n",
			"  ! policies: p/orders.yaml:7:5: unknown key \"wehn\"\n"}},
		{"no keys", []string{keyless}, exitAnswerNo, []string{"  ! issuer https://b: no usable keys\n", "  ! issuer https://b: the last fetch failed: 503\n"}},
		{"as JSON", []string{"-o", "json", refused}, exitAnswerNo, []string{`"wanted": "bbb"`, `"denied": true`, `"findings": [`}},
		{"replicas differ", []string{good, other}, exitAnswerNo, []string{"  ! replicas run different generations: aaa, ccc\n"}},
		{"not ready", []string{starting}, exitAnswerNo, []string{"  ! not ready: starting\n"}},
		{"not its address", []string{good + "/metrics"}, exitAnswerNo, []string{"  ! no answer: 404 Not Found: is that the address of ops?\n"}},
		{"nobody there", []string{"http://127.0.0.1:1"}, exitAnswerNo, []string{"  ! no answer: "}},
		{"an address", []string{strings.TrimPrefix(good, "http://")}, exitFine, []string{good + "\n  ready\n"}},
		{"no address", []string{"127.0.0.1"}, exitCouldNot, nil},
		{"another scheme", []string{"grpc://127.0.0.1:9090"}, exitCouldNot, nil},
		{"no such form", []string{"-o", "yaml", good}, exitCouldNot, nil},
	} {
		code, stdout, stderr := ran(t, append([]string{"status"}, row.args...)...)
		if code != row.code || (code == exitCouldNot) != (stderr != "") {
			t.Errorf("%s: got %d, %s%s", row.name, code, stdout, stderr)
		}
		for _, text := range row.says {
			if !strings.Contains(stdout, text) {
				t.Errorf("%s: does not say %q:\n%s", row.name, text, stdout)
			}
		}
	}
}
