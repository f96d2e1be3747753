package app

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

func body(t *testing.T, url string) string {
	t.Helper()
	_, text := get(t, url)
	return text
}

func get(t *testing.T, url string) (status int, text string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(data)
}

// What the listeners answer is what is counted, by listener.
func TestMetricsOfAProcess(t *testing.T) {
	r := start(t, "testdata/valid.yaml")
	for i, address := range r.addresses() {
		for range i + 1 {
			if _, err := auth.NewAuthorizationClient(dial(t, address)).Check(t.Context(), &auth.CheckRequest{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	metrics := body(t, r.ops()+"/metrics")
	for _, want := range []string{
		`meshpass_decisions_total{decision="deny",listener="sidecar",reason="no_http"} 1`,
		`meshpass_decisions_total{decision="deny",listener="strict",reason="no_http"} 2`,
		`meshpass_decisions_total{decision="allow",listener="strict",reason="rule_allowed"} 0`,
		`meshpass_check_duration_seconds_count{listener="strict"} 2`,
		`meshpass_policy_documents 1`,
		`meshpass_reload_current{source="jwks"} 1`,
		`meshpass_reload_current{source="policies"} 1`,
		`meshpass_audit_write_failures_total 0`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
	generation := r.matches(`"msg":"serving",.*"generation":"([^"]+)"`)[0]
	if !strings.Contains(metrics, `meshpass_policies_info{generation="`+generation+`"} 1`) {
		t.Errorf("generation %s is not shown", generation)
	}
}

// The probes answer while the drain goes on, and to the last Check.
func TestReadinessFromStartToStop(t *testing.T) {
	f := newFiles(t, oneListener)
	r := start(t, f.config, func(p *Process) { p.DrainDelay = 300 * time.Millisecond })
	if status, text := get(t, r.ops()+"/readyz"); status != 200 || !strings.HasPrefix(text, "ready\nconfig: active since ") {
		t.Errorf("got %d, %s", status, text)
	}
	client := auth.NewAuthorizationClient(dial(t, r.addresses()[0]))
	r.stop()
	r.await(t, "not ready from here on")
	if status, text := get(t, r.ops()+"/readyz"); status != 503 || !strings.HasPrefix(text, "not ready: stopping\n") {
		t.Errorf("got %d, %s", status, text)
	}
	if status, _ := get(t, r.ops()+"/livez"); status != 200 {
		t.Errorf("livez: got %d", status)
	}
	if answer, err := client.Check(t.Context(), order(t, gateway)); err != nil || answer.GetOkResponse() == nil {
		t.Errorf("while not ready: got %v, %v", answer, err)
	}
}
