package main

import (
	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/policycli/initial"
)

func newPolicyInit() *cobra.Command {
	var options initial.Options
	cmd := &cobra.Command{
		Use: "init DIR --callee WORKLOAD [flags]", Short: "Write a first document with its first test", Args: atMostArgs(1),
		Long: `Writes a first document for a workload, and the cases that test it, into the folder
DIR. It overwrites nothing.

Exit codes: 0 written; 2 it could not be written.`,
		Example: "  meshpass policy init policies --callee ns/shop/sa/orders --caller ns/edge/sa/tyk-gateway",
	}
	addText(cmd, &options.Callee, "callee", "WORKLOAD", "the callee, as in targets (required)")
	addList(cmd, &options.Callers, "caller", "WORKLOAD", "a caller that is allowed; without it any caller with a token")
	addTrustDomain(cmd, &options.Domains)
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 || options.Callee == "" {
			return newUsageError(cmd, "policy init needs a folder and --callee WORKLOAD, such as ns/shop/sa/orders")
		}
		options.Dir = args[0]
		report, err := initial.WriteFiles(options)
		if err != nil {
			return err
		}
		return printAnswer(cmd, report, *format)
	}
	return cmd
}
