package metrics

import (
	"cmp"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/internal/buildinfo"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/plugins/identity/metrics/promtext"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/keyset"
)

// Snapshot is what a scrape shows besides the counts of the [Meter].
type Snapshot struct {
	Now   time.Time
	Ready bool // a token can be signed and verified

	RevocationsOlder    bool // the active list has a lower serial than one before
	RevocationsVanished uint64

	Audit    audit.Stats
	LogLines logqueue.Stats // the plugin's own lines in the gateway's log

	DefinitionsVisible bool
	UnguardedAPIs      []LabelledCount // by cause

	Active *ActiveConfig // nil: there is no usable configuration

	Build buildinfo.Build
}

// LabelledCount is a count with the value of its label.
type LabelledCount struct {
	Label string
	Count int
}

// ActiveConfig is the active configuration, with its keys.
type ActiveConfig struct {
	Generation string // the start of its SHA-256
	Keys       []*keyset.SigningKey
	CurrentKey *keyset.SigningKey // the key that signs now; nil: no key may sign
}

// Text is the answer to a scrape. Metrics of the same name mean the same in the authorizer. A client
// cannot choose the value of a label.
func (m *Meter) Text(s Snapshot) []byte {
	var t promtext.Text
	m.writeCounts(&t)
	m.Mapped.writeCounts(&t)
	m.writeSources(&t)
	s.writeRevocations(&t)
	s.writeAudit(&t)
	t.Family("meshpass_edge_ready", promtext.Gauge, "1 while a token can be signed and verified and the hooks of all API definitions run, as the canary tests it.")
	t.Flag(s.Ready)
	s.writeDefinitions(&t)
	s.writeConfig(&t)
	t.Family("meshpass_build_info", promtext.Gauge, "Which build runs.")
	t.Sample(1, "version", cmp.Or(s.Build.Version, "unknown"), "revision", cmp.Or(s.Build.Revision, "unknown"), "date", cmp.Or(s.Build.Date, "unknown"),
		"tyk", cmp.Or(s.Build.TykRelease, "unknown"), "go", runtime.Version())
	return t.Bytes()
}

func (m *Meter) writeCounts(t *promtext.Text) {
	t.Family("meshpass_edge_decisions_total", promtext.Counter, "Tokens issued, requests denied or passed on without identity.")
	writeReasons(t, m.decisions)
	t.Family("meshpass_edge_shadow_decisions_total", promtext.Counter, "Decisions of edge policies that were not applied, because they are not enforced or in shadow.")
	writeReasons(t, m.shadows)
	t.Family("meshpass_edge_canary_answers_total", promtext.Counter, "Answers of the canary.")
	for _, reason := range canaryReasons {
		t.Sample(valueOf(m.canary[reason]), "reason", string(reason))
	}
	t.Histograms("meshpass_edge_hook_duration_seconds", "Time that a hook took of a request.")
	for _, hook := range m.names.Hooks {
		t.Histogram(m.hooks[hook], "hook", hook)
	}
	t.Family("meshpass_edge_goroutine_panics_total", promtext.Counter, "Panics outside of requests; the goroutine was started again.")
	for _, name := range m.names.Goroutines {
		t.Sample(valueOf(m.panics[name]), "goroutine", name)
	}
}

func writeReasons(t *promtext.Text, counts counters) {
	for _, reason := range decision.Reasons() {
		d := decision.Decision{Reason: reason}
		t.Sample(valueOf(counts[reason]), "decision", d.String(), "reason", string(reason))
	}
}

func (m *Meter) writeSources(t *promtext.Text) {
	t.Family("meshpass_reload_current", promtext.Gauge, "1 while the active value is what the files hold; 0 while a change is rejected.")
	for _, name := range m.names.Sources {
		source := m.sources[name]
		t.Flag(source.Loaded.Load() != 0 && !source.Rejected.Load(), "source", name)
	}
	t.Family("meshpass_reload_failures_total", promtext.Counter, "Changed files that were rejected; the last good state stayed active.")
	for _, name := range m.names.Sources {
		t.Sample(valueOf(&m.sources[name].Failures), "source", name)
	}
	t.Family("meshpass_reload_last_success_timestamp_seconds", promtext.Gauge, "When the active value was made.")
	for _, name := range m.names.Sources {
		t.Time(time.UnixMilli(m.sources[name].Loaded.Load()), "source", name)
	}
	t.Family("meshpass_reload_last_look_timestamp_seconds", promtext.Gauge, "When the last look at the files came to its end; its age grows while reading one of them hangs.")
	for _, name := range m.names.Sources {
		t.Time(time.UnixMilli(m.sources[name].Looked.Load()), "source", name)
	}
}

func (s Snapshot) writeRevocations(t *promtext.Text) {
	t.Family("meshpass_revocations_older", promtext.Gauge, "1 while the active list has a lower serial than one before.")
	t.Flag(s.RevocationsOlder, "source", "file")
	t.Family("meshpass_revocations_vanished_total", promtext.Counter, "Entries that left the list, or deny less, before they expired.")
	t.Sample(float64(s.RevocationsVanished), "source", "file")
}

