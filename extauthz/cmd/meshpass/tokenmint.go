package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/tokentools"
)

func newTokenMint() *cobra.Command {
	o := tokentools.MintRequest{Lifetime: time.Minute}
	cmd := &cobra.Command{
		Use:   "mint --dir DIR --issuer URL --audience NAME --subject NAMESPACE:ID --workload SPIFFEID [flags]",
		Short: "Mint a token for a test", Args: noArgs,
		Long: `Mints a token for a test. Its claim tctx.test is true, and authorizers reject it
(test_token) unless insecure.allowTestTokens is set. Only keys of a directory that
meshpass keys new --test made sign such tokens.

Exit codes: 0 minted; 1 the keys are no test keys; 2 it could not be minted.`,
	}
	addText(cmd, &o.KeyDir, "dir", "DIR", "the directory of test keys (required)")
	addText(cmd, &o.Issuer, "issuer", "URL", "the claim iss (required)")
	addText(cmd, &o.Audience, "audience", "NAME", "the claim aud (required)")
	addText(cmd, &o.Subject, "subject", "NAMESPACE:ID", "the claim sub (required)")
	addText(cmd, &o.Workload, "workload", "SPIFFEID", "the claim req_wl, the gateway that the token seems to come from (required)")
	addText(cmd, &o.Scope, "scope", "SCOPES", `the claim scope, such as "orders.read orders.write"; without it none`)
	addText(cmd, &o.Claims, "claims", "JSON", `mapped members of tctx, such as {"tenant":"acme"}; without it none`)
	addDuration(cmd, &o.Lifetime, "lifetime", "how long the token lives, 5m at most")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range []string{"dir", "issuer", "audience", "subject", "workload"} {
			if cmd.Flags().Lookup(name).Value.String() == "" {
				return newUsageError(cmd, "token mint needs --%s", name)
			}
		}
		o.Now = time.Now
		minted, err := tokentools.Mint(o)
		if err != nil {
			return answerNoFor(err, tokentools.ErrNoToken)
		}
		return printAnswer(cmd, minted, *format)
	}
	return cmd
}
