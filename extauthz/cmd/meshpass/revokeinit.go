package main

import (
	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/revocation/revoke"
)

func newRevokeInit() *cobra.Command {
	var order revoke.Order
	cmd := &cobra.Command{
		Use: "init (--file FILE | --redis HOST:PORT) [flags]", Short: "Make an empty list", Args: noArgs,
		Long: "Makes an empty list, where there is none." + revokeCodes,
	}
	cmd.Flags().Uint64Var(&order.After, "after", 0, "make the list later than one with this serial number, as the error of an authorizer says when a list was lost")
	list := addRevocations(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return list.do(cmd, order, func(s revoke.Store, o revoke.Order) (answer, error) { return revoke.Init(s, o) })
	}
	return cmd
}
