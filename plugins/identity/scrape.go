package main

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/plugins/identity/promtext"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
)

// revision is the commit that the plugin was built from; the build sets it.
var revision = "unknown"

// text is the answer to a scrape. Names that the authorizer has too mean the same
// there. No label's value is chosen by a client.
func (w *watch) text() []byte {
	var t promtext.Text
	w.meter.write(&t)
	writeAudit(&t, auditTrails.stats(), logLines().Stats(), time.Now())
	s := w.inForce.Load()
	t.Family("meshpass_edge_ready", promtext.Gauge, "1 while a token can be signed and verified and the hooks of all API definitions run, as the canary tests it.")
	t.Flag(s.ready() == nil)
	w.definitions.write(&t)
	s.writeConfig(&t)
	s.writeKeys(&t)
	t.Family("meshpass_build_info", promtext.Gauge, "Which build runs.")
	t.Sample(1, "revision", revision, "go", runtime.Version())
	return t.Bytes()
}

func (m *meter) write(t *promtext.Text) {
	t.Family("meshpass_edge_decisions_total", promtext.Counter, "Tokens issued, requests refused or passed on without identity.")
	for _, reason := range decision.Reasons() {
		d := decision.Decision{Reason: reason}
		t.Sample(count(m.decisions[reason]), "decision", d.String(), "reason", string(reason))
	}
	t.Family("meshpass_edge_shadow_decisions_total", promtext.Counter, "Answers of edge policies that were not given, because they are not enforced or in shadow.")
	for _, reason := range decision.Reasons() {
		d := decision.Decision{Reason: reason}
		t.Sample(count(m.shadows[reason]), "decision", d.String(), "reason", string(reason))
	}
	t.Family("meshpass_edge_canary_answers_total", promtext.Counter, "Answers of the canary.")
	for _, reason := range canaryReasons {
		t.Sample(count(m.canary[reason]), "reason", string(reason))
	}
	t.Histograms("meshpass_edge_hook_duration_seconds", "Time that a hook took of a request.")
	for _, hook := range []string{signHookName, guardHookName} {
		t.Histogram(m.hooks[hook], "hook", hook)
	}
	t.Family("meshpass_edge_goroutine_panics_total", promtext.Counter, "Panics outside of requests; the goroutine was started again.")
	for _, name := range goroutines {
		t.Sample(count(m.panics[name]), "goroutine", name)
	}
	m.mapped.write(t)
	m.writeSources(t)
	m.writeRevocations(t)
}

// writeAudit shows what became of records, and of our own lines in the gateway's log.
func writeAudit(t *promtext.Text, records audit.Stats, lines logqueue.Stats, now time.Time) {
	t.Family("meshpass_audit_records_written_total", promtext.Counter, "Audit records that were written.")
	t.Sample(float64(records.Written))
	t.Family("meshpass_audit_records_lost_total", promtext.Counter, "Audit records that were lost.")
	for _, cause := range logqueue.Causes() {
		t.Sample(float64(records.Lost[cause]), "cause", string(cause))
	}
	t.Family("meshpass_audit_write_failures_total", promtext.Counter, "Audit records that were lost, for whatever cause.")
	t.Sample(float64(records.AllLost()))
	t.Family("meshpass_audit_records_suppressed_total", promtext.Counter, "Denials of callers of whom nothing was verified, beyond those that are recorded one by one.")
	t.Sample(float64(records.Suppressed))
	t.Family("meshpass_audit_queue_bytes", promtext.Gauge, "Audit records that wait to be written.")
	t.Sample(float64(records.Bytes))
	t.Family("meshpass_audit_queue_limit_bytes", promtext.Gauge, "Bound of the records that wait; what comes beyond is lost.")
	t.Sample(float64(records.Limit))
	t.Family("meshpass_audit_queue_age_seconds", promtext.Gauge, "How long the oldest record waits that is to be written.")
	age := time.Duration(0)
	if !records.Oldest.IsZero() {
		age = now.Sub(records.Oldest)
	}
	t.Sample(age.Seconds())
	t.Family("meshpass_log_lines_lost_total", promtext.Counter, "Lines of the plugin's log that were lost.")
	for _, cause := range logqueue.Causes() {
		t.Sample(float64(lines.Lost[cause]), "cause", string(cause))
	}
}

func (m *meter) writeSources(t *promtext.Text) {
	t.Family("meshpass_reload_current", promtext.Gauge, "1 while the value in force is what the files hold; 0 while a change is refused.")
	for _, s := range sources {
		t.Flag(m.sources[s].loaded.Load() != 0 && !m.sources[s].refused.Load(), "source", string(s))
	}
	t.Family("meshpass_reload_failures_total", promtext.Counter, "Changed files that were refused; the last good state stayed in force.")
	for _, s := range sources {
		t.Sample(count(&m.sources[s].failures), "source", string(s))
	}
	t.Family("meshpass_reload_last_success_timestamp_seconds", promtext.Gauge, "When the value in force was made.")
	for _, s := range sources {
		t.Time(time.UnixMilli(m.sources[s].loaded.Load()), "source", string(s))
	}
	t.Family("meshpass_reload_last_look_timestamp_seconds", promtext.Gauge, "When the last look at the files came to its end; its age grows while reading one of them hangs.")
	for _, s := range sources {
		t.Time(time.UnixMilli(m.sources[s].looked.Load()), "source", string(s))
	}
}

func count(c *atomic.Uint64) float64 { return float64(c.Load()) }

// writeConfig shows one generation at a time, so that a change ends one series and
// begins another. Without a usable file there is none.
func (s *signer) writeConfig(t *promtext.Text) {
	t.Family("meshpass_edge_config_info", promtext.Gauge, "The generation of the configuration in force: the start of its SHA-256.")
	if s.broken == nil {
		t.Sample(1, "generation", s.config.generation)
	}
}

// writeKeys shows every key of the folder: a rotation can be followed, and an end
// without a successor be seen before it comes.
func (s *signer) writeKeys(t *promtext.Text) {
	if s.broken != nil {
		return
	}
	keys, now := s.keys.Keys(), s.now()
	current, _ := s.keys.Current(now) // nil, and then no key has the value 1
	t.Family("meshpass_edge_key_current", promtext.Gauge, "1 for the key that signs now.")
	for _, key := range keys {
		t.Flag(key == current, "kid", key.ID(), "algorithm", key.Algorithm())
	}
	t.Family("meshpass_edge_key_sign_from_timestamp_seconds", promtext.Gauge, "From when the key may sign.")
	for _, key := range keys {
		t.Time(key.Plan().SignFrom, "kid", key.ID())
	}
	t.Family("meshpass_edge_key_sign_until_timestamp_seconds", promtext.Gauge, "Until when the key may sign.")
	for _, key := range keys {
		t.Time(key.Plan().SignUntil, "kid", key.ID())
	}
}
