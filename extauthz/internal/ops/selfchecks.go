package ops

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ShowSelfChecks shows whether decisions are answered, by listener, read at each scrape.
func (m *Metrics) ShowSelfChecks(silent func() map[string]time.Duration) {
	m.registry.MustRegister(selfCheckCollector(silent))
}

type selfCheckCollector func() map[string]time.Duration

var unanswered = newDesc("meshpass_self_check_unanswered_seconds", "How long no self-check of the listener has been answered; 0: they are answered.", "listener")

func (c selfCheckCollector) Describe(descs chan<- *prometheus.Desc) { descs <- unanswered }

func (c selfCheckCollector) Collect(metrics chan<- prometheus.Metric) {
	for listener, silent := range c() {
		sendGauge(metrics, unanswered, silent.Seconds(), listener)
	}
}
