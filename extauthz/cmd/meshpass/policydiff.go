package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/replay"
	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/shared/policy"
)

// policyDiff is one run of `policy diff`.
type policyDiff struct {
	source     policycli.DocumentSource
	guardrails [2][]string
	file       string
	most       int
}

func newPolicyDiff() *cobra.Command {
	var d policyDiff
	cmd := &cobra.Command{
		Use: "diff OLD NEW --replay FILE [flags]", Short: "Show which recorded decisions changed policies would change",
		Long: `Makes recorded decisions again, by the policies OLD that made them and by the changed
policies NEW, and prints which decisions would change, by rule and caller. What a
record does not hold is never guessed: such a decision is undecidable.

OLD and NEW are each a SOURCE, or several, separated by commas.

` + policySources + `
Folders are paired by name. One folder on each side is a pair, whatever the names.

Exit codes: 0 nothing changes; 1 something changes; 2 too much is undecidable, or the
decisions could not be made.`,
	}
	addText(cmd, &d.file, "replay", "FILE", "audit records, one a line; - is standard input (required)")
	cmd.Flags().IntVar(&d.most, "max-undecidable", 0, "how many undecidable decisions are no failure, a `NUMBER`")
	addList(cmd, &d.guardrails[0], "old-guardrail", "SOURCE", "a guardrail of OLD")
	addList(cmd, &d.guardrails[1], "new-guardrail", "SOURCE", "a guardrail of NEW")
	addPolicySource(cmd, &d.source)
	addUnguarded(cmd, &d.source)
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 2 || d.file == "" {
			return newUsageError(cmd, "policy diff needs two sources, OLD and NEW, and --replay FILE")
		}
		if err := checkStdin(cmd, slices.Concat(args, d.source.Guardrails, d.guardrails[0], d.guardrails[1], []string{d.file})...); err != nil {
			return err
		}
		d.source.Stdin = cmd.InOrStdin()
		report, err := d.replay(cmd, args)
		if err != nil {
			return err
		}
		return d.print(cmd, report, *format)
	}
	return cmd
}

func (d *policyDiff) replay(cmd *cobra.Command, args []string) (replay.Report, error) {
	records, err := openInput(cmd, d.file)
	if err != nil {
		return replay.Report{}, err
	}
	defer records.Close()
	var versions [2]policycli.DocumentSource
	var folders [2][]policy.Dir
	for i := range versions {
		versions[i] = d.source
		versions[i].Sources = strings.Split(args[i], ",")
		versions[i].Guardrails = append(slices.Clone(d.source.Guardrails), d.guardrails[i]...)
		if folders[i], err = versions[i].OpenFolders(); err != nil {
			return replay.Report{}, err
		}
	}
	policycli.PairFolders(folders[0], folders[1])
	old, err := versions[0].LoadFolders(folders[0])
	changed, wrong := versions[1].LoadFolders(folders[1])
	if err := errors.Join(err, wrong); err != nil {
		return replay.Report{}, err
	}
	return replay.Diff(old, changed, records)
}

// diffAnswer is the report, and why it is not enough.
type diffAnswer struct {
	replay.Report
	Error *printer.Failure `json:"error,omitempty"`
}

func (d *policyDiff) print(cmd *cobra.Command, r replay.Report, format string) error {
	answer, tooMany := diffAnswer{Report: r}, r.Undecidable > d.most
	if tooMany {
		answer.Error = printer.NewFailure(replay.ErrUndecidable)
	}
	err := printReport(cmd, answer, r.Print, format, r.Changed == 0)
	if tooMany && exitCode(err) != exitCouldNot {
		return &exitError{code: exitCouldNot, err: replay.ErrUndecidable, inAnswer: true}
	}
	return err
}
