package app

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/audit"
)

type auditConfig struct {
	Output string        `yaml:"output" env:"expand"`
	Queue  bytesize.Size `yaml:"queue"` // bytes of records that wait for their reader or disk

	AnonymousDenials int `yaml:"anonymousDenials"` // recorded a second, for each reason
}

const toStdout = "stdout"

func defaultAudit() auditConfig {
	return auditConfig{Output: toStdout, Queue: audit.DefaultQueue, AnonymousDenials: audit.DefaultAnonymous}
}

// Bounds of the section. The smallest queue holds several of the largest records.
const (
	minAuditQueue = 256 * bytesize.KiB
	maxAuditQueue = bytesize.GiB
	maxAnonymous  = 100_000 // a second: all of them, in practice
)

func (c auditConfig) check(file *strictyaml.Checker) {
	at := strictyaml.Path{"audit"}
	strictyaml.RequireRange(file, at.With("queue"), c.Queue, minAuditQueue, maxAuditQueue)
	if n := c.AnonymousDenials; n < 1 || n > maxAnonymous {
		file.Reject(at.With("anonymousDenials"), "want 1 to %d records a second for each reason, not %d", maxAnonymous, n)
	}
	file.RequireText(at.With("output"), c.Output)
}

// openOutput opens stdout, or a file that is appended to. It is nil after a problem.
func (c auditConfig) openOutput(file *strictyaml.Checker, stdout io.Writer) io.Writer {
	switch c.Output {
	case toStdout:
		return stdout
	case "":
		return nil
	}
	output, err := logqueue.OpenFile(file.ResolvePath(c.Output))
	if err != nil {
		file.RejectError(strictyaml.Path{"audit", "output"}, err)
		return nil
	}
	return output
}

// closeOutput closes the output of a configuration that is rejected.
func closeOutput(output io.Writer) {
	if file, ok := output.(*logqueue.File); ok {
		_ = file.Close() // nothing was written
	}
}

// auditTrail is where records go.
type auditTrail struct {
	records *audit.Log
	output  string // its name for people
	log     *slog.Logger
	now     func() time.Time
}

func newAuditTrail(c auditConfig, output io.Writer, log *slog.Logger, now func() time.Time) auditTrail {
	options := audit.Options{Queue: int(c.Queue), Anonymous: c.AnonymousDenials, Now: now, Log: log}
	return auditTrail{records: audit.New(output, options), output: c.Output, log: log, now: now}
}

// auditDrain is how long records that wait may take to be written at a stop.
const auditDrain = 2 * time.Second

// close writes the records that wait. The reader or disk may hang: the process ends all the same.
func (t auditTrail) close() {
	ctx, cancel := context.WithTimeout(context.Background(), auditDrain)
	defer cancel()
	if err := t.records.Close(ctx); err != nil {
		t.log.Error("audit records are lost at the end", "output", t.output, "error", err)
	}
}

// reopen opens the file again, as SIGHUP asks for: a rotated file is left to the program that rotates it.
func (t auditTrail) reopen() {
	if t.output == toStdout {
		t.log.Info("hangup: audit records go to standard output, and no file is opened again")
		return
	}
	t.records.Reopen()
	t.log.Info("hangup: the audit file is opened again", "output", t.output)
}

func (t auditTrail) status() status.Audit {
	s := t.records.Stats()
	report := status.Audit{
		Output: t.output, Queued: s.Queued, Bytes: s.Bytes, Limit: s.Limit, Written: s.Written,
		Lost: map[string]uint64{}, Suppressed: s.Suppressed,
	}
	if !s.Oldest.IsZero() {
		report.Waits = t.now().Sub(s.Oldest).Seconds()
	}
	for _, cause := range logqueue.Causes() {
		report.Lost[string(cause)] = s.Lost[cause]
	}
	if s.Err != nil {
		report.Problem = s.Err.Error()
	}
	return report
}
