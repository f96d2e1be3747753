package ops_test

import (
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/ops"
)

// quarter is a process that is far from its limits.
var quarter = ops.Limits{
	Descriptors: ops.Used{Now: 300, Max: 1200},
	Checks:      ops.Used{Now: 256, Max: 1024}, Bytes: ops.Used{Now: 8 << 20, Max: 32 << 20}, Watches: ops.Used{Now: 25, Max: 100},
	Listeners: []ops.Connections{{
		Listener: "sidecar", Used: ops.Used{Now: 250, Max: 1000},
		Refused:  map[string]uint64{"connections": 0, "tls": 7},
		Deadline: 200 * time.Millisecond,
	}},
}

func TestLimitsInReadiness(t *testing.T) {
	p := newProcess(t)
	p.ready.SetServing()
	all := "checks in flight: 256 of 1024\nbytes in flight: 8388608 of 33554432\nhealth watches: 25 of 100\nfile descriptors: 300 of 1200\nconnections of sidecar: 250 of 1000\n"
	if _, body := p.get(t, "/readyz?verbose"); !strings.Contains(body, all) {
		t.Errorf("verbose: %s", body)
	}
	if _, body := p.get(t, "/readyz"); strings.Contains(body, " of 10") {
		t.Errorf("not near a limit: %s", body)
	}
	p.limits.Listeners[0].Now = 800
	t.Cleanup(func() { p.limits.Listeners[0].Now = 250 })
	code, body := p.get(t, "/readyz")
	if code != 200 || !strings.Contains(body, "connections of sidecar: 800 of 1000, near its limit\n") || strings.Contains(body, "checks in flight") {
		t.Errorf("near a limit: %d %s", code, body)
	}
}

func TestLimitsInMetrics(t *testing.T) {
	p := newProcess(t)
	_, body := p.get(t, "/metrics")
	for _, line := range []string{
		"meshpass_checks_in_flight 256", "meshpass_checks_in_flight_limit 1024",
		"meshpass_check_bytes_in_flight 8.388608e+06", "meshpass_check_bytes_in_flight_limit 3.3554432e+07",
		"meshpass_health_watches 25", "meshpass_health_watches_limit 100",
		`meshpass_connections{listener="sidecar"} 250`, `meshpass_connections_limit{listener="sidecar"} 1000`,
		`meshpass_connections_refused_total{cause="connections",listener="sidecar"} 0`,
		`meshpass_connections_refused_total{cause="tls",listener="sidecar"} 7`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}

// Envoy gives up before the deadline: this is shown without ?verbose too.
func TestTimeoutsBelowTheDeadlineAreShown(t *testing.T) {
	p := newProcess(t)
	p.ready.SetServing()
	t.Cleanup(func() { p.limits.Listeners[0].EnvoyTimeout = 0 })
	for _, row := range []struct {
		path, want string
		envoy      time.Duration
	}{
		{"/readyz", "deadline of sidecar: 200ms, but Envoy waits for 100ms only: raise the provider's timeout or lower limits.deadline\n", 100 * time.Millisecond},
		{"/readyz", "", 250 * time.Millisecond},
		{"/readyz?verbose", "deadline of sidecar: 200ms, Envoy waits for 250ms\n", 250 * time.Millisecond},
		{"/readyz?verbose", "deadline of sidecar: 200ms, no timeout of Envoy was seen\n", 0},
	} {
		p.limits.Listeners[0].EnvoyTimeout = row.envoy
		if code, body := p.get(t, row.path); code != 200 || !strings.Contains(body, row.want) || strings.Contains(body, "deadline") != (row.want != "") {
			t.Errorf("%s, %s: %d %s", row.path, row.envoy, code, body)
		}
	}
}
