package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/lint"
)

func newPolicyLint() *cobra.Command {
	var source policycli.DocumentSource
	var strict, verbose bool
	var workloads string
	cmd := &cobra.Command{
		Use: "lint SOURCE... [flags]", Short: "Find errors and likely mistakes in policies",
		Long: `Finds errors in documents and in the cases beside them, with the place of each error
and what to write instead, and warns of likely mistakes. docs/policy.md lists the
warnings.

` + policySources + `

Exit codes: 0 no errors; 1 errors, or warnings with --strict; 2 the policies could not
be checked.`,
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "fail on warnings too")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "also print each target with its documents and their modes; -o json always has them")
	addText(cmd, &workloads, "workloads", "FILE", "also warn of each workload in FILE that no enforced document targets; FILE has one name on a line, as in targets; - is standard input")
	addPolicySource(cmd, &source)
	format := addOutput(cmd, "github", "for workflow commands, which GitHub shows at the lines of a pull request",
		"sarif", "for code scanning (SARIF 2.1.0)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkStdin(cmd, slices.Concat(args, source.Guardrails, []string{workloads})...); err != nil {
			return err
		}
		source.Sources, source.Stdin = args, cmd.InOrStdin()
		var listed *lint.Workloads
		if workloads != "" {
			file, err := openInput(cmd, workloads)
			if err != nil {
				return err
			}
			defer file.Close()
			listed = &lint.Workloads{Name: workloads, Data: file}
			if workloads == "-" {
				listed.Name = "standard input"
			}
		}
		report, err := lint.Run(source, listed)
		if err != nil {
			return err
		}
		if verbose && *format == "text" {
			return printReport(cmd, report, report.PrintVerbose, *format, report.Passes(strict))
		}
		return printFindings(cmd, report, *format, report.Passes(strict))
	}
	return cmd
}
