package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/progress"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse/isolate"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse/localcopy"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse/plan"
	"github.com/meshpass/meshpass/internal/atomicfile"
)

// rehearsal is the flags of `rehearse`.
type rehearsal struct {
	programs  localcopy.Programs
	records   string // file
	speed     float64
	isolation string
	html      string // file
	format    string
}

func newRehearse() *cobra.Command {
	r := rehearsal{speed: 1, isolation: "auto", format: "text"}
	cmd := &cobra.Command{
		Use: "rehearse FILE --plugin FILE.so [flags]", Short: "Try rate limits, quotas and rules on a local copy before production", Args: atMostArgs(1),
		Long: `Runs your API definitions and policies of Tyk, the plugin's configuration and your
AccessPolicies on a local copy of the real gateway, Envoy and authorizer, sends the load
that FILE describes, and reports for each caller and API what was answered, by which rule
or limit, and what each layer took. docs/rehearse.md describes FILE.

Everything listens on loopback. Every address in your files is replaced by a stand-in on
loopback, and the report lists it, with each part of a definition that could not run.

With --from, the requests of audit records are sent again instead of the load of FILE.

Exit codes: 0 all expectations of FILE were met; 1 one was missed; 2 the rehearsal could
not run.`,
		Example: `  meshpass rehearse rehearsal.yaml --plugin identity.so --gateway ./tyk --envoy ./envoy
  meshpass rehearse rehearsal.yaml --plugin identity.so --from audit.jsonl --html report.html`,
	}
	addText(cmd, &r.programs.Plugin, "plugin", "FILE", "the plugin that was built for the gateway (required)")
	addText(cmd, &r.programs.Gateway, "gateway", "PROGRAM", "Tyk's gateway; default: tyk in PATH")
	addText(cmd, &r.programs.Envoy, "envoy", "PROGRAM", "Envoy; default: envoy in PATH")
	addText(cmd, &r.programs.Redis, "redis", "PROGRAM", "Redis; default: redis-server in PATH")
	addText(cmd, &r.records, "from", "FILE", "audit records of the gateway and the authorizers, one a line; - is standard input")
	cmd.Flags().Float64Var(&r.speed, "speed", 1, "the `NUMBER` of recorded seconds that are sent in one second")
	addChoice(cmd, &r.isolation, "network", "", "auto: a network namespace with loopback alone, if this machine permits one; isolated: refuse to run without; shared: without", "auto", "isolated", "shared")
	addText(cmd, &r.html, "html", "FILE", "write the report as a page with plots too")
	addChoice(cmd, &r.format, "output", "o", "text for people, json for programs, html for a page with plots", "text", "json", "html")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return newUsageError(cmd, "rehearse needs a FILE that describes the rehearsal")
		}
		if !(r.speed >= 0.01 && r.speed <= 1000) {
			return newUsageError(cmd, "--speed: want 0.01 to 1000, not %v", r.speed)
		}
		ctx, cancel := endWithTerminal(cmd.Context())
		defer cancel()
		cmd.SetContext(ctx)
		return r.run(cmd, args[0], cancel)
	}
	return cmd
}

// endWithTerminal returns a context that ends when the terminal is closed; cancel ends it too, when the reader of the progress has gone. By
// themselves, both would end this process at once, and leave its folder.
func endWithTerminal(parent context.Context) (ctx context.Context, cancel func()) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a write to a closed pipe is an error then
	if signal.Ignored(syscall.SIGHUP) {                     // as by nohup
		return context.WithCancel(parent)
	}
	return signal.NotifyContext(parent, syscall.SIGHUP)
}

// run checks everything that can be checked before a program starts. It then starts this program again without a network, if possible. cancel
// ends it.
func (r *rehearsal) run(cmd *cobra.Command, file string, cancel func()) error {
	inside, err := isolate.IsInside()
	if err != nil {
		return err
	}
	p, err := plan.Read(file, r.records == "")
	if err != nil {
		return err
	}
	if r.html != "" { // before a rehearsal that could take minutes
		if _, err := os.Stat(filepath.Dir(r.html)); err != nil {
			return fmt.Errorf("--html: %w", err)
		}
		if info, err := os.Stat(r.html); err == nil && info.IsDir() {
			return fmt.Errorf("--html: %s is a folder: name a file", r.html)
		}
	}
	if err := r.findPrograms(cmd); err != nil {
		return err
	}
	if !inside && r.isolation != "shared" {
		code, err := isolate.Run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		switch {
		case err == nil && code == exitFine:
			return nil
		case err == nil && code < 0:
			return errors.New("the rehearsal was killed")
		case err == nil:
			return &exitError{code: code} // everything has been printed
		case cmd.Context().Err() != nil:
			return rehearse.ErrInterrupted
		case !errors.Is(err, isolate.ErrImpossible) || r.isolation == "isolated":
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "meshpass: %s: the addresses in the definitions are replaced, and nothing else prevents a connection to other machines\n", err)
	}
	options := rehearse.Options{Plan: p, Programs: r.programs, Speed: r.speed, Isolated: inside, Progress: newRehearsalProgress(cmd.ErrOrStderr(), cancel)}
	if r.records != "" {
		options.Progress.Starting("reading the records")
		if options.Records, err = r.readRecords(cmd); err != nil {
			return err
		}
	}
	report, err := rehearse.Run(cmd.Context(), options)
	if err != nil {
		return err
	}
	return r.print(cmd, report)
}

