package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
	"github.com/meshpass/meshpass/shared/token"
)

func newKeysStatus() *cobra.Command {
	check := keys.StatusOptions{Lead: defaultLead, TokenLifetime: token.MaxLifetime, Ahead: 72 * time.Hour}
	var dir, out string
	cmd := &cobra.Command{
		Use: "status (--dir DIR [--out FILE] | --kubernetes) [flags]", Short: "Show which key signs, what comes next, and what is wrong", Args: noArgs,
		Long: `Shows which key signs, what happens next and when, and what is wrong.

Exit codes: 0 nothing is wrong; 1 something is wrong; 2 the keys could not be read.`,
	}
	addText(cmd, &dir, "dir", "DIR", "the key directory")
	addText(cmd, &out, "out", "FILE", "also check that this published key set holds the right keys")
	cluster := addKeysKubernetes(cmd)
	addDuration(cmd, &check.Lead, "lead", leadUsage)
	addDuration(cmd, &check.TokenLifetime, "lifetime", tokenLifetimeUsage)
	addDuration(cmd, &check.Ahead, "ahead", "how early it is a problem that no key will sign")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if (dir == "") != cluster.wanted || cluster.wanted && out != "" {
			return newUsageError(cmd, "keys status needs --dir DIR, or --kubernetes without --dir and --out")
		}
		if check.Lead < 0 || check.TokenLifetime < 0 || check.Ahead < 0 {
			return newUsageError(cmd, "--lead, --lifetime and --ahead must not be negative")
		}
		check.Now = time.Now()
		status := func() (keys.Report, error) { return keys.Status(check, dir, out) }
		if cluster.wanted {
			status = func() (keys.Report, error) { return cluster.status(cmd.Context(), check) }
		}
		report, err := status()
		if err := printKeyReport(cmd, report, err, *format, report.PrintStatus); err != nil {
			return err
		}
		if len(report.Problems) > 0 {
			return errAnswerNo
		}
		return nil
	}
	return cmd
}
