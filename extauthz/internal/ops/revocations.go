package ops

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshpass/meshpass/shared/revocation"
)

// Revocations is a list as its readers see it.
type Revocations struct {
	List    func() *revocation.List
	Age     func(now time.Time) time.Duration // since it was last seen to be what its source holds
	History *revocation.History
}

// ShowRevocations shows the lists, by source. They are read at each scrape.
func (m *Metrics) ShowRevocations(lists map[string]Revocations) {
	for source, r := range lists {
		m.registerGauge(source, "meshpass_revocations", "Entries of the active list, including expired ones.",
			func() float64 { return float64(r.List().Len()) })
		m.registerGauge(source, "meshpass_revocations_serial", "Serial of the active list.",
			func() float64 { return float64(r.List().Serial()) })
		m.registerGauge(source, "meshpass_revocations_age_seconds", "Time since the list was last seen to be what its source holds.",
			func() float64 { return r.Age(time.Now()).Seconds() })
		m.registerGauge(source, "meshpass_revocations_older", "1 while the active list has a lower serial than one before.", func() float64 {
			if _, _, back := r.History.RolledBack(); back {
				return 1
			}
			return 0
		})
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "meshpass_revocations_vanished_total", Help: "Entries that left the list, or revoke less, before they expired.",
			ConstLabels: prometheus.Labels{"source": source},
		}, func() float64 { return float64(r.History.VanishedCount()) }))
	}
}

func (m *Metrics) registerGauge(source, name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: name, Help: help, ConstLabels: prometheus.Labels{"source": source},
	}, value))
}
