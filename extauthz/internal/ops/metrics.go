package ops

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/meshpass/meshpass/shared/decision"
)

// Metrics are those of one process. No label's value is chosen by a client, so
// their number is bounded by the configuration, and for workloads by a cap.
type Metrics struct {
	registry  *prometheus.Registry
	decisions *prometheus.CounterVec
	shadows   *prometheus.CounterVec
	durations *prometheus.HistogramVec
	refused   *prometheus.CounterVec
	missing   *missing
}

// Checks take tens of microseconds, and Envoy gives up after 250 ms.
var buckets = []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3}

// NewMetrics counts on a registry of its own: nothing that a library registers
// by being imported is shown.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshpass_decisions_total", Help: "Checks answered.",
		}, []string{"listener", "decision", "reason"}),
		shadows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshpass_shadow_decisions_total", Help: "Answers that were not given, because what would give them is in shadow or lifted.",
		}, []string{"listener", "given", "decision", "reason"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "meshpass_check_duration_seconds", Help: "Time from a Check's arrival to its answer.", Buckets: buckets,
		}, []string{"listener"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshpass_reload_failures_total", Help: "Changed files that were refused; the last good state stayed in force.",
		}, []string{"source"}),
		missing: newMissing(),
	}
	m.registry.MustRegister(m.decisions, m.shadows, m.durations, m.refused, m.missing.counter, buildInfo(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Listener counts one listener's Checks. Every reason stands at 0 from the start:
// an alert on the first event of a kind needs a value before it.
func (m *Metrics) Listener(name string) *Listener {
	for _, reason := range decision.Reasons() {
		m.decisions.WithLabelValues(name, word(reason), string(reason))
	}
	return &Listener{metrics: m, name: name, duration: m.durations.WithLabelValues(name)}
}

// word is the decision that goes with a reason.
func word(r decision.Reason) string { return decision.Decision{Reason: r}.String() }

// Listener is the meter of one listener.
type Listener struct {
	metrics  *Metrics
	name     string
	duration prometheus.Observer
}

// Decided counts an answer, and those below it that were not given.
func (l *Listener) Decided(d decision.Decision, took time.Duration) {
	l.metrics.decisions.WithLabelValues(l.name, d.String(), string(d.Reason)).Inc()
	for s := d.Shadow; s != nil; s = s.Shadow {
		l.metrics.shadows.WithLabelValues(l.name, d.String(), s.String(), string(s.Reason)).Inc()
	}
	l.duration.Observe(took.Seconds())
}

// ChangeRejected counts a change of files that could not be put in force.
func (m *Metrics) ChangeRejected(source string) { m.refused.WithLabelValues(source).Inc() }
