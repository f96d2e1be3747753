package main

import (
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/shared/audit"
)

// Where audit records may go: descriptors of the gateway's process.
const (
	toStdout = "stdout"
	toStderr = "stderr"
)

// Bounds of the section audit. The least queue holds several of the largest records.
const (
	minAuditQueue = 256 * bytesize.KiB
	maxAuditQueue = bytesize.GiB
	maxAnonymous  = 100_000 // a second: all of them, in practice
)

// logLines queues the plugin's own log, which hooks write too. It lives as long as
// the gateway.
var logLines = sync.OnceValue(func() *logqueue.Queue {
	return logqueue.New(duplicate(os.Stderr), logqueue.Options{Limit: 1 << 20})
})

// trails are the audit logs of the process, one for each output. They live as long
// as the gateway: signers come and go, and what waits is written all the same.
type trails struct {
	mu   sync.Mutex
	logs map[string]*audit.Log // by output
}

var auditTrails = &trails{logs: map[string]*audit.Log{}}

// log gives the one of the output, with the limits of the configuration.
func (t *trails) log(c auditConfig, log *slog.Logger) *audit.Log {
	t.mu.Lock()
	defer t.mu.Unlock()
	trail, known := t.logs[c.Output]
	if !known {
		file := os.Stdout
		if c.Output == toStderr {
			file = os.Stderr
		}
		trail = audit.New(duplicate(file), audit.Options{Log: log})
		t.logs[c.Output] = trail
	}
	trail.SetLimits(int(c.Queue), c.AnonymousDenials)
	return trail
}

// stats are the sums over all outputs.
func (t *trails) stats() (all audit.Stats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all.Lost = map[logqueue.Cause]uint64{}
	for _, trail := range t.logs {
		s := trail.Stats()
		all.Written += s.Written
		all.Suppressed += s.Suppressed
		all.Bytes += s.Bytes
		all.Limit += s.Limit
		for cause, count := range s.Lost {
			all.Lost[cause] += count
		}
		if !s.Oldest.IsZero() && (all.Oldest.IsZero() || s.Oldest.Before(all.Oldest)) {
			all.Oldest = s.Oldest
		}
	}
	return all
}

// duplicate is a descriptor of our own of the gateway's output: a reader that is gone
// would end the gateway if we wrote to descriptor 1 or 2 itself.
func duplicate(file *os.File) io.Writer {
	double, err := logqueue.Duplicate(file)
	if err != nil {
		return closed{err}
	}
	return double
}

// closed is an output that the gateway was started without: every record is lost, and counted.
type closed struct{ err error }

func (c closed) Write([]byte) (int, error) { return 0, c.err }
