package main

import (
	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/revocation/listedit"
)

func newRevokeList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list (--file FILE | --redis HOST:PORT) [flags]", Short: "Print the list", Args: noArgs,
		Long: "Prints the entries that have not expired." + revokeCodes,
	}
	list := addListFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return list.runOnList(cmd, listedit.Request{}, func(s listedit.Store, _ listedit.Request) (answer, error) { return listedit.ReadAll(s) })
	}
	return cmd
}
