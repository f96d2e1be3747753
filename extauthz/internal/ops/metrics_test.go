package ops_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/shared/decision"
)

// samples gives the lines of a scrape that begin with one of the names, sorted
// as Prometheus text is.
func (p *process) samples(t *testing.T, names ...string) string {
	t.Helper()
	_, body := p.get(t, "/metrics")
	var found []string
	for _, line := range strings.Split(body, "\n") {
		for _, name := range names {
			if strings.HasPrefix(line, name) {
				found = append(found, line)
			}
		}
	}
	return strings.Join(found, "\n")
}

// Every reason is there from the start, once, with the decision that it means.
func TestEveryReasonStartsAtZero(t *testing.T) {
	p := newProcess(t)
	p.metrics.Listener("sidecar")
	var want []string
	for _, word := range []string{"allow", "deny"} {
		for _, reason := range decision.Reasons() {
			if (reason.Class() == decision.Allowed) == (word == "allow") {
				want = append(want, fmt.Sprintf(`meshpass_decisions_total{decision="%s",listener="sidecar",reason="%s"} 0`, word, reason))
			}
		}
	}
	if got := p.samples(t, "meshpass_decisions_total"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestDecisionsAreCounted(t *testing.T) {
	p := newProcess(t)
	sidecar, strict := p.metrics.Listener("sidecar"), p.metrics.Listener("strict")
	sidecar.Decided(t.Context(), decision.Allow(decision.RuleAllowed).By("orders", "read"), 80*time.Microsecond)
	sidecar.Decided(t.Context(), decision.Deny(decision.NoRule), 2*time.Millisecond)
	strict.Decided(t.Context(), decision.Deny(decision.Panic), time.Second)
	foretold := decision.Allow(decision.RuleAllowed).By("orders", "read")
	foretold.Shadow = &decision.Decision{Reason: decision.RuleDenied, Policy: "orders", Rule: "new"}
	sidecar.Decided(t.Context(), foretold, time.Minute)
	for sample, want := range map[string]string{
		`meshpass_decisions_total{decision="allow",listener="sidecar",reason="rule_allowed"}`:                    "2",
		`meshpass_decisions_total{decision="deny",listener="sidecar",reason="no_rule"}`:                          "1",
		`meshpass_decisions_total{decision="deny",listener="strict",reason="no_rule"}`:                           "0",
		`meshpass_decisions_total{decision="deny",listener="strict",reason="panic"}`:                             "1",
		`meshpass_shadow_decisions_total{decision="deny",given="allow",listener="sidecar",reason="rule_denied"}`: "1",
		`meshpass_check_duration_seconds_bucket{listener="sidecar",le="5e-05"}`:                                  "0",
		`meshpass_check_duration_seconds_bucket{listener="sidecar",le="0.0001"}`:                                 "1",
		`meshpass_check_duration_seconds_count{listener="sidecar"}`:                                              "3",
		`meshpass_check_duration_seconds_bucket{listener="strict",le="0.25"}`:                                    "0",
		`meshpass_check_duration_seconds_sum{listener="strict"}`:                                                 "1",
	} {
		if got := p.samples(t, sample+" "); got != sample+" "+want {
			t.Errorf("got %q, want %s %s", got, sample, want)
		}
	}
}

func TestTheAuditTrailIsCounted(t *testing.T) {
	p := newProcess(t)
	p.audit = status.Audit{Bytes: 5, Limit: 9, Written: 7, Lost: map[string]uint64{"queue_full": 3, "no_space": 1}, Suppressed: 4, Sampled: 6, Waits: 1.5}
	p.metrics.ShowLogLines(func() logqueue.Stats { return logqueue.Stats{Lost: map[logqueue.Cause]uint64{logqueue.QueueFull: 2}} })
	want := `meshpass_audit_queue_age_seconds 1.5
meshpass_audit_queue_bytes 5
meshpass_audit_queue_limit_bytes 9
meshpass_audit_records_lost_total{cause="no_space"} 1
meshpass_audit_records_lost_total{cause="queue_full"} 3
meshpass_audit_records_sampled_total 6
meshpass_audit_records_suppressed_total 4
meshpass_audit_records_written_total 7
meshpass_audit_write_failures_total 4
meshpass_log_lines_lost_total{cause="no_space"} 0
meshpass_log_lines_lost_total{cause="queue_full"} 2
meshpass_log_lines_lost_total{cause="reader_closed"} 0
meshpass_log_lines_lost_total{cause="stopped"} 0
meshpass_log_lines_lost_total{cause="unencodable"} 0
meshpass_log_lines_lost_total{cause="write_failed"} 0`
	if got := p.samples(t, "meshpass_audit_", "meshpass_log_"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Without a chain there are no series of one, so that no alert is about it.
func TestTheChainIsCounted(t *testing.T) {
	p := newProcess(t)
	if got := p.samples(t, "meshpass_audit_chain_"); got != "" {
		t.Errorf("got\n%s", got)
	}
	p.audit = status.Audit{Chain: &status.AuditChain{Checkpoint: 60, Uncovered: 3, LastCheckpoint: noon, Waits: 2.5, Failed: 4}}
	want := `meshpass_audit_chain_checkpoint_failures_total 4
meshpass_audit_chain_checkpoint_seconds 60
meshpass_audit_chain_last_checkpoint_timestamp_seconds 1.7803152e+09
meshpass_audit_chain_unsigned_lines 3
meshpass_audit_chain_unsigned_seconds 2.5`
	if got := p.samples(t, "meshpass_audit_chain_"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	p.audit.Chain.LastCheckpoint = time.Time{}
	if got := p.samples(t, "meshpass_audit_chain_last"); got != "meshpass_audit_chain_last_checkpoint_timestamp_seconds 0" {
		t.Errorf("got %s", got)
	}
}

func TestSourcesAreWatched(t *testing.T) {
	p := newProcess(t)
	p.policies.err = errors.New("wrong")
	p.metrics.ChangeRejected("policies")
	want := `meshpass_reload_current{source="jwks"} 1
meshpass_reload_current{source="policies"} 0
meshpass_reload_failures_total{source="jwks"} 0
meshpass_reload_failures_total{source="policies"} 1
meshpass_reload_last_look_timestamp_seconds{source="jwks"} 4.9359888e+09
meshpass_reload_last_look_timestamp_seconds{source="policies"} 4.9359888e+09
meshpass_reload_last_success_timestamp_seconds{source="jwks"} 1.7803152e+09
meshpass_reload_last_success_timestamp_seconds{source="policies"} 1.7803188e+09`
	if got := p.samples(t, "meshpass_reload_"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A change of generation ends one series and begins another; what the documents
// are called is in no label.
func TestPoliciesAreShown(t *testing.T) {
	p := newProcess(t)
	var now status.Policies
	p.metrics.ShowPolicies(func() status.Policies { return now })
	for _, row := range []struct {
		now  status.Policies
		want string
	}{
		{status.Policies{Generation: "aaa", Wanted: "aaa", Documents: 3}, `meshpass_policies_info{generation="aaa"} 1
meshpass_policies_wanted_info{generation="aaa"} 1
meshpass_policy_documents 3
meshpass_policy_documents_refused{instead="denied"} 0
meshpass_policy_documents_refused{instead="last_good"} 0
meshpass_policy_overrides_active 0`},
		{status.Policies{
			Generation: "bbb", Wanted: "ccc", Documents: 1,
			Rejected:  []status.Rejected{{Name: "x", Denied: true}, {Name: "y"}, {Name: "z"}},
			Overrides: []status.Override{{Target: "ns/a/sa/b"}},
		}, `meshpass_policies_info{generation="bbb"} 1
meshpass_policies_wanted_info{generation="ccc"} 1
meshpass_policy_documents 1
meshpass_policy_documents_refused{instead="denied"} 1
meshpass_policy_documents_refused{instead="last_good"} 2
meshpass_policy_overrides_active 1`},
	} {
		now = row.now
		if got := p.samples(t, "meshpass_polic"); got != row.want {
			t.Errorf("got\n%s\nwant\n%s", got, row.want)
		}
	}
}

func TestBuildAndProcess(t *testing.T) {
	p := newProcess(t)
	for _, name := range []string{`meshpass_build_info{date="unknown",go="go`, "go_goroutines ", "process_start_time_seconds "} {
		if got := p.samples(t, name); got == "" || strings.Contains(got, "\n") {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
