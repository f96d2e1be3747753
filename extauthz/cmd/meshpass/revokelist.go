package main

import (
	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/revocation/revoke"
)

func newRevokeList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list (--file FILE | --redis HOST:PORT) [flags]", Short: "Print the list", Args: noArgs,
		Long: "Prints the entries that have not expired." + revokeCodes,
	}
	list := addRevocations(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return list.do(cmd, revoke.Order{}, func(s revoke.Store, _ revoke.Order) (answer, error) { return revoke.All(s) })
	}
	return cmd
}