// writeAudit shows how many records, and lines of the plugin in the gateway's log, were written or lost.
func (s Snapshot) writeAudit(t *promtext.Text) {
	records := s.Audit
	t.Family("meshpass_audit_records_written_total", promtext.Counter, "Audit records that were written.")
	t.Sample(float64(records.Written))
	t.Family("meshpass_audit_records_lost_total", promtext.Counter, "Audit records that were lost.")
	for _, cause := range logqueue.Causes() {
		t.Sample(float64(records.Lost[cause]), "cause", string(cause))
	}
	t.Family("meshpass_audit_write_failures_total", promtext.Counter, "Audit records that were lost, for any cause.")
	t.Sample(float64(records.AllLost()))
	t.Family("meshpass_audit_records_suppressed_total", promtext.Counter, "Denials of requests without verified identity, beyond those that are recorded one by one.")
	t.Sample(float64(records.Suppressed))
	t.Family("meshpass_audit_records_sampled_total", promtext.Counter, "Allows that were not recorded, because audit.sampleAllowed leaves them out.")
	t.Sample(float64(records.Sampled))
	t.Family("meshpass_audit_queue_bytes", promtext.Gauge, "Audit records that wait to be written.")
	t.Sample(float64(records.Bytes))
	t.Family("meshpass_audit_queue_limit_bytes", promtext.Gauge, "Bound of the records that wait; further records are lost.")
	t.Sample(float64(records.Limit))
	t.Family("meshpass_audit_queue_age_seconds", promtext.Gauge, "How long the oldest waiting record has waited.")
	age := time.Duration(0)
	if !records.Oldest.IsZero() {
		age = s.Now.Sub(records.Oldest)
	}
	t.Sample(age.Seconds())
	s.writeChain(t)
	t.Family("meshpass_log_lines_lost_total", promtext.Counter, "Lines of the plugin's log that were lost.")
	for _, cause := range logqueue.Causes() {
		t.Sample(float64(s.LogLines.Lost[cause]), "cause", string(cause))
	}
}

// writeChain shows the chain of audit records, if one is written.
func (s Snapshot) writeChain(t *promtext.Text) {
	chain := s.Audit.Chain
	if chain.ID == "" {
		return
	}
	t.Family("meshpass_audit_chain_checkpoint_seconds", promtext.Gauge, "The setting audit.chain.checkpoint.")
	t.Sample(chain.Checkpoint.Seconds())
	t.Family("meshpass_audit_chain_last_checkpoint_timestamp_seconds", promtext.Gauge, "When the last checkpoint was written; 0: none yet.")
	if chain.LastCheckpoint.IsZero() {
		t.Sample(0)
	} else {
		t.Time(chain.LastCheckpoint)
	}
	t.Family("meshpass_audit_chain_unsigned_seconds", promtext.Gauge, "How long lines have waited for a checkpoint that covers them; 0: all are covered.")
	t.Sample(chain.Waits(s.Now).Seconds())
	t.Family("meshpass_audit_chain_unsigned_lines", promtext.Gauge, "Lines after the last checkpoint.")
	t.Sample(float64(chain.Uncovered))
	t.Family("meshpass_audit_chain_checkpoint_failures_total", promtext.Counter, "Checkpoints that could not be written.")
	t.Sample(float64(chain.Failed))
}

func (s Snapshot) writeDefinitions(t *promtext.Text) {
	t.Family("meshpass_edge_definitions_visible", promtext.Gauge, "1 if the gateway loads API definitions from files, so that unguarded ones are found.")
	t.Flag(s.DefinitionsVisible)
	t.Family("meshpass_edge_unguarded_apis", promtext.Gauge, "API definitions whose requests go on without a token or with a client's own, or are denied for their hooks.")
	for _, apis := range s.UnguardedAPIs {
		t.Sample(float64(apis.Count), "cause", apis.Label)
	}
}

// writeConfig shows one generation at a time, so that a change ends one series and begins another. It
// shows every key of the folder, so that a rotation can be followed, and the end of a key without a
// successor is seen before it comes.
func (s Snapshot) writeConfig(t *promtext.Text) {
	t.Family("meshpass_edge_config_info", promtext.Gauge, "The generation of the active configuration: the start of its SHA-256.")
	if s.Active == nil {
		return
	}
	t.Sample(1, "generation", s.Active.Generation)
	t.Family("meshpass_edge_key_current", promtext.Gauge, "1 for the key that signs now.")
	for _, key := range s.Active.Keys {
		t.Flag(key == s.Active.CurrentKey, "kid", key.ID(), "algorithm", key.Algorithm())
	}
	t.Family("meshpass_edge_key_sign_from_timestamp_seconds", promtext.Gauge, "From when the key may sign.")
	for _, key := range s.Active.Keys {
		t.Time(key.Plan().SignFrom, "kid", key.ID())
	}
	t.Family("meshpass_edge_key_sign_until_timestamp_seconds", promtext.Gauge, "Until when the key may sign.")
	for _, key := range s.Active.Keys {
		t.Time(key.Plan().SignUntil, "kid", key.ID())
	}
}

func valueOf(counter *atomic.Uint64) float64 { return float64(counter.Load()) }
