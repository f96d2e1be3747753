package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/accessreview"
	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// maxOverrideFile is far more than a file of overrides has.
const maxOverrideFile = 1 << 20

func newAuditReport() *cobra.Command {
	var documents policycli.DocumentSource
	var overrides string
	begin := "30d"
	cmd := &cobra.Command{
		Use: "report FILE... --policies SOURCE [flags]", Short: "Write an access review: who could, who did, by which rule",
		Long: `Reads the active policies and the audit records of a time, and writes an access review: which
rule gives access to which callers, and when it was last used; who had access, by which rule; what only
an override allowed; what was denied; which generations of policies decided.

Records that were left out or lost are counted. Verify the files first: audit verify.

Exit codes: 0 done; 2 it could not be done.`,
		Example: `  meshpass audit report --since 90d --policies policies audit.jsonl audit.jsonl.*.gz
  meshpass audit report --since 90d --policies policies -o html audit.jsonl* > review.html`,
	}
	addList(cmd, &documents.Sources, "policies", "SOURCE", "the active policies: a folder or a file")
	addPolicySource(cmd, &documents)
	addText(cmd, &overrides, "overrides", "FILE", "the file of overrides: policies.overrides of the configuration")
	addText(cmd, &begin, "since", "DURATION|TIME", "how far back records are read, such as 90d, or since a time of RFC 3339")
	format := addOutput(cmd, "html", "for one page that needs nothing else")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if len(names) == 0 || len(documents.Sources) == 0 {
			return newUsageError(cmd, "audit report needs files of audit records, FILE..., and --policies SOURCE")
		}
		now := time.Now()
		since, err := parseSince(begin, now)
		if err != nil {
			return newUsageError(cmd, "invalid value %.64q for --since: %s", begin, err)
		}
		if since.IsZero() || !since.Before(now) {
			return newUsageError(cmd, "want a --since in the past, such as 90d")
		}
		if err := checkStdin(cmd, append(append([]string{}, names...), documents.Sources...)...); err != nil {
			return err
		}
		query := accessreview.Query{Since: since, Until: now, Progress: showBytesRead(cmd)}
		documents.Stdin = cmd.InOrStdin()
		if query.Policies, err = documents.LoadSet(); err != nil {
			return err
		}
		if overrides != "" {
			data, err := readfile.Read(overrides, maxOverrideFile)
			if err != nil {
				return err
			}
			if query.Overrides, err = source.ParseOverrides(data, documents.Domains, now); err != nil {
				return fmt.Errorf("%s: %w", overrides, err)
			}
		}
		inputs, err := openRecords(cmd, names)
		if err != nil {
			return err
		}
		report, err := accessreview.Make(inputs, query)
		if err != nil {
			return err
		}
		return printAnswerOrPage(cmd, report, report.PrintHTML, *format)
	}
	return cmd
}
