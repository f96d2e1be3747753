package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/progress"
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/logfiles"
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/path"
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/podlogs"
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/ranking"
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/search"
	"github.com/meshpass/meshpass/internal/duration"
)

// traceInput is the flags of `trace`.
type traceInput struct {
	query      search.Query
	limit      int
	top        int
	files      []string
	cluster    bool
	context    string
	kubeconfig string
	namespaces []string
	begin      string // of --since
}

func newTrace() *cobra.Command {
	input := traceInput{limit: 20}
	cmd := &cobra.Command{
		Use: "trace [TXN] (-f FILE | --context NAME) [flags]", Short: "Show the way of a request through gateway and mesh", Args: oneTransaction,
		Long: `Finds all records of a request and prints its way as a tree: the edge, the identity, and
each hop with its decision, its rule, what the decision read, and times. TXN is a
transaction, which a denied caller finds in the answer, or the id of one decision.

It reads audit records of the plugin and of authorizers, Envoy's access log in the format
of manifests/istio/install.yaml, and Tyk's access log in JSON, in any order and mixed with
other lines. Lines that were cut, repeated records and records of other versions are
counted. Compressed files (gzip) are read too.

The flags --trace-id, --request-id, --sub and --actor choose requests instead of TXN or
beside it: a request has a record with all of them. --top ranks instead: callers, users,
denials and rules.

With --context, it reads the logs of the authorizers, of gateways with the plugin, and of
Envoys, from all pods of a cluster: of the last hour, or --since. It needs the right to
list pods and to get pods/log.

Files are read twice. Standard input is read once: a record that has only the trace id or
request id of its request is found if it is at most 64 MiB before the others.

Exit codes: 0 found; 1 no record matches; 2 something could not be read. It is named, and
the rest is printed.`,
		Example: `  meshpass trace 01a22ae9-40cc-71fa-bcbe-ebebcc066277 -f /var/log/meshpass
  kubectl logs -n meshpass deploy/meshpass | meshpass trace --sub demo:alice -f -
  meshpass trace --top 10 --context production --since 30m`,
	}
	addText(cmd, &input.query.TraceID, "trace-id", "ID", "requests of a trace (W3C Trace Context, 32 hexadecimal digits)")
	addText(cmd, &input.query.RequestID, "request-id", "ID", "requests with this x-request-id")
	addText(cmd, &input.query.Sub, "sub", "SUBJECT", "requests of a user or client")
	addText(cmd, &input.query.Actor, "actor", "NAME", "requests by an actor of the token, or by a workload that called")
	addText(cmd, &input.begin, "since", "DURATION|TIME", "records of the last 30m, 2h, 1d, or since a time of RFC 3339")
	cmd.Flags().IntVar(&input.limit, "limit", input.limit, "the `NUMBER` of requests to print, the newest ones, at most 1000")
	cmd.Flags().IntVar(&input.top, "top", 0, "print the `NUMBER` of callers, users, denials and rules with most decisions, at most 1000")
	value := &flagValue{kind: "FILE|DIR|-", set: func(text string) error { input.files = append(input.files, text); return nil }}
	cmd.Flags().VarP(value, "file", "f", "a log, all logs below a folder, or standard input; may be given several times")
	addFunc(cmd, "context", "NAME", "", "the logs of a cluster, by a context of the kubeconfig; \"\" is the current one", func(text string) error {
		input.context, input.cluster = text, true
		return nil
	})
	addText(cmd, &input.kubeconfig, "kubeconfig", "FILE", "the kubeconfig for --context")
	addList(cmd, &input.namespaces, "namespace", "NAME", "only the pods of this namespace of the cluster")
	format := addOutput(cmd, "html", "for one page that draws the way")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := input.validate(cmd, args, time.Now()); err != nil {
			return err
		}
		sources, cluster, err := input.open(cmd)
		if err != nil {
			return err
		}
		if input.top > 0 {
			return input.rank(cmd, sources, cluster, *format)
		}
		return input.trace(cmd, sources, cluster, *format)
	}
	return cmd
}

// oneTransaction explains what a shell makes of -f *.log.
func oneTransaction(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return newUsageError(cmd, "want one TXN, not %d arguments: each file has its own -f, as in -f a.log -f b.log, or name their folder", len(args))
	}
	return nil
}

