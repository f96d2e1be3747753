package ops

import (
	"cmp"
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/meshpass/meshpass/extauthz/internal/tracing"
	"github.com/meshpass/meshpass/internal/buildinfo"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// Metrics are those of one process. No label's value is chosen by a client, so
// their number is bounded by the configuration, and for workloads by a cap.
type Metrics struct {
	registry  *prometheus.Registry
	decisions *prometheus.CounterVec
	shadows   *prometheus.CounterVec
	durations *prometheus.HistogramVec
	denials   *prometheus.CounterVec
	rejected  *prometheus.CounterVec
	missing   *missingTokens
}

// durationBuckets, in seconds: Checks take tens of microseconds, and Envoy gives up after 250 ms.
var durationBuckets = []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3}

// NewMetrics makes metrics with a registry of their own: nothing that a library registers
// when it is imported is shown.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshpass_decisions_total", Help: "Checks answered.",
		}, []string{"listener", "decision", "reason"}),
		shadows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshpass_shadow_decisions_total", Help: "Answers that were not given, because the document that makes them is in shadow or lifted.",
		}, []string{"listener", "given", "decision", "reason"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "meshpass_check_duration_seconds", Help: "Time from a Check's arrival to its answer.", Buckets: durationBuckets,
		}, []string{"listener"}),
		denials: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshpass_policy_denials_total", Help: "Checks denied, by the document and the rule that decided.",
		}, []string{"listener", "folder", "policy", "rule", "reason"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshpass_reload_failures_total", Help: "Changes of files that were rejected; the last good state stayed active.",
		}, []string{"source"}),
		missing: newMissingTokens(),
	}
	m.registry.MustRegister(m.decisions, m.shadows, m.durations, m.denials, m.rejected, m.missing.counter, newBuildInfo(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// ChangeRejected counts a change of files that could not become active.
func (m *Metrics) ChangeRejected(source string) { m.rejected.WithLabelValues(source).Inc() }

// Listener is the meter of one listener.
type Listener struct {
	metrics   *Metrics
	name      string
	decisions map[decision.Reason]prometheus.Counter // a reason has one decision
	duration  histogram
}

// histogram is what the client library's histograms are: an exemplar names a sampled
// trace beside a duration, in the OpenMetrics format only.
type histogram interface {
	prometheus.Observer
	prometheus.ExemplarObserver
}

// Listener counts one listener's Checks. Every reason is 0 from the start:
// an alert on the first event of a kind needs a value before it.
func (m *Metrics) Listener(name string) *Listener {
	l := &Listener{metrics: m, name: name, decisions: map[decision.Reason]prometheus.Counter{}, duration: m.durations.WithLabelValues(name).(histogram)}
	for _, reason := range decision.Reasons() {
		l.decisions[reason] = m.decisions.WithLabelValues(name, decision.Decision{Reason: reason}.String(), string(reason))
	}
	return l
}

// Decided counts an answer, and those below it that were not given.
func (l *Listener) Decided(ctx context.Context, d decision.Decision, took time.Duration) {
	if counter := l.decisions[d.Reason]; counter != nil {
		counter.Inc()
	} else { // no reason of the list, as in the zero decision
		l.metrics.decisions.WithLabelValues(l.name, d.String(), string(d.Reason)).Inc()
	}
	if !d.Allowed() { // names of documents and rules, which no client chooses
		l.metrics.denials.WithLabelValues(l.name, d.Folder, d.Policy, d.Rule, string(d.Reason)).Inc()
	}
	for s := d.Shadow; s != nil; s = s.Shadow {
		l.metrics.shadows.WithLabelValues(l.name, d.String(), s.String(), string(s.Reason)).Inc()
	}
	if id := tracing.SampledTrace(ctx); id != "" {
		l.duration.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": id})
		return
	}
	l.duration.Observe(took.Seconds())
}

// TokenMissing counts a request that was denied because it had no token.
func (l *Listener) TokenMissing(caller, callee identity.Workload) {
	l.metrics.missing.countPair([3]string{l.name, string(caller), string(callee)})
}

// missingTokens counts requests without a token by caller and callee: the caller is the service that
// did not pass the token on.
type missingTokens struct {
	counter *prometheus.CounterVec

	mu   sync.Mutex
	seen map[[3]string]bool
}

// maxPairs bounds the pairs of workloads that have a series of their own: another mesh chooses the
// names of its workloads. Later pairs are counted together.
const maxPairs = 1000

// otherWorkload replaces both workloads of a pair beyond maxPairs; no workload has this name.
const otherWorkload = "other"

func newMissingTokens() *missingTokens {
	return &missingTokens{seen: map[[3]string]bool{}, counter: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "meshpass_token_missing_total", Help: "Requests denied because they had no token, by caller and callee.",
	}, []string{"listener", "caller", "callee"})}
}

func (m *missingTokens) countPair(pair [3]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.seen[pair]:
	case len(m.seen) < maxPairs:
		for i := range pair { // they are parts of a whole Check, which would stay in memory
			pair[i] = strings.Clone(pair[i])
		}
		m.seen[pair] = true
	default:
		pair[1], pair[2] = otherWorkload, otherWorkload
	}
	m.counter.WithLabelValues(pair[:]...).Inc()
}

// newBuildInfo names the build, always with the value 1.
func newBuildInfo() prometheus.Collector {
	build := buildinfo.ReadBuild()
	labels := prometheus.Labels{
		"version": cmp.Or(build.Version, "unknown"), "revision": cmp.Or(build.Revision, "unknown"), "date": cmp.Or(build.Date, "unknown"), "go": runtime.Version(),
	}
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "meshpass_build_info", Help: "Which build runs.", ConstLabels: labels})
	gauge.Set(1)
	return gauge
}

// newDesc describes a metric that a collector sends.
func newDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

func describeAll(descs chan<- *prometheus.Desc, all ...*prometheus.Desc) {
	for _, desc := range all {
		descs <- desc
	}
}

func sendGauge(metrics chan<- prometheus.Metric, desc *prometheus.Desc, value float64, labels ...string) {
	metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func sendCounter(metrics chan<- prometheus.Metric, desc *prometheus.Desc, value uint64, labels ...string) {
	metrics <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
