package main

import (
	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/routes"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
)

func newRoutesCheck() *cobra.Command {
	var input systemInput
	cmd := &cobra.Command{
		Use: "check -f FILE | -k DIR | --context NAME [flags]", Short: "Compare existing routes with API definitions", Args: noArgs,
		Long: `Compares the HTTPRoutes and VirtualServices of the input with its API definitions, and
prints one table: API, route, upstream, workload, document and rule. It names what is
missing in both directions: an API without a route, a route without an API, a route to
another upstream or path, a workload without a document, a document without a route, and
a path that no rule allows. docs/routes.md describes each.

Give everything that runs together: routes, definitions, tyk.conf or Helm values, Services,
workloads and AccessPolicy documents.

Exit codes: 0 nothing is missing and nothing differs; 1 something does; 2 something could
not be read or compared. It is named, with its place.`,
		Example: `  meshpass routes check -f apis/ -f tyk.conf -f routes.yaml -f deploy/ -f policies/
  meshpass routes check --context production -o json`,
	}
	input.addFlags(cmd)
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := input.validate(cmd); err != nil {
			return err
		}
		set, err := input.read(cmd)
		if err != nil {
			return err
		}
		report := routes.Check(model.New(set), newProgress(cmd))
		if err := printAnswer(cmd, report, *format); err != nil {
			return err
		}
		return exitFor(report.Passes(), len(report.Unchecked), notChecked)
	}
	return cmd
}
