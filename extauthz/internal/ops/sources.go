package ops

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Source is a value made from files that may change, as its reader sees it.
type Source interface {
	Since() time.Time // when the active value was loaded
	Err() error       // why what the files hold now is not active; nil: it is

	// Looked is when the last look at the files ended.
	Looked() time.Time
}

// Sources are named as in logs, readiness and metrics.
type Sources map[string]Source

// hangTime is far longer than a look and the pause before the next one take together.
const hangTime = 15 * time.Second

// HangsMessage describes a source that hangs.
const HangsMessage = "the files are not looked at any more: reading one of them hangs, as at a network mount whose server is away; no change takes effect"

// Hangs reports whether a look at the files has not ended in time.
func Hangs(s Source, now time.Time) bool { return now.Sub(s.Looked()) > hangTime }

// ShowSources shows when the values of the sources were loaded and whether they are
// up to date with the files. The state is read at each scrape, so that no second copy of
// the state can disagree with the first.
func (m *Metrics) ShowSources(sources Sources) {
	m.registry.MustRegister(sourceCollector(sources))
	for name := range sources {
		m.rejected.WithLabelValues(name)
	}
}

type sourceCollector Sources

var (
	lastSuccess = newDesc("meshpass_reload_last_success_timestamp_seconds", "When the active value was loaded.", "source")
	lastLook    = newDesc("meshpass_reload_last_look_timestamp_seconds", "When the last look at the files ended; its age grows while reading one of them hangs.", "source")
	isCurrent   = newDesc("meshpass_reload_current", "1 while the active value is what the files hold; 0 while a change is rejected.", "source")
)

func (c sourceCollector) Describe(descs chan<- *prometheus.Desc) {
	describeAll(descs, lastSuccess, lastLook, isCurrent)
}

func (c sourceCollector) Collect(metrics chan<- prometheus.Metric) {
	for name, source := range c {
		sendGauge(metrics, lastSuccess, unixSeconds(source.Since()), name)
		sendGauge(metrics, lastLook, unixSeconds(source.Looked()), name)
		current := 0.0
		if source.Err() == nil {
			current = 1
		}
		sendGauge(metrics, isCurrent, current, name)
	}
}

// ShowCertificate shows when the authorizer's own certificate expires: an alert must come
// before callers fail to connect.
func (m *Metrics) ShowCertificate(notAfter func() time.Time) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "meshpass_tls_certificate_expiry_timestamp_seconds", Help: "When the active certificate expires.",
	}, func() float64 { return float64(notAfter().Unix()) }))
}
