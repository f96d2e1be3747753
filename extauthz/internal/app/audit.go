package app

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/internal/auditconfig"
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/audit"
)

type auditConfig struct {
	Output string        `yaml:"output" env:"expand"`
	Queue  bytesize.Size `yaml:"queue"` // bytes of records that wait for their reader or disk

	AnonymousDenials int      `yaml:"anonymousDenials"` // recorded a second, for each reason
	Required         bool     `yaml:"required"`         // an allow is answered only after its record was written
	SampleAllowed    float64  `yaml:"sampleAllowed"`    // share of allows that are recorded
	Mask             []string `yaml:"mask"`             // fields of records whose values are replaced

	Chain auditconfig.Chain `yaml:"chain"`
}

const toStdout = "stdout"

func defaultAudit() auditConfig {
	return auditConfig{Output: toStdout, Queue: audit.DefaultQueue, AnonymousDenials: audit.DefaultAnonymous, SampleAllowed: 1, Chain: auditconfig.DefaultChain}
}

func (c auditConfig) settings() audit.Settings {
	return audit.Settings{
		Queue: int(c.Queue), Anonymous: c.AnonymousDenials, Required: c.Required, SampleAllowed: &c.SampleAllowed, Mask: c.Mask,
	}
}

func (c auditConfig) check(file *strictyaml.Checker) {
	auditconfig.Check(file, c.settings())
	auditconfig.CheckChain(file, c.Chain)
	at := strictyaml.Path{"audit", "output"}
	file.RequireText(at, c.Output)
	if c.Output == "stderr" { // as the plugin's file has it
		file.Reject(at, "stderr holds the log: write stdout, or the name of a file, such as ./stderr")
	}
}

func (c auditConfig) isFile() bool { return c.Output != toStdout && c.Output != "" }

// isPipe reports whether the output is a named pipe, which only a start opens.
func (c auditConfig) isPipe(file *strictyaml.Checker) bool {
	if !c.isFile() {
		return false
	}
	info, err := os.Stat(file.ResolvePath(c.Output))
	return err == nil && info.Mode().Type() == os.ModeNamedPipe
}

// checkOutput finds why the file could not be opened, without opening it.
func (c auditConfig) checkOutput(file *strictyaml.Checker) {
	if c.isFile() {
		file.RejectError(strictyaml.Path{"audit", "output"}, logqueue.CheckFile(file.ResolvePath(c.Output)))
	}
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
	config  auditConfig
	records *audit.Log
	log     *slog.Logger
	now     func() time.Time
}

func newAuditTrail(c auditConfig, chain *audit.Chain, output io.Writer, log *slog.Logger, now func() time.Time) auditTrail {
	settings := c.settings()
	settings.Chain = chain
	records := audit.New(output, audit.Options{Settings: settings, Now: now, Log: log})
	return auditTrail{config: c, records: records, log: log, now: now}
}

// auditDrain is how long records that wait may take to be written at a stop.
const auditDrain = 2 * time.Second

// close writes the records that wait. The reader or disk may hang: the process ends all the same.
func (t auditTrail) close() {
	ctx, cancel := context.WithTimeout(context.Background(), auditDrain)
	defer cancel()
	if err := t.records.Close(ctx); err != nil {
		t.log.Error("audit records are lost at the end", "output", t.config.Output, "error", err)
	}
}

// reopen opens the file again, as SIGHUP asks for: a rotated file is left to the program that rotates it.
func (t auditTrail) reopen() {
	if t.config.Output == toStdout {
		t.log.Info("hangup: audit records go to standard output, and no file is opened again")
		return
	}
	t.records.Reopen()
	t.log.Info("hangup: the audit file is opened again", "output", t.config.Output)
}

func (t auditTrail) status() status.Audit {
	s := t.records.Stats()
	report := status.Audit{
		Output: t.config.Output, Required: t.config.Required, SampleAllowed: &t.config.SampleAllowed, Mask: t.config.Mask,
		Queued: s.Queued, Bytes: s.Bytes, Limit: s.Limit, Written: s.Written,
		Lost: map[string]uint64{}, Suppressed: s.Suppressed, Sampled: s.Sampled,
		Chain: status.DescribeChain(s.Chain, t.now()),
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
