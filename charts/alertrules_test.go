package charts_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

// alertCases are series that make an alert fire, and harmless ones that do not, in the notation of promtool with one sample a minute.
var alertCases = []struct {
	alert           string
	minutes         int // when the alert is asked for
	fault, harmless []string
}{
	{"MeshpassDenialsRise", 75, []string{`meshpass_policy_denials_total{policy="orders", rule="a"} 0+1x60 120+60x30`}, []string{`meshpass_policy_denials_total{policy="orders", rule="a"} 0+60x90`}},
	{"MeshpassDenialsRise", 15, []string{`meshpass_policy_denials_total{policy="orders", rule="new"} 0+60x30`}, []string{`meshpass_policy_denials_total{policy="orders", rule="new"} 0+1x30`}},
	{"MeshpassTokenMissing", 40, []string{`meshpass_token_missing_total{caller="a", callee="b"} 0+1x60`}, []string{`meshpass_token_missing_total{caller="a", callee="b"} 5x60`}},
	{"MeshpassKeySetExpires", 60, []string{`meshpass_jwks_expiry_timestamp_seconds{issuer="a"} 40000x90`}, []string{`meshpass_jwks_expiry_timestamp_seconds{issuer="a"} 90000x90`}},
	{"MeshpassSigningKeyEnds", 90, []string{`meshpass_edge_key_sign_until_timestamp_seconds{kid="a"} 80000x120`}, []string{`meshpass_edge_key_sign_until_timestamp_seconds{kid="a"} 80000x120`, `meshpass_edge_key_sign_until_timestamp_seconds{kid="b"} 900000x120`}},
	{"MeshpassGenerationNotWanted", 15, []string{`meshpass_policies_info{pod="a", generation="1"} 1x30`, `meshpass_policies_wanted_info{pod="a", generation="2"} 1x30`}, []string{`meshpass_policies_info{pod="a", generation="2"} 1x30`, `meshpass_policies_wanted_info{pod="a", generation="2"} 1x30`}},
	{"MeshpassGenerationsDiffer", 15, []string{`meshpass_policies_info{pod="a", generation="1"} 1x30`, `meshpass_policies_info{pod="b", generation="2"} 1x30`}, []string{`meshpass_policies_info{pod="a", generation="1"} 1x30`, `meshpass_policies_info{pod="b", generation="1"} 1x30`}},
	{"MeshpassOverloaded", 10, []string{`meshpass_decisions_total{reason="overloaded"} 0x5 1+1x20`}, []string{`meshpass_decisions_total{reason="overloaded"} 3x30`}},
	{"MeshpassAuditLost", 10, []string{`meshpass_audit_records_lost_total{cause="no_space"} 0x5 1+1x20`}, []string{`meshpass_audit_records_lost_total{cause="no_space"} 7x30`}},
	{"MeshpassAuditChainUnsigned", 20, []string{`meshpass_audit_chain_unsigned_seconds{pod="a"} 0+60x30`, `meshpass_audit_chain_checkpoint_seconds{pod="a"} 60x30`, `meshpass_audit_chain_checkpoint_seconds{pod="b"} 3600x30`},
		[]string{`meshpass_audit_chain_unsigned_seconds{pod="a"} 59x30`, `meshpass_audit_chain_checkpoint_seconds{pod="a"} 60x30`, `meshpass_audit_chain_unsigned_seconds{pod="b"} 0+60x30`, `meshpass_audit_chain_checkpoint_seconds{pod="b"} 3600x30`}},
	{"MeshpassChecksSlow", 20, []string{`meshpass_check_duration_seconds_bucket{le="0.1"} 0+1x30`, `meshpass_check_duration_seconds_bucket{le="0.25"} 0+100x30`, `meshpass_check_duration_seconds_bucket{le="+Inf"} 0+100x30`},
		[]string{`meshpass_check_duration_seconds_bucket{le="0.1"} 0+100x30`, `meshpass_check_duration_seconds_bucket{le="0.25"} 0+100x30`, `meshpass_check_duration_seconds_bucket{le="+Inf"} 0+100x30`}},
	{"MeshpassOverrideActive", 10, []string{`meshpass_policy_overrides_active{pod="a"} 1x30`}, []string{`meshpass_policy_overrides_active{pod="a"} 0x30`}},
	{"MeshpassEdgeNotReady", 10, []string{`meshpass_edge_ready{pod="a"} 0x30`}, []string{`meshpass_edge_ready{pod="a"} 1x30`}},
	{"MeshpassProviderOpen", 10, []string{`envoy_cluster_ext_authz_failure_mode_allowed{pod="a"} 0x5 1+1x20`}, []string{`envoy_cluster_ext_authz_failure_mode_allowed{pod="a"} 9x30`}},
	{"MeshpassEnvoyCannotAsk", 10, []string{`istio_requests_total{reporter="destination", response_code="503", response_flags="UAEX"} 0+1x30`}, []string{`istio_requests_total{reporter="destination", response_code="403", response_flags="UAEX"} 0+1x30`}},
}

// Prometheus' own program checks the rules, and evaluates each of these alerts for a fault and its harmless twin.
func TestAlertRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("NOT RUN: unit tests of the alerts by promtool: needs prometheus")
	}
	text, err := os.ReadFile(filepath.Join("..", "manifests", "components", "monitoring", "prometheusrule.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var rule monitoring.PrometheusRule
	if err := yaml.UnmarshalStrict(text, &rule); err != nil {
		t.Fatal(err)
	}
	rules, err := yaml.Marshal(map[string]any{"groups": rule.Spec.Groups})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var tests []any
	for _, c := range alertCases {
		query := fmt.Sprintf(`count(ALERTS{alertname=%q, alertstate="firing"})`, c.alert)
		at := fmt.Sprintf("%dm", c.minutes)
		tests = append(tests, map[string]any{
			"interval": "1m", "input_series": newSeries(c.fault),
			"promql_expr_test": []any{map[string]any{"expr": query, "eval_time": at, "exp_samples": []any{map[string]any{"labels": "{}", "value": 1}}}},
		}, map[string]any{
			"interval": "1m", "input_series": newSeries(c.harmless),
			"promql_expr_test": []any{map[string]any{"expr": query, "eval_time": at}},
		})
	}
	cases, err := yaml.Marshal(map[string]any{"rule_files": []string{"rules.yaml"}, "evaluation_interval": "1m", "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	write("rules.yaml", rules)
	write("cases.yaml", cases)
	for _, args := range [][]string{{"check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"}, {"test", "rules", "cases.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// newSeries separates the name of a series from its values.
func newSeries(lines []string) (all []any) {
	for _, line := range lines {
		end := strings.Index(line, "} ") + 1
		all = append(all, map[string]string{"series": line[:end], "values": line[end+1:]})
	}
	return all
}
