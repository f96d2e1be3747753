package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/revocation/listedit"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/revocation"
)

func newRevokeRemove() *cobra.Command {
	var order listedit.Request
	cmd := &cobra.Command{
		ValidArgsFunction: completeKind,
		Use:               "remove (--file FILE | --redis HOST:PORT) --issuer URL KIND VALUE [flags]", Short: "Remove an entry", Args: atMostArgs(2),
		Long: `Removes an entry: KIND is sub, sid, kid or txn, and VALUE is any value. Its tokens that
have not expired are accepted again.` + revokeCodes,
	}
	addText(cmd, &order.Issuer, "issuer", "URL", "the issuer of the tokens: the claim iss (required)")
	list := addListFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 2 {
			return newUsageError(cmd, "revoke remove needs KIND and VALUE")
		}
		if order.Issuer == "" {
			return newUsageError(cmd, "--issuer is missing")
		}
		if !slices.Contains(revocationKindNames, args[0]) { // the word may be a secret, so it is not repeated
			return newUsageError(cmd, "KIND is sub, sid, kid or txn%s", suggest.DidYouMean(args[0], revocationKindNames))
		}
		order.Kind, order.Value = revocation.Kind(args[0]), args[1]
		return list.runOnList(cmd, order, func(s listedit.Store, o listedit.Request) (answer, error) { return listedit.Remove(s, o) })
	}
	return cmd
}

var revocationKindNames = []string{string(revocation.Sub), string(revocation.SID), string(revocation.KID), string(revocation.Txn)}

// completeKind completes the first argument.
func completeKind(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return revocationKindNames, cobra.ShellCompDirectiveNoFileComp
}
