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

// Revocations shows the lists. They are read at each scrape.
func (m *Metrics) Revocations(lists map[string]Revocations) {
	for source, r := range lists {
		m.gauge(source, "meshpass_revocations", "Entries of the list in force, expired ones included.",
			func() float64 { return float64(r.List().Len()) })
		m.gauge(source, "meshpass_revocations_serial", "Which version of the list is in force.",
			func() float64 { return float64(r.List().Serial()) })
		m.gauge(source, "meshpass_revocations_age_seconds", "Since the list was last seen to be what its source holds.",
			func() float64 { return r.Age(time.Now()).Seconds() })
		m.gauge(source, "meshpass_revocations_older", "1 while the active list has a lower serial than one before.", func() float64 {
			if _, _, back := r.History.RolledBack(); back {
				return 1
			}
			return 0
		})
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "meshpass_revocations_vanished_total", Help: "Entries that left the list, or refuse less, before they expired.",
			ConstLabels: prometheus.Labels{"source": source},
		}, func() float64 { return float64(r.History.VanishedCount()) }))
	}
}

func (m *Metrics) gauge(source, name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: name, Help: help, ConstLabels: prometheus.Labels{"source": source},
	}, value))
}
