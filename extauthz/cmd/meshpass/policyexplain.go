package main

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/app"
	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/explain"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/token"
)

// explainFlags say which request is explained.
type explainFlags struct {
	explain.RequestFlags
	check, config, record, id string
}

func newPolicyExplain() *cobra.Command {
	var source policycli.DocumentSource
	var e explainFlags
	cmd := &cobra.Command{
		Use: "explain SOURCE... (--callee WORKLOAD | --check FILE | --record FILE) [flags]", Short: "Show how policies decide a request, and why",
		Long: `Shows how documents decide a request: which of them target the callee, what each
condition of each rule evaluates to, and why the answer is what it is.

` + policySources + `
FILE may be - for standard input.

Exit codes: 0 allowed; 1 denied; 2 it could not be explained.`,
	}
	e.add(cmd)
	addPolicySource(cmd, &source)
	addUnguarded(cmd, &source)
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case e.check != "" && e.record != "":
			return newUsageError(cmd, "--check and --record: which of them?")
		case e.config != "" && e.check == "":
			return newUsageError(cmd, "--config verifies the token of --check")
		case e.id != "" && e.record == "":
			return newUsageError(cmd, "--id chooses among those of --record")
		}
		if err := checkStdin(cmd, slices.Concat(args, source.Guardrails, []string{e.check + e.record})...); err != nil {
			return err
		}
		source.Sources, source.Stdin = args, cmd.InOrStdin()
		set, err := source.LoadSet()
		if err != nil {
			return err
		}
		questions, err := e.questions(cmd, source.Domains, set)
		if err != nil {
			return err
		}
		var report explain.Report
		for _, q := range questions {
			report.Explanations = append(report.Explanations, explain.Explain(set, q))
		}
		return printReport(cmd, report, report.Print, *format, report.AllAllowed())
	}
	return cmd
}

func (e *explainFlags) add(cmd *cobra.Command) {
	e.Headers = map[string]string{}
	addText(cmd, &e.Callee, "callee", "WORKLOAD", "who is called, as in targets")
	addText(cmd, &e.Caller, "caller", "WORKLOAD", "who calls; none: no caller can have a name here; without it the caller is not known")
	addText(cmd, &e.Method, "method", "METHOD", "the method of the request; without it GET, or that of the CheckRequest")
	addText(cmd, &e.Path, "path", "PATH", "the path of the request; without it /, or that of the CheckRequest")
	addText(cmd, &e.Host, "host", "NAME", "the host of the request")
	cmd.Flags().UintVar(&e.Port, "port", 0, "the `PORT` of the callee; 0: not known")
	addFunc(cmd, "header", "NAME=VALUE", "", "a header of the request; may be given several times", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return errors.New("want NAME=VALUE")
		}
		e.Headers[strings.ToLower(name)] = value
		return nil
	})
	addText(cmd, &e.Claims, "claims", "JSON", "the claims of a token that verifies, as its payload has them")
	addText(cmd, &e.NoToken, "no-token", "REASON", "or why there are no claims; without both token_missing")
	addText(cmd, &e.check, "check", "FILE", "a CheckRequest in JSON, as a sidecar sends it; the flags above override it. The claims of its token are not verified without --config")
	addText(cmd, &e.config, "config", "FILE", "the configuration of meshpass serve that verifies the token of --check")
	addText(cmd, &e.record, "record", "FILE", "audit records, one a line")
	addText(cmd, &e.id, "id", "ID", "the record: its ID, or that of the request or the transaction")
	addFunc(cmd, "now", "TIME", "", "the time of the request, in RFC 3339; without it the present, or the time of the record", func(text string) (err error) {
		e.Now, err = time.Parse(time.RFC3339, text)
		return err
	})
}

func (e *explainFlags) questions(cmd *cobra.Command, domains identity.TrustDomains, set *policy.Set) ([]explain.Query, error) {
	e.Targets, e.Callers = policycli.TargetNames(set), policycli.CallerNames(set)
	now := time.Now()
	if !e.Now.IsZero() {
		now = e.Now
	}
	if e.check == "" && e.record == "" {
		q, err := e.BuildQuery(domains, now)
		return []explain.Query{q}, err
	}
	from, err := openInput(cmd, e.check+e.record)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	if e.record != "" {
		return explain.QueriesFromRecords(from, e.id, set)
	}
	verify, err := e.verify(now, newWarningLog(cmd))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(from, maxCheck))
	if err != nil {
		return nil, err
	}
	q, err := e.QueryFromCheck(data, domains, verify, now)
	return []explain.Query{q}, err
}

// maxCheck is more than Envoy sends, bodies included.
const maxCheck = 16 << 20

// verify is nil without a configuration.
func (e *explainFlags) verify(now time.Time, log *slog.Logger) (explain.Verify, error) {
	if e.config == "" {
		return nil, nil
	}
	verifier, err := app.Verifier(e.config, func() time.Time { return now }, log)
	return func(raw string) policy.Authentication {
		claims, err := verifier.Verify(raw)
		if err != nil {
			return policy.Authentication{Refusal: token.ReasonOf(err), Outage: token.IsOutage(err)}
		}
		return policy.Authentication{Claims: claims}
	}, err
}
