package ops

import (
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// Watch shows when the values of the sources were made and whether they are
// what the files hold now. It is read at each scrape, so that no second copy of
// the state can disagree with the first.
func (m *Metrics) Watch(sources Sources) {
	m.registry.MustRegister(sourceCollector(sources))
	for name := range sources {
		m.refused.WithLabelValues(name)
	}
}

type sourceCollector Sources

var (
	lastSuccess = prometheus.NewDesc("meshpass_reload_last_success_timestamp_seconds", "When the value in force was made.", []string{"source"}, nil)
	lastLook    = prometheus.NewDesc("meshpass_reload_last_look_timestamp_seconds", "When the last look at the files came to its end; its age grows while reading one of them hangs.", []string{"source"}, nil)
	current     = prometheus.NewDesc("meshpass_reload_current", "1 while the value in force is what the files hold; 0 while a change is refused.", []string{"source"}, nil)
	generation  = prometheus.NewDesc("meshpass_policies_info", "The generation of the policies in force, as in audit records.", []string{"generation"}, nil)
	wanted      = prometheus.NewDesc("meshpass_policies_wanted_info", "The generation of what the files hold; that in force where nothing is refused.", []string{"generation"}, nil)
	documents   = prometheus.NewDesc("meshpass_policy_documents", "AccessPolicy documents in force.", nil, nil)
	overrides   = prometheus.NewDesc("meshpass_policy_overrides_active", "Overrides that lift policies now.", nil, nil)

	refusedDocuments = prometheus.NewDesc("meshpass_policy_documents_refused", "Documents and files that cannot be used, by what holds instead.", []string{"instead"}, nil)
)

func (c sourceCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- lastSuccess
	descs <- lastLook
	descs <- current
}

func (c sourceCollector) Collect(metrics chan<- prometheus.Metric) {
	for name, source := range c {
		seconds := func(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
		metrics <- prometheus.MustNewConstMetric(lastSuccess, prometheus.GaugeValue, seconds(source.Since()), name)
		metrics <- prometheus.MustNewConstMetric(lastLook, prometheus.GaugeValue, seconds(source.Looked()), name)
		upToDate := 0.0
		if source.Err() == nil {
			upToDate = 1
		}
		metrics <- prometheus.MustNewConstMetric(current, prometheus.GaugeValue, upToDate, name)
	}
}

// Policies shows which policies are in force. There is one generation at a time,
// so that a change ends one series and begins another.
func (m *Metrics) Policies(now func() status.Policies) {
	m.registry.MustRegister(policyCollector(now))
}

type policyCollector func() status.Policies

func (c policyCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{generation, wanted, documents, refusedDocuments, overrides} {
		descs <- desc
	}
}

func (c policyCollector) Collect(metrics chan<- prometheus.Metric) {
	now := c()
	denied := 0
	for _, r := range now.Rejected {
		if r.Denied {
			denied++
		}
	}
	gauge := func(desc *prometheus.Desc, value int, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	gauge(generation, 1, now.Generation)
	gauge(wanted, 1, now.Wanted)
	gauge(documents, now.Documents)
	gauge(refusedDocuments, denied, "denied")
	gauge(refusedDocuments, len(now.Rejected)-denied, "last_good")
	gauge(overrides, len(now.Overrides))
}

// Certificate shows when our own certificate expires: an alert needs to come
// before callers fail to connect.
func (m *Metrics) Certificate(notAfter func() time.Time) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "meshpass_tls_certificate_expiry_timestamp_seconds", Help: "When the certificate in force expires.",
	}, func() float64 { return float64(notAfter().Unix()) }))
}

// buildInfo says which build runs, always with the value 1.
func buildInfo() prometheus.Collector {
	labels := prometheus.Labels{"version": "unknown", "revision": "unknown", "go": runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		labels["version"] = info.Main.Version
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				labels["revision"] = setting.Value
			}
		}
	}
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "meshpass_build_info", Help: "Which build runs.", ConstLabels: labels})
	gauge.Set(1)
	return gauge
}
