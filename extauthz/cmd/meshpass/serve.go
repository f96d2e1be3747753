package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/app"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// Both together are well below the 30 s that Kubernetes gives a container to
// end. In the delay, readiness probes and endpoints take callers elsewhere;
// the drain is far longer than a Check takes.
const (
	drainDelay = 5 * time.Second
	drain      = 10 * time.Second
)

func newServe() *cobra.Command {
	var config string
	var strict bool
	output := logOutput{level: "info", format: "json"}
	delay := drainDelay
	cmd := &cobra.Command{
		Use: "serve --config FILE [flags]", Short: "Answer Envoy's ext_authz Checks", Args: noArgs,
		Long: `Answers Envoy's ext_authz Checks until SIGTERM or SIGINT; a second signal kills the
process. Logs go to standard error. Audit records go to standard output, unless the
configuration names a file. No Check waits for either: lines and records that cannot
be written are counted in the metrics. SIGHUP opens the audit file again, for rotation;
a file that was renamed or removed is noticed without it.

The garbage collector keeps the memory below 90 % of the limit of the container
(cgroup), unless the environment sets GOMEMLIMIT.

Exit codes: 0 ended by a signal; 2 the configuration is rejected, or the process
could not serve.`,
	}
	addText(cmd, &config, "config", "FILE", "the configuration, described in docs/configuration.md (required)")
	cmd.Flags().BoolVar(&strict, "strict", false, "an invalid policy document rejects the whole change, and the start. "+
		"Without this flag the other documents become active; an invalid one keeps its last good version, or everything that it targets is denied if it has none")
	addDuration(cmd, &delay, "drain-delay", "keep answering for this time after \"not ready\", so that callers go elsewhere first; used only if ops is configured")
	addChoice(cmd, &output.level, "log-level", "", "the least level of the lines in the log; the debug listener changes it while the process runs", "debug", "info", "warn", "error")
	addChoice(cmd, &output.format, "log-format", "", "the form of the lines in the log", "json", "text")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if config == "" {
			return newUsageError(cmd, "serve needs --config FILE")
		}
		if delay < 0 {
			return newUsageError(cmd, "--drain-delay must not be negative")
		}
		return serve(cmd, config, output, strict, delay)
	}
	return cmd
}

func serve(cmd *cobra.Command, config string, output logOutput, strict bool, delay time.Duration) error {
	signal.Ignore(syscall.SIGPIPE) // when a reader of stdout or stderr ends, the write fails and is counted
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ctx := cmd.Context()
	lines := newLog(cmd.ErrOrStderr(), output)
	defer endInTime(ctx, delay+drain+lastDrain)()
	defer endLog(lines)
	level := output.newLevel()
	log := slog.New(output.newHandler(lines.Writer(), level))
	level.LogChanges(log)
	followMemoryLimit(os.Getenv("GOMEMLIMIT"), memlimit.FromCgroup, log)
	err := app.Run(ctx, app.Process{
		ConfigFile: config,
		Strict:     strict,
		Stdout:     cmd.OutOrStdout(),
		Log:        log,
		LogStats:   lines.Stats,
		LogLevel:   level,
		Hangup:     hangup,
		Now:        time.Now,
		DrainDelay: delay,
		Drain:      drain,
	})
	// For people at the terminal: one problem a line, in the form that editors read.
	if problems, ok := errors.AsType[strictyaml.Problems](err); ok {
		fmt.Fprintln(lines.Writer(), problems)
		err = fmt.Errorf("the configuration is rejected: %d to fix, nothing was started", len(problems))
	}
	if err == nil {
		return nil
	}
	// The error goes through the log, whose end is bounded: a reader that hangs cannot keep the process.
	return &exitError{code: reportError(err, false, cmd.OutOrStdout(), lines.Writer())}
}
