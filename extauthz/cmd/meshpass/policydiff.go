package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/replay"
	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

// policyDiff is the flags of `policy diff`.
type policyDiff struct {
	source         policycli.DocumentSource
	oldGuardrails  []string
	newGuardrails  []string
	records        string // file
	maxUndecidable int
}

func newPolicyDiff() *cobra.Command {
	var d policyDiff
	cmd := &cobra.Command{
		Use: "diff OLD NEW --replay FILE [flags]", Short: "Show which recorded decisions changed policies would change",
		Long: `Makes recorded decisions again, by the policies OLD that made them and by the changed
policies NEW, and prints which decisions would change, by rule and caller. It never
guesses: a decision that needs more than its record holds is undecidable.

OLD and NEW are each a SOURCE, or several, separated by commas.

` + policySources + `
Folders are paired by name. One folder on each side is a pair, whatever the names.

Exit codes: 0 no decision changes; 1 a decision changes; 2 too many are undecidable, or
the records could not be replayed.`,
	}
	addText(cmd, &d.records, "replay", "FILE", "audit records, one a line; - is standard input (required)")
	cmd.Flags().IntVar(&d.maxUndecidable, "max-undecidable", 0, "the `NUMBER` of undecidable decisions that is not a failure")
	addList(cmd, &d.oldGuardrails, "old-guardrail", "SOURCE", "a guardrail of OLD")
	addList(cmd, &d.newGuardrails, "new-guardrail", "SOURCE", "a guardrail of NEW")
	addPolicySource(cmd, &d.source)
	addUnguarded(cmd, &d.source)
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 2 || d.records == "" {
			return newUsageError(cmd, "policy diff needs two sources, OLD and NEW, and --replay FILE")
		}
		if err := checkStdin(cmd, slices.Concat(args, d.source.Guardrails, d.oldGuardrails, d.newGuardrails, []string{d.records})...); err != nil {
			return err
		}
		d.source.Stdin = cmd.InOrStdin()
		report, err := d.replayRecords(cmd, args)
		if err != nil {
			return err
		}
		return d.printReport(cmd, report, *format)
	}
	return cmd
}

func (d *policyDiff) replayRecords(cmd *cobra.Command, args []string) (replay.Report, error) {
	records, err := openInput(cmd, d.records)
	if err != nil {
		return replay.Report{}, err
	}
	defer records.Close()
	oldSource, newSource := d.sourceOf(args[0], d.oldGuardrails), d.sourceOf(args[1], d.newGuardrails)
	oldFolders, err := oldSource.OpenFolders()
	if err != nil {
		return replay.Report{}, err
	}
	newFolders, err := newSource.OpenFolders()
	if err != nil {
		return replay.Report{}, err
	}
	policycli.PairFolders(oldFolders, newFolders)
	oldSet, oldErr := oldSource.LoadFolders(oldFolders)
	newSet, newErr := newSource.LoadFolders(newFolders)
	if err := errors.Join(oldErr, newErr); err != nil {
		return replay.Report{}, err
	}
	return replay.Diff(oldSet, newSet, records)
}

// sourceOf returns the source of OLD or of NEW, an argument of the command.
func (d *policyDiff) sourceOf(arg string, guardrails []string) policycli.DocumentSource {
	s := d.source
	s.Sources = strings.Split(arg, ",")
	s.Guardrails = append(slices.Clone(d.source.Guardrails), guardrails...)
	return s
}

// diffAnswer is the report, with an error if too many decisions are undecidable.
type diffAnswer struct {
	replay.Report
	Error *printer.Failure `json:"error,omitempty"`
}

func (d *policyDiff) printReport(cmd *cobra.Command, r replay.Report, format string) error {
	answer, tooMany := diffAnswer{Report: r}, r.Undecidable > d.maxUndecidable
	if tooMany {
		answer.Error = printer.NewFailure(replay.ErrUndecidable)
	}
	err := printReport(cmd, answer, r.Print, format, r.Changed == 0)
	if tooMany && exitCode(err) != exitCouldNot {
		return &exitError{code: exitCouldNot, err: replay.ErrUndecidable, inAnswer: true}
	}
	return err
}
