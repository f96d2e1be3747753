package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
)

func newKeysPublish() *cobra.Command {
	var dir, out string
	cmd := &cobra.Command{
		Use: "publish --dir DIR [--out FILE] [flags]", Short: "Write the key set that verifiers get", Args: noArgs,
		Long: `Writes the key set (JWKS) that verifiers must have now. It holds public keys only.
Run it after every new key, and at the times when it has announced a change of the set.

Exit codes: 0 done, or already done; 1 there is no key to publish; 2 it could not be
done.`,
	}
	addText(cmd, &dir, "dir", "DIR", "the key directory (required)")
	addText(cmd, &out, "out", "FILE", "write the key set there, and print what changed and what happens next. Without it the key set goes to standard output")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case dir == "":
			return newUsageError(cmd, "keys publish needs --dir DIR")
		case *format == "json" && out == "":
			return newUsageError(cmd, "-o json prints the report of --out FILE; without --out the key set is printed, which is JSON")
		case out == "":
			return printKeySet(cmd, dir)
		}
		report, err := keys.Publish(dir, out, time.Now())
		return printChange(cmd, report, err, *format)
	}
	return cmd
}

func printKeySet(cmd *cobra.Command, dir string) error {
	set, err := keys.PublicSet(dir, time.Now())
	if err != nil {
		return answerNoFor(err, keys.ErrNotDone)
	}
	_, err = cmd.OutOrStdout().Write(set)
	return err
}
