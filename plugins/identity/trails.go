package main

import (
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/shared/audit"
)

// logLines queues the plugin's own log, also that of hooks. It lives as long as the gateway.
var logLines = sync.OnceValue(func() *logqueue.Queue {
	return logqueue.New(duplicateOutput(os.Stderr), logqueue.Options{Limit: 1 << 20})
})

// trails are the audit logs of the process, one for each output. They live as long as the gateway, so
// that waiting records are written also after their signer was replaced.
type trails struct {
	mu   sync.Mutex
	logs map[string]*audit.Log // by output
}

var auditTrails = &trails{logs: map[string]*audit.Log{}}

// openTrail gives the audit log of the output, and applies the settings of the configuration.
func (t *trails) openTrail(c settings.Audit, chain *audit.Chain, log *slog.Logger) *audit.Log {
	t.mu.Lock()
	defer t.mu.Unlock()
	trail, known := t.logs[c.Output]
	if !known {
		file := os.Stdout
		if c.Output == settings.Stderr {
			file = os.Stderr
		}
		trail = audit.New(duplicateOutput(file), audit.Options{Log: log})
		t.logs[c.Output] = trail
	}
	s := c.Settings()
	s.Chain = chain
	trail.Apply(s)
	return trail
}

// sumStats are the sums over all outputs.
func (t *trails) sumStats() (all audit.Stats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all.Lost = map[logqueue.Cause]uint64{}
	for _, trail := range t.logs {
		s := trail.Stats()
		all.Written += s.Written
		all.Suppressed += s.Suppressed
		all.Sampled += s.Sampled
		all.Bytes += s.Bytes
		all.Limit += s.Limit
		for cause, count := range s.Lost {
			all.Lost[cause] += count
		}
		if !s.Oldest.IsZero() && (all.Oldest.IsZero() || s.Oldest.Before(all.Oldest)) {
			all.Oldest = s.Oldest
		}
		all.Chain = joinChains(all.Chain, s.Chain)
	}
	return all
}

// joinChains are the chains of two outputs as one. The checkpoint that is missing for longer counts.
func joinChains(a, b audit.ChainStats) audit.ChainStats {
	switch {
	case a.ID == "":
		b.Failed += a.Failed
		return b
	case b.ID == "":
		a.Failed += b.Failed
		return a
	}
	if !b.WaitsSince.IsZero() && (a.WaitsSince.IsZero() || b.WaitsSince.Before(a.WaitsSince)) {
		a.WaitsSince = b.WaitsSince
	}
	if b.LastCheckpoint.After(a.LastCheckpoint) {
		a.LastCheckpoint = b.LastCheckpoint
	}
	a.Checkpoint = min(a.Checkpoint, b.Checkpoint)
	a.Lines, a.Uncovered, a.Failed = a.Lines+b.Lines, a.Uncovered+b.Uncovered, a.Failed+b.Failed
	return a
}

// duplicateOutput gives a descriptor of our own for the gateway's output: if its reader has gone, a
// write to descriptor 1 or 2 itself would end the gateway.
func duplicateOutput(file *os.File) io.Writer {
	duplicate, err := logqueue.DuplicateFile(file)
	if err != nil {
		return missingOutput{err}
	}
	return duplicate
}

// missingOutput is an output that the gateway was started without: every record is lost, and counted.
type missingOutput struct{ err error }

func (m missingOutput) Write([]byte) (int, error) { return 0, m.err }
