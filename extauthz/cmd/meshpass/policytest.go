package main

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/cases"
	"github.com/meshpass/meshpass/internal/reload"
)

func newPolicyTest() *cobra.Command {
	var source policycli.DocumentSource
	var only string
	var want int
	var verbose, watch bool
	cmd := &cobra.Command{
		Use: "test SOURCE... [flags]", Short: "Run the test cases of policies",
		Long: `Decides the cases in files *_test.yaml and *.test.yaml by the documents, and compares
the answers with the expected ones. docs/policy-tools.md shows how to write a case.

` + policySources + `

Exit codes: 0 all cases passed; 1 a case failed, or the coverage is too low; 2 the
cases could not be decided.`,
	}
	addText(cmd, &only, "run", "REGEX", "only cases whose name matches; then coverage is not measured")
	cmd.Flags().IntVar(&want, "coverage", 0, "fail unless at least this `PERCENT` of rules and public entries decided a case that passed")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "also name the cases that passed")
	cmd.Flags().BoolVar(&watch, "watch", false, "run again whenever a file changes, until Ctrl-C")
	addPolicySource(cmd, &source)
	format := addOutput(cmd, "junit", "for CI systems (JUnit XML)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		pattern, err := regexp.Compile(only)
		switch {
		case err != nil:
			return newUsageError(cmd, "--run: %s", err)
		case want < 0 || want > 100:
			return newUsageError(cmd, "--coverage %d: want 0 to 100", want)
		case want > 0 && only != "":
			return newUsageError(cmd, "--coverage is about all cases: leave out --run")
		}
		if err := checkStdin(cmd, slices.Concat(args, source.Guardrails)...); err != nil {
			return err
		}
		source.Sources, source.Stdin = args, cmd.InOrStdin()
		options := cases.Options{MinCoverage: want}
		if only != "" {
			options.NamePattern = pattern
		}
		if watch {
			if *format != "text" || readsStdin(slices.Concat(args, source.Guardrails)) {
				return newUsageError(cmd, "--watch prints text, and reads folders and files: leave out -o and -")
			}
			return watchCases(cmd, source, options, verbose)
		}
		report, err := cases.Run(source, options)
		if err != nil {
			return err
		}
		report.Verbose = verbose
		show := report.Print
		if *format == "junit" {
			show = report.PrintJUnit
		}
		return printReport(cmd, report, show, *format, report.Passed())
	}
	return cmd
}

// watchInterval is the time between two looks at the files.
const watchInterval = 500 * time.Millisecond

// watchCases decides the cases now and after every change, until the context ends. It
// prints an error and waits for the next change if they cannot be decided.
func watchCases(cmd *cobra.Command, source policycli.DocumentSource, options cases.Options, verbose bool) error {
	type outcome struct {
		report cases.Report
		err    error
	}
	test := func() (outcome, error) {
		report, err := cases.Run(source, options)
		report.Verbose = verbose
		return outcome{report, err}, nil
	}
	show := func(o outcome, err error) {
		if err == nil {
			err = o.err
		}
		fmt.Fprintln(cmd.OutOrStdout(), time.Now().Format(time.TimeOnly))
		if err == nil {
			err = printText(cmd, o.report.Print)
		}
		reportError(err, false, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	watched := reload.Pending(source.WatchedInputs, test, show)
	watched.Poll()
	watched.Run(cmd.Context(), watchInterval)
	return nil
}