// readRecords ends with the context: a terminal or a named pipe can be silent for ever.
func (r *rehearsal) readRecords(cmd *cobra.Command) (*rehearse.Recording, error) {
	var recording *rehearse.Recording
	read := make(chan error, 1)
	go func() {
		records, err := openInput(cmd, r.records)
		if err == nil {
			defer records.Close()
			recording, err = rehearse.ReadRecords(records)
		}
		read <- err
	}()
	select {
	case err := <-read:
		return recording, err
	case <-cmd.Context().Done():
		return nil, rehearse.ErrInterrupted
	}
}

// print prints the report, also if the page cannot be written.
func (r *rehearsal) print(cmd *cobra.Command, report *rehearse.Report) error {
	err := printAnswerOrPage(cmd, report, report.WritePage, r.format)
	if err == nil && r.html != "" {
		var page strings.Builder
		if err = report.WritePage(&page); err == nil {
			err = atomicfile.Write(r.html, []byte(page.String()), 0o644)
		}
		if err != nil {
			return &exitError{code: exitCouldNot, inAnswer: true, err: fmt.Errorf("--html: %w", err)}
		}
	}
	if err == nil && !report.Passed() {
		return errAnswerNo
	}
	return err
}

// findPrograms finds all programs, and names all that are missing together.
func (r *rehearsal) findPrograms(cmd *cobra.Command) error {
	if r.programs.Plugin == "" {
		return newUsageError(cmd, "rehearse needs --plugin FILE.so, the plugin that was built for the gateway")
	}
	var missing []error
	for _, p := range []struct {
		path     *string
		flag     string
		standard string
	}{
		{&r.programs.Gateway, "--gateway", "tyk"}, {&r.programs.Envoy, "--envoy", "envoy"}, {&r.programs.Redis, "--redis", "redis-server"},
	} {
		found, err := exec.LookPath(cmp.Or(*p.path, p.standard))
		if err != nil {
			missing = append(missing, fmt.Errorf("no program %q: name it with %s", cmp.Or(*p.path, p.standard), p.flag))
			continue
		}
		*p.path, err = localcopy.RequireFile(found)
		missing = append(missing, err)
	}
	plugin, err := localcopy.RequireFile(r.programs.Plugin)
	if err != nil {
		missing = append(missing, fmt.Errorf("--plugin: %w", err))
	}
	r.programs.Plugin = plugin
	self, err := os.Executable()
	r.programs.Authorizer = self
	return errors.Join(append(missing, err)...)
}

// rehearsalProgress shows how far a rehearsal is, on standard error: a bar on a terminal, and a line every few seconds elsewhere.
type rehearsalProgress struct {
	to       io.Writer
	cancel   func() // called if it cannot be written
	terminal bool
	next     time.Time
	drawn    bool
}

func newRehearsalProgress(to io.Writer, cancel func()) *rehearsalProgress {
	return &rehearsalProgress{to: to, cancel: cancel, terminal: progress.IsTerminal(to), next: time.Now().Add(2 * time.Second)}
}

func (p *rehearsalProgress) print(text string) {
	if _, err := io.WriteString(p.to, text); err != nil {
		p.cancel()
	}
}

// Starting names the part that is started.
func (p *rehearsalProgress) Starting(part string) {
	p.Finished()
	p.print("meshpass: starting: " + part + "\n")
}

const barWidth = 40

// Sent draws the bar.
func (p *rehearsalProgress) Sent(done, all int) {
	now := time.Now()
	if !p.terminal && now.Before(p.next) && done < all {
		return
	}
	p.next = now.Add(2 * time.Second)
	filled := barWidth * done / max(all, 1)
	line := fmt.Sprintf("meshpass: [%s%s] %d of %d requests", strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), done, all)
	if !p.terminal {
		p.print(line + "\n")
		return
	}
	p.drawn = true
	p.print("\r" + line)
}

// Finished ends the line of the bar.
func (p *rehearsalProgress) Finished() {
	if p.drawn {
		p.print("\n")
		p.drawn = false
	}
}
