package main

import (
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/policycli"
	"github.com/meshpass/meshpass/extauthz/policycli/cases"
)

func newPolicyTest() *cobra.Command {
	var source policycli.Source
	var only string
	var want int
	var verbose bool
	cmd := &cobra.Command{
		Use: "test SOURCE... [flags]", Short: "Decide the cases beside policies, and compare the answers",
		Long: `Decides the cases in files *_test.yaml and *.test.yaml by the documents, and compares
the answers with what the cases expect. docs/policy-tools.md shows how a case is
written.

` + policySources + `

Exit codes: 0 all cases passed; 1 a case failed, or too little is covered; 2 the cases
could not be decided.`,
	}
	addText(cmd, &only, "run", "REGEX", "only cases whose name matches; then coverage is not measured")
	cmd.Flags().IntVar(&want, "coverage", 0, "how many `PERCENT` of rules and public entries must have decided a case that passed")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "also name the cases that passed")
	addPolicySource(cmd, &source)
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		chosen, err := regexp.Compile(only)
		switch {
		case err != nil:
			return misuse(cmd, "--run: %s", err)
		case want < 0 || want > 100:
			return misuse(cmd, "--coverage %d: want 0 to 100", want)
		case want > 0 && only != "":
			return misuse(cmd, "--coverage is about all cases: leave out --run")
		}
		if err := checkStdin(cmd, slices.Concat(args, source.Guardrails)...); err != nil {
			return err
		}
		source.Sources, source.Stdin = args, cmd.InOrStdin()
		report, err := cases.Test(source, cases.Options{Only: chosen, All: only == "", Coverage: want})
		if err != nil {
			return err
		}
		report.Verbose = verbose
		return printReport(cmd, report, report.Print, *format, report.OK())
	}
	return cmd
}
