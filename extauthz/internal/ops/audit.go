package ops

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/internal/logqueue"
)

// ShowAudit shows the audit trail, read at each scrape.
func (m *Metrics) ShowAudit(now func() status.Audit) { m.registry.MustRegister(auditCollector(now)) }

type auditCollector func() status.Audit

var (
	recordsWritten    = newDesc("meshpass_audit_records_written_total", "Audit records that were written.")
	recordsLost       = newDesc("meshpass_audit_records_lost_total", "Audit records that were lost.", "cause")
	recordsFailed     = newDesc("meshpass_audit_write_failures_total", "Audit records that were lost, for any cause.")
	recordsSuppressed = newDesc("meshpass_audit_records_suppressed_total", "Denials of unverified callers that were counted and not recorded one by one.")
	recordsSampled    = newDesc("meshpass_audit_records_sampled_total", "Allows that were not recorded, because audit.sampleAllowed leaves them out.")
	queueBytes        = newDesc("meshpass_audit_queue_bytes", "Bytes of audit records that wait to be written.")
	queueLimit        = newDesc("meshpass_audit_queue_limit_bytes", "Bound of the bytes that wait; records beyond it are lost.")
	queueAge          = newDesc("meshpass_audit_queue_age_seconds", "How long the oldest of the waiting records has waited.")

	chainCheckpoint = newDesc("meshpass_audit_chain_checkpoint_seconds", "The setting audit.chain.checkpoint.")
	chainLast       = newDesc("meshpass_audit_chain_last_checkpoint_timestamp_seconds", "When the last checkpoint was written; 0: none yet.")
	chainWaits      = newDesc("meshpass_audit_chain_unsigned_seconds", "How long lines have waited for a checkpoint that covers them; 0: all are covered.")
	chainLines      = newDesc("meshpass_audit_chain_unsigned_lines", "Lines after the last checkpoint.")
	chainFailures   = newDesc("meshpass_audit_chain_checkpoint_failures_total", "Checkpoints that could not be written.")
)

func (c auditCollector) Describe(descs chan<- *prometheus.Desc) {
	describeAll(descs, recordsWritten, recordsLost, recordsFailed, recordsSuppressed, recordsSampled, queueBytes, queueLimit, queueAge)
	describeAll(descs, chainCheckpoint, chainLast, chainWaits, chainLines, chainFailures)
}

func (c auditCollector) Collect(metrics chan<- prometheus.Metric) {
	a := c()
	all := uint64(0)
	for _, cause := range slices.Sorted(maps.Keys(a.Lost)) {
		sendCounter(metrics, recordsLost, a.Lost[cause], cause)
		all += a.Lost[cause]
	}
	sendCounter(metrics, recordsFailed, all)
	sendCounter(metrics, recordsWritten, a.Written)
	sendCounter(metrics, recordsSuppressed, a.Suppressed)
	sendCounter(metrics, recordsSampled, a.Sampled)
	sendGauge(metrics, queueBytes, float64(a.Bytes))
	sendGauge(metrics, queueLimit, float64(a.Limit))
	sendGauge(metrics, queueAge, a.Waits)
	if chain := a.Chain; chain != nil {
		sendGauge(metrics, chainCheckpoint, chain.Checkpoint)
		last := 0.0
		if !chain.LastCheckpoint.IsZero() {
			last = unixSeconds(chain.LastCheckpoint)
		}
		sendGauge(metrics, chainLast, last)
		sendGauge(metrics, chainWaits, chain.Waits)
		sendGauge(metrics, chainLines, float64(chain.Uncovered))
		sendCounter(metrics, chainFailures, chain.Failed)
	}
}

// ShowLogLines shows what was lost of the log.
func (m *Metrics) ShowLogLines(now func() logqueue.Stats) { m.registry.MustRegister(logCollector(now)) }

type logCollector func() logqueue.Stats

var logLinesLost = newDesc("meshpass_log_lines_lost_total", "Lines of the log that were lost.", "cause")

func (c logCollector) Describe(descs chan<- *prometheus.Desc) { descs <- logLinesLost }

func (c logCollector) Collect(metrics chan<- prometheus.Metric) {
	lost := c().Lost
	for _, cause := range logqueue.Causes() {
		sendCounter(metrics, logLinesLost, lost[cause], string(cause))
	}
}
