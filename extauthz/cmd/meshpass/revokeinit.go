package main

import (
	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/revocation/listedit"
)

func newRevokeInit() *cobra.Command {
	var order listedit.Request
	cmd := &cobra.Command{
		Use: "init (--file FILE | --redis HOST:PORT) [flags]", Short: "Make an empty list", Args: noArgs,
		Long: "Makes an empty list, unless there is a list already." + revokeCodes,
	}
	cmd.Flags().Uint64Var(&order.After, "after", 0, "make the list later than the list with this `SERIAL`, which the error of an authorizer names after a list was lost")
	list := addListFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return list.runOnList(cmd, order, func(s listedit.Store, o listedit.Request) (answer, error) { return listedit.Init(s, o) })
	}
	return cmd
}
