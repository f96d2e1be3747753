package app

import (
	"context"
	"io"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/audit"
)

type auditConfig struct {
	Output string        `yaml:"output"`
	Queue  bytesize.Size `yaml:"queue"` // bytes of records that wait for their reader or disk

	AnonymousDenials int `yaml:"anonymousDenials"` // recorded a second, for each reason
}

const toStdout = "stdout"

// Bounds of the section. The least queue holds several of the largest records.
const (
	minAuditQueue = 256 * bytesize.KiB
	maxAuditQueue = bytesize.GiB
	maxAnonymous  = 100_000 // a second: all of them, in practice
)

// auditDrain is how long records that wait may take to be written at a stop.
const auditDrain = 2 * time.Second

// auditTrail is where records go, and its name for people.
type auditTrail struct {
	*audit.Log
	output string
}

// auditSink opens where audit records go: stdout, or a file that is appended to.
// It is nil after a problem.
func (l *loader) auditSink(stdout io.Writer) (sink io.Writer, output string) {
	strictyaml.RequireRange(l.check, strictyaml.Path{"audit", "queue"}, l.config.Audit.Queue, minAuditQueue, maxAuditQueue)
	if n := l.config.Audit.AnonymousDenials; n < 1 || n > maxAnonymous {
		l.check.Reject(strictyaml.Path{"audit", "anonymousDenials"}, "want 1 to %d records a second for each reason, not %d", maxAnonymous, n)
	}
	at := strictyaml.Path{"audit", "output"}
	output = l.config.Audit.Output
	if !l.check.Has(at) || output == toStdout {
		return stdout, toStdout
	}
	if !l.check.RequireText(at, output) {
		return nil, ""
	}
	file, err := logqueue.OpenFile(l.check.ResolvePath(output))
	if err != nil {
		l.check.Reject(at, "%s", err)
		return nil, ""
	}
	return file, output
}

// closeSink is for a configuration that is refused.
func closeSink(sink io.Writer) {
	if file, ok := sink.(*logqueue.File); ok {
		_ = file.Close() // nothing was written
	}
}

// end writes what waits. The reader or disk may hang: the process ends all the same.
func (a *authorizer) endAudit() {
	ctx, cancel := context.WithTimeout(context.Background(), auditDrain)
	defer cancel()
	if err := a.audit.Close(ctx); err != nil {
		a.Log.Error("audit records are lost at the end", "output", a.audit.output, "error", err)
	}
}

// reopenAudit is what SIGHUP asks for: a rotated file is left to the program that rotates it.
func (a *authorizer) reopenAudit() {
	if a.audit.output == toStdout {
		a.Log.Info("hangup: audit records go to standard output, and no file is opened again")
		return
	}
	a.audit.Reopen()
	a.Log.Info("hangup: the audit file is opened again", "output", a.audit.output)
}

func (a *authorizer) auditStatus() status.Audit {
	s := a.audit.Stats()
	report := status.Audit{
		Output: a.audit.output, Queued: s.Queued, Bytes: s.Bytes, Limit: s.Limit, Written: s.Written,
		Lost: map[string]uint64{}, Suppressed: s.Suppressed,
	}
	if !s.Oldest.IsZero() {
		report.Waits = a.Now().Sub(s.Oldest).Seconds()
	}
	for _, cause := range logqueue.Causes() {
		report.Lost[string(cause)] = s.Lost[cause]
	}
	if s.Err != nil {
		report.Problem = s.Err.Error()
	}
	return report
}
