package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/meshpass/meshpass/extauthz/app"
	"github.com/meshpass/meshpass/shared/strictyaml"
)

// Both together are well below the 30 s that Kubernetes leaves a container to
// end. The delay is what readiness probes and endpoints take to spread the news;
// the drain is far above the time that a Check takes.
const (
	drainDelay = 5 * time.Second
	drain      = 10 * time.Second
)

const serveUsage = `usage: meshpass serve --config FILE [--strict] [--drain-delay 5s]

Answers Envoy's ext_authz Checks until SIGTERM or SIGINT; a second one kills.
Logs go to standard error; audit records go to standard output, unless the
configuration names a file. No Check waits for either: what cannot be written is
counted in the metrics. SIGHUP opens the audit file again, for rotation; a file that
was renamed or removed is noticed without it.

  --config FILE       the configuration; docs/configuration.md
  --strict            one policy document that is wrong refuses the whole change, and
                      the start; without it the other documents take effect, and
                      of that one the last good version stays, or at the start all
                      that it targets is denied
  --drain-delay 5s    after "not ready", keep answering for that long, so that
                      callers go elsewhere first; only where ops is configured,
                      since without probes nobody hears the news

The garbage collector keeps below 90 % of the memory limit of the container
(cgroup), unless the environment sets GOMEMLIMIT.
`

func (c command) serve(ctx context.Context, args []string) int {
	c.usage = serveUsage
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	config := flags.String("config", "", "")
	strict := flags.Bool("strict", false, "")
	var delay time.Duration
	durationVar(flags, &delay, "drain-delay", drainDelay)
	if code, ok := c.parse(flags, args); !ok {
		return code
	}
	if *config == "" {
		return c.misused("serve needs --config FILE")
	}
	if delay < 0 {
		return c.misused("--drain-delay must not be negative")
	}
	signal.Ignore(syscall.SIGPIPE) // a reader of stdout or stderr that ends is a failed write, which is counted
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	lines := newLog(c.stderr)
	c.stderr = lines.Writer()
	defer endInTime(ctx, delay+drain+lastDrain)()
	defer endLog(lines)
	log := slog.New(slog.NewJSONHandler(c.stderr, nil))
	followMemoryLimit(os.Getenv("GOMEMLIMIT"), memlimit.FromCgroup, log)
	return c.run(ctx, app.Process{
		ConfigFile: *config,
		Strict:     *strict,
		Stdout:     c.stdout,
		Log:        log,
		LogStats:   lines.Stats,
		Hangup:     hangup,
		Now:        time.Now,
		DrainDelay: delay,
		Drain:      drain,
	})
}

func (c command) run(ctx context.Context, p app.Process) int {
	err := app.Run(ctx, p)
	// For the person at the terminal: problems stand one a line, in the form that
	// editors jump to.
	if problems, ok := errors.AsType[strictyaml.Problems](err); ok {
		fmt.Fprintln(c.stderr, problems)
		return c.failed(fmt.Errorf("the configuration is refused: %d to mend, nothing was started", len(problems)))
	}
	if err != nil {
		return c.failed(err)
	}
	return fine
}
