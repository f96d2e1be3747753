package ops_test

import (
	"os"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/ops"
	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/extauthz/internal/tracing"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/internal/metricsdoc"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/revocation"
)

// The page lists the metrics as they are served. Each has a sample here, so that its labels are known.
func TestThePageListsAllMetrics(t *testing.T) {
	p := newProcess(t)
	p.issuers = []ops.Issuer{{Name: "a", Remote: true}}
	p.audit.Lost, p.audit.Chain = map[string]uint64{"queue_full": 0}, &status.AuditChain{}
	listener := p.metrics.Listener("sidecar")
	listener.Decided(t.Context(), decision.Decision{Reason: decision.RuleAllowed, Shadow: &decision.Decision{Reason: decision.NoRule}}, time.Millisecond)
	listener.Decided(t.Context(), decision.Deny(decision.NoRule).By("a", ""), time.Millisecond)
	listener.TokenMissing("a", "b")
	p.metrics.ShowPolicies(func() status.Policies { return status.Policies{} })
	p.metrics.ShowSelfChecks(func() map[string]time.Duration { return map[string]time.Duration{"sidecar": 0} })
	p.metrics.ShowSpans(func() tracing.Stats { return tracing.Stats{} })
	p.metrics.ShowLogLines(func() logqueue.Stats { return logqueue.Stats{} })
	p.metrics.ShowCertificate(time.Now)
	p.metrics.ShowRevocations(map[string]ops.Revocations{"file": {
		List: func() *revocation.List { return &revocation.List{} }, Age: func(time.Time) time.Duration { return 0 }, History: &revocation.History{},
	}})
	page, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, scrape := p.get(t, "/metrics")
	if changes := metricsdoc.Compare(string(page), "## Metrics", scrape); changes != "" {
		t.Errorf("docs/operations.md, Metrics:\n%s", changes)
	}
}
