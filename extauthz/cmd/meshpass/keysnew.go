package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
)

func newKeysNew() *cobra.Command {
	var n keys.KeyRequest
	cmd := &cobra.Command{
		Use: "new --dir DIR [flags]", Short: "Add a signing key to a directory", Args: noArgs,
		Long: `Adds a signing key to a key directory: KID.pem, and its times in keys.yaml. Only
their owner can read them. Publish the key at once: it signs after the lead. While
a key waits to sign, another run changes nothing.

Exit codes: 0 done, or already done; 1 the state of the directory does not allow it;
2 it could not be done.`,
	}
	addText(cmd, &n.Dir, "dir", "DIR", "the key directory, made if it does not exist (required)")
	addNewKeyFlags(cmd, &n)
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if n.Dir == "" {
			return newUsageError(cmd, "keys new needs --dir DIR")
		}
		n.Now = time.Now()
		report, err := keys.AddKey(n)
		return printChange(cmd, report, err, *format)
	}
	return cmd
}
