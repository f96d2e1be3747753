package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/tokentools"
)

func newTokenMint() *cobra.Command {
	request := tokentools.MintRequest{Lifetime: time.Minute}
	cmd := &cobra.Command{
		Use:   "mint --dir DIR --issuer URL --audience NAME --subject NAMESPACE:ID --workload SPIFFEID [flags]",
		Short: "Mint a token for a test", Args: noArgs,
		Long: `Mints a token for a test. Its claim tctx.test is true, and authorizers reject it
(test_token) unless insecure.allowTestTokens is set. Only keys of a directory that
meshpass keys new --test made can sign such tokens.

Exit codes: 0 minted; 1 the keys are not test keys; 2 it could not be minted.`,
	}
	addText(cmd, &request.KeyDir, "dir", "DIR", "the directory of test keys (required)")
	addText(cmd, &request.Issuer, "issuer", "URL", "the claim iss (required)")
	addText(cmd, &request.Audience, "audience", "NAME", "the claim aud (required)")
	addText(cmd, &request.Subject, "subject", "NAMESPACE:ID", "the claim sub (required)")
	addText(cmd, &request.Workload, "workload", "SPIFFEID", "the claim req_wl, the gateway that the token names (required)")
	addText(cmd, &request.Scope, "scope", "SCOPES", `the claim scope, such as "orders.read orders.write"; without it no scope`)
	addText(cmd, &request.Claims, "claims", "JSON", `mapped members of tctx, such as {"tenant":"acme"}; without it no members`)
	addDuration(cmd, &request.Lifetime, "lifetime", "how long the token lives, 5m at most")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range []string{"dir", "issuer", "audience", "subject", "workload"} {
			if cmd.Flags().Lookup(name).Value.String() == "" {
				return newUsageError(cmd, "token mint needs --%s", name)
			}
		}
		request.Now = time.Now
		minted, err := tokentools.Mint(request)
		if err != nil {
			return answerNoFor(err, tokentools.ErrNoToken)
		}
		return printAnswer(cmd, minted, *format)
	}
	return cmd
}
