package ops

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// ShowPolicies shows which policies are active. There is one generation at a time,
// so that a change ends one series and begins another.
func (m *Metrics) ShowPolicies(now func() status.Policies) {
	m.registry.MustRegister(policyCollector(now))
}

type policyCollector func() status.Policies

var (
	activeGeneration  = newDesc("meshpass_policies_info", "The generation of the active policies, as in audit records.", "generation")
	wantedGeneration  = newDesc("meshpass_policies_wanted_info", "The generation of what the files hold; the active one if no document is rejected.", "generation")
	activeDocuments   = newDesc("meshpass_policy_documents", "Active AccessPolicy documents.")
	rejectedDocuments = newDesc("meshpass_policy_documents_refused", "Documents and files that cannot be used, by what is active instead.", "instead")
	activeOverrides   = newDesc("meshpass_policy_overrides_active", "Overrides that lift policies now.")
)

func (c policyCollector) Describe(descs chan<- *prometheus.Desc) {
	describeAll(descs, activeGeneration, wantedGeneration, activeDocuments, rejectedDocuments, activeOverrides)
}

func (c policyCollector) Collect(metrics chan<- prometheus.Metric) {
	now := c()
	denied := 0
	for _, r := range now.Rejected {
		if r.Denied {
			denied++
		}
	}
	sendGauge(metrics, activeGeneration, 1, now.Generation)
	sendGauge(metrics, wantedGeneration, 1, now.Wanted)
	sendGauge(metrics, activeDocuments, float64(now.Documents))
	sendGauge(metrics, rejectedDocuments, float64(denied), "denied")
	sendGauge(metrics, rejectedDocuments, float64(len(now.Rejected)-denied), "last_good")
	sendGauge(metrics, activeOverrides, float64(len(now.Overrides)))
}
