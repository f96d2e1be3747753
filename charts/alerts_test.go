package charts_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

// logOnly are the rows of the page that no metric shows.
var logOnly = []string{"alert-revocation-issuer-unknown"}

// othersMetrics are those of Istio and Envoy.
var othersMetrics = []string{"istio_requests_total", "envoy_cluster_ext_authz_failure_mode_allowed"}

// TestAlertsAreThoseOfThePage compares the alerts with the table of docs/operations.md, and their metrics and reasons with the
// tables of metrics and the list of reasons.
func TestAlertsAreThoseOfThePage(t *testing.T) {
	read := func(elements ...string) string {
		text, err := os.ReadFile(filepath.Join(append([]string{".."}, elements...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	page, reasons := read("docs", "operations.md"), read("shared", "decision", "reason.go")
	var anchors []string
	for _, match := range regexp.MustCompile(`<a id="(alert-[a-z-]+)"></a>`).FindAllStringSubmatch(page, -1) {
		if !slices.Contains(logOnly, match[1]) {
			anchors = append(anchors, match[1])
		}
	}
	var rule monitoring.PrometheusRule
	if err := yaml.UnmarshalStrict([]byte(read("manifests", "components", "monitoring", "prometheusrule.yaml")), &rule); err != nil {
		t.Fatal(err)
	}
	var found []string
	metric := regexp.MustCompile(`\b(meshpass|istio|envoy)_[a-z_]+`)
	reasonLabel := regexp.MustCompile(`reason=~?"([^"]+)"`)
	for _, group := range rule.Spec.Groups {
		for _, alert := range group.Rules {
			_, anchor, _ := strings.Cut(alert.Annotations["runbook_url"], "docs/operations.md#")
			found = append(found, anchor)
			if want := alertName(anchor); alert.Alert != want {
				t.Errorf("%s: the alert is named %s, want %s", anchor, alert.Alert, want)
			}
			if !slices.Contains([]string{"critical", "warning", "info"}, alert.Labels["severity"]) || !strings.HasSuffix(alert.Annotations["summary"], ".") ||
				strings.Contains(alert.Annotations["summary"], "{{") || alert.Annotations["description"] == "" {
				t.Errorf("%s: want a severity, a static sentence as summary, and a description", alert.Alert)
			}
			expr := alert.Expr.StrVal
			metrics := metric.FindAllString(expr, -1)
			if len(metrics) == 0 {
				t.Errorf("%s has no metric: %s", alert.Alert, expr)
			}
			for _, name := range metrics {
				if !strings.Contains(page, "`"+strings.TrimSuffix(name, "_bucket")+"`") && !slices.Contains(othersMetrics, name) {
					t.Errorf("%s: the page has no metric %s", alert.Alert, name)
				}
			}
			for _, match := range reasonLabel.FindAllStringSubmatch(expr, -1) {
				for _, reason := range strings.Split(match[1], "|") {
					if !regexp.MustCompile(`"` + reason + `"`).MatchString(reasons) {
						t.Errorf("%s: there is no reason %s", alert.Alert, reason)
					}
				}
			}
		}
	}
	slices.Sort(anchors)
	slices.Sort(found)
	if !slices.Equal(anchors, found) {
		t.Errorf("the alerts lead to\n%q\nthe page has\n%q", found, anchors)
	}
}

// alertName is MeshpassKeySetExpires for alert-key-set-expires.
func alertName(anchor string) string {
	words := strings.Split(strings.TrimPrefix(anchor, "alert-"), "-")
	for i, word := range words {
		if word != "" {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return "Meshpass" + strings.Join(words, "")
}
