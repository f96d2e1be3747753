package ops

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshpass/meshpass/shared/revocation"
)

// Revocations shows how many entries each list has; they are read at each scrape.
func (m *Metrics) Revocations(lists map[string]func() *revocation.List) {
	for source, list := range lists {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "meshpass_revocations", Help: "Entries of the list in force, expired ones included.",
			ConstLabels: prometheus.Labels{"source": source},
		}, func() float64 { return float64(list().Len()) }))
	}
}
