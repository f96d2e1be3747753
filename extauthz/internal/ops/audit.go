package ops

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/internal/logqueue"
)

// Audit shows the audit trail, read at each scrape.
func (m *Metrics) Audit(now func() status.Audit) { m.registry.MustRegister(auditCollector(now)) }

type auditCollector func() status.Audit

var (
	recordsWritten    = prometheus.NewDesc("meshpass_audit_records_written_total", "Audit records that were written.", nil, nil)
	recordsLost       = prometheus.NewDesc("meshpass_audit_records_lost_total", "Audit records that were lost.", []string{"cause"}, nil)
	recordsFailed     = prometheus.NewDesc("meshpass_audit_write_failures_total", "Audit records that were lost, for whatever cause.", nil, nil)
	recordsSuppressed = prometheus.NewDesc("meshpass_audit_records_suppressed_total", "Denials of callers of whom nothing was verified, beyond those that are recorded one by one.", nil, nil)
	queueBytes        = prometheus.NewDesc("meshpass_audit_queue_bytes", "Audit records that wait to be written.", nil, nil)
	queueLimit        = prometheus.NewDesc("meshpass_audit_queue_limit_bytes", "Bound of the records that wait; what comes beyond is lost.", nil, nil)
	queueAge          = prometheus.NewDesc("meshpass_audit_queue_age_seconds", "How long the oldest record waits that is to be written.", nil, nil)
)

func (c auditCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{recordsWritten, recordsLost, recordsFailed, recordsSuppressed, queueBytes, queueLimit, queueAge} {
		descs <- desc
	}
}

func (c auditCollector) Collect(metrics chan<- prometheus.Metric) {
	a := c()
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	all := uint64(0)
	for _, cause := range slices.Sorted(maps.Keys(a.Lost)) {
		send(recordsLost, prometheus.CounterValue, float64(a.Lost[cause]), cause)
		all += a.Lost[cause]
	}
	send(recordsFailed, prometheus.CounterValue, float64(all))
	send(recordsWritten, prometheus.CounterValue, float64(a.Written))
	send(recordsSuppressed, prometheus.CounterValue, float64(a.Suppressed))
	send(queueBytes, prometheus.GaugeValue, float64(a.Bytes))
	send(queueLimit, prometheus.GaugeValue, float64(a.Limit))
	send(queueAge, prometheus.GaugeValue, a.Waits)
}

// LogLines shows what was lost of the log.
func (m *Metrics) LogLines(now func() logqueue.Stats) { m.registry.MustRegister(logCollector(now)) }

type logCollector func() logqueue.Stats

var logLinesLost = prometheus.NewDesc("meshpass_log_lines_lost_total", "Lines of the log that were lost.", []string{"cause"}, nil)

func (c logCollector) Describe(descs chan<- *prometheus.Desc) { descs <- logLinesLost }

func (c logCollector) Collect(metrics chan<- prometheus.Metric) {
	lost := c().Lost
	for _, cause := range logqueue.Causes() {
		metrics <- prometheus.MustNewConstMetric(logLinesLost, prometheus.CounterValue, float64(lost[cause]), string(cause))
	}
}
