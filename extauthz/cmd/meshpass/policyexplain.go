package main

import (
	"errors"
	"io"
	"log/slog"
	"path/filepath"
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

// explainFlags name the requests to explain: one by flags, one by a CheckRequest, or
// those of audit records.
type explainFlags struct {
	request explain.RequestFlags
	check   string // file
	config  string // file
	record  string // file
	id      string
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
	e.addFlags(cmd)
	addPolicySource(cmd, &source)
	addUnguarded(cmd, &source)
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case e.check != "" && e.record != "":
			return newUsageError(cmd, "--check and --record exclude each other")
		case e.config != "" && e.check == "":
			return newUsageError(cmd, "--config verifies the token of --check")
		case e.id != "" && e.record == "":
			return newUsageError(cmd, "--id chooses among those of --record")
		case e.record != "" && slices.ContainsFunc(args, isRecordFile):
			return newUsageError(cmd, "--record takes one file: join several, as in cat *.audit.log | meshpass policy explain SOURCE --record -")
		}
		if err := checkStdin(cmd, slices.Concat(args, source.Guardrails, []string{e.check, e.record})...); err != nil {
			return err
		}
		source.Sources, source.Stdin = args, cmd.InOrStdin()
		set, err := source.LoadSet()
		if err != nil {
			return err
		}
		queries, err := e.buildQueries(cmd, source.Domains, set)
		if err != nil {
			return err
		}
		var report explain.Report
		for _, q := range queries {
			report.Explanations = append(report.Explanations, explain.Explain(set, q))
		}
		return printReport(cmd, report, report.Print, *format, report.AllAllowed())
	}
	return cmd
}

// isRecordFile reports whether an argument is a file of records that the shell made of --record *.log.
func isRecordFile(arg string) bool {
	return slices.Contains([]string{".log", ".jsonl"}, filepath.Ext(arg))
}

func (e *explainFlags) addFlags(cmd *cobra.Command) {
	r := &e.request
	r.Headers = map[string]string{}
	addText(cmd, &r.Callee, "callee", "WORKLOAD", "who is called, as in targets")
	addText(cmd, &r.Caller, "caller", "WORKLOAD", "who calls; none: no caller can have a name here; without it the caller is not known")
	addText(cmd, &r.Method, "method", "METHOD", "the method of the request; without it GET, or that of the CheckRequest")
	addText(cmd, &r.Path, "path", "PATH", "the path of the request; without it /, or that of the CheckRequest")
	addText(cmd, &r.Host, "host", "NAME", "the host of the request")
	cmd.Flags().UintVar(&r.Port, "port", 0, "the `PORT` of the callee; 0: not known")
	addFunc(cmd, "header", "NAME=VALUE", "", "a header of the request; may be given several times", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return errors.New("want NAME=VALUE")
		}
		r.Headers[strings.ToLower(name)] = value
		return nil
	})
	addText(cmd, &r.Claims, "claims", "JSON", "the claims of a valid token, as in its payload")
	addText(cmd, &r.NoToken, "no-token", "REASON", "the reason why there are no claims; without --claims and --no-token: token_missing")
	addText(cmd, &e.check, "check", "FILE", "a CheckRequest in JSON, as a sidecar sends it; the flags above override it. Its token is not verified without --config")
	addText(cmd, &e.config, "config", "FILE", "the configuration of meshpass serve that verifies the token of --check")
	addText(cmd, &e.record, "record", "FILE", "audit records, one a line")
	addText(cmd, &e.id, "id", "ID", "choose the records with this ID: that of the record, the request or the transaction")
	addFunc(cmd, "now", "TIME", "", "the time of the request, in RFC 3339; without it the present, or the time of the record", func(text string) (err error) {
		r.Now, err = time.Parse(time.RFC3339, text)
		return err
	})
}

func (e *explainFlags) buildQueries(cmd *cobra.Command, domains identity.TrustDomains, set *policy.Set) ([]explain.Query, error) {
	e.request.Targets, e.request.Callers = policycli.TargetNames(set), policycli.CallerNames(set)
	now := time.Now()
	if !e.request.Now.IsZero() {
		now = e.request.Now
	}
	switch {
	case e.record != "":
		return e.queriesFromRecords(cmd, set)
	case e.check != "":
		q, err := e.queryFromCheck(cmd, domains, now)
		return []explain.Query{q}, err
	}
	q, err := e.request.BuildQuery(domains, now)
	return []explain.Query{q}, err
}

func (e *explainFlags) queriesFromRecords(cmd *cobra.Command, set *policy.Set) ([]explain.Query, error) {
	records, err := openInput(cmd, e.record)
	if err != nil {
		return nil, err
	}
	defer records.Close()
	return explain.QueriesFromRecords(records, e.id, set)
}

// maxCheck is more than the size of any CheckRequest of Envoy, with a body.
const maxCheck = 16 << 20

func (e *explainFlags) queryFromCheck(cmd *cobra.Command, domains identity.TrustDomains, now time.Time) (explain.Query, error) {
	input, err := openInput(cmd, e.check)
	if err != nil {
		return explain.Query{}, err
	}
	defer input.Close()
	readToken, err := e.tokenReader(now, newWarningLog(cmd))
	if err != nil {
		return explain.Query{}, err
	}
	data, err := io.ReadAll(io.LimitReader(input, maxCheck))
	if err != nil {
		return explain.Query{}, err
	}
	return e.request.QueryFromCheck(data, domains, readToken, now)
}

// tokenReader returns a reader that verifies by the trust of the configuration. Without
// a configuration it returns one that marks all claims as not verified.
func (e *explainFlags) tokenReader(now time.Time, log *slog.Logger) (explain.TokenReader, error) {
	if e.config == "" {
		return explain.TrustTokens(now), nil
	}
	verifier, err := app.NewVerifier(e.config, func() time.Time { return now }, log)
	if err != nil {
		return nil, err
	}
	return explain.VerifyTokens(func(raw string) policy.Authentication {
		claims, err := verifier.Verify(raw)
		if err != nil {
			return policy.Authentication{NoToken: token.ReasonOf(err), Outage: token.IsOutage(err)}
		}
		return policy.Authentication{Claims: claims}
	}), nil
}