func (i *traceInput) validate(cmd *cobra.Command, args []string, now time.Time) error {
	if len(args) == 1 {
		i.query.ID = args[0]
	}
	since, err := parseSince(i.begin, now)
	switch q := i.query; {
	case err != nil:
		return newUsageError(cmd, "invalid value %.64q for --since: %s", i.begin, err)
	case len(args) == 1 && args[0] == "":
		return newUsageError(cmd, "TXN is empty")
	case i.top < 0 || i.top > 1000 || cmd.Flags().Changed("top") && i.top == 0:
		return newUsageError(cmd, "--top is a number from 1 to 1000")
	case q.ID+q.TraceID+q.RequestID+q.Sub+q.Actor+i.begin == "" && i.top == 0:
		return newUsageError(cmd, "name the request: TXN, --trace-id, --request-id, --sub, --actor or --since; or rank all with --top")
	case len(i.files) == 0 && !i.cluster:
		return newUsageError(cmd, "trace needs an input: -f FILE, -f - or --context NAME")
	case !i.cluster && (i.kubeconfig != "" || len(i.namespaces) > 0):
		return newUsageError(cmd, "--kubeconfig and --namespace need --context")
	case i.limit < 1 || i.limit > 1000:
		return newUsageError(cmd, "--limit is a number from 1 to 1000")
	case q.TraceID != "" && !isTraceID(q.TraceID):
		return newUsageError(cmd, "--trace-id wants 32 hexadecimal digits, not %.64q", q.TraceID)
	}
	i.query.Since = since
	return checkStdin(cmd, i.files...)
}

func isTraceID(text string) bool {
	return len(text) == 32 && strings.Trim(text, "0123456789abcdefABCDEF") == ""
}

// parseSince reads a duration before now, or a time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	ago, err := duration.Parse(text)
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("want a duration such as 30m, or a time such as %s", now.UTC().Format(time.RFC3339))
	}
	return now.Add(-ago), nil
}

// hourOfLogs is how much of a cluster's logs is read without --since.
const hourOfLogs = time.Hour

// open lists all logs. Those of a cluster know what was not read of them.
func (i *traceInput) open(cmd *cobra.Command) (sources []search.Source, cluster *podlogs.Logs, err error) {
	sources, err = logfiles.Find(i.files, cmd.InOrStdin())
	if err != nil || !i.cluster {
		return sources, nil, err
	}
	since := i.query.Since
	if since.IsZero() {
		since = time.Now().Add(-hourOfLogs)
	}
	cluster, err = podlogs.Find(cmd.Context(), podlogs.Config{Kubeconfig: i.kubeconfig, Context: i.context, Namespaces: i.namespaces, Since: since})
	if err != nil {
		return nil, nil, err
	}
	return append(sources, cluster.Sources(cmd.Context())...), cluster, nil
}

// newBar shows the bytes of all passes.
func newBar(cmd *cobra.Command, sources []search.Source, passes func(search.Source) int64) *progress.Bar {
	total := int64(0)
	for _, source := range sources {
		if source.Size == 0 {
			total = 0
			break
		}
		total += source.Size * passes(source)
	}
	return progress.New(cmd.ErrOrStderr(), "reading logs", total)
}

func (i *traceInput) trace(cmd *cobra.Command, sources []search.Source, cluster *podlogs.Logs, format string) error {
	bar := newBar(cmd, sources, search.Source.Passes)
	result, err := search.Search{Query: i.query, Limit: i.limit, Progress: bar.Set}.Run(cmd.Context(), sources)
	bar.End()
	if err != nil {
		return err
	}
	result.Read.Failed = append(result.Read.Failed, cluster.ListUnread(cmd.Context())...)
	report := path.NewReport(result)
	return printTrace(cmd, report, report.WritePage, format, len(report.Requests) > 0, report.Read)
}

func (i *traceInput) rank(cmd *cobra.Command, sources []search.Source, cluster *podlogs.Logs, format string) error {
	bar := newBar(cmd, sources, func(search.Source) int64 { return 1 })
	report, err := ranking.Run(cmd.Context(), sources, i.query, i.top, bar.Set)
	bar.End()
	if err != nil {
		return err
	}
	report.Read.Failed = append(report.Read.Failed, cluster.ListUnread(cmd.Context())...)
	return printTrace(cmd, report, report.WritePage, format, report.Decisions > 0, report.Read)
}

// printTrace prints an answer. The answer and the exit code have what could not be read.
func printTrace(cmd *cobra.Command, a answer, page func(io.Writer) error, format string, found bool, read search.Read) error {
	err := printAnswerOrPage(cmd, a, page, format)
	switch {
	case err != nil:
		return err
	case len(read.Failed) > 0:
		return &exitError{code: exitCouldNot, inAnswer: true, err: fmt.Errorf("not read to the end: %s", strings.Join(read.Failed, "; "))}
	case !found:
		return errAnswerNo
	}
	return nil
}
