package ops

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshpass/meshpass/shared/revocation"
)

// Revocations is a list as its readers see it.
type Revocations struct {
	List func() *revocation.List
	Age  func(now time.Time) time.Duration // since it was last seen to be current; nil: it lies beside us
}

// Revocations shows the lists. They are read at each scrape.
func (m *Metrics) Revocations(lists map[string]Revocations) {
	for source, r := range lists {
		m.gauge(source, "meshpass_revocations", "Entries of the list in force, expired ones included.",
			func() float64 { return float64(r.List().Len()) })
		m.gauge(source, "meshpass_revocations_serial", "Which version of the list is in force.",
			func() float64 { return float64(r.List().Serial()) })
		if r.Age != nil {
			m.gauge(source, "meshpass_revocations_age_seconds", "Since the list was last seen to be what its source holds.",
				func() float64 { return r.Age(time.Now()).Seconds() })
		}
	}
}

func (m *Metrics) gauge(source, name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: name, Help: help, ConstLabels: prometheus.Labels{"source": source},
	}, value))
}
