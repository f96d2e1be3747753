package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/app"
	"github.com/meshpass/meshpass/extauthz/internal/tokentools"
)

func newTokenVerify() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use: "verify --config FILE [TOKEN] [flags]", Short: "Say whether a configuration accepts a token, or which rule rejects it", Args: atMostArgs(1),
		Long: `Says whether an authorizer with this configuration accepts the token, or which rule
of docs/token.md rejects it.
` + tokenArgument + `

Exit codes: 0 accepted; 1 rejected; 2 it could not be verified.`,
	}
	addText(cmd, &config, "config", "FILE", "the configuration of meshpass serve (required). Only its trustDomains, trust, limits, revocation and insecure are used, "+
		"and the key sets that they name")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if config == "" {
			return newUsageError(cmd, "token verify needs --config FILE")
		}
		verifier, err := app.NewVerifier(config, time.Now, newWarningLog(cmd))
		if err != nil {
			return err
		}
		raw, err := readToken(cmd, args)
		if err != nil {
			return err
		}
		verdict := tokentools.Verify(verifier, raw)
		if err := printAnswer(cmd, verdict, *format); err != nil {
			return err
		}
		if !verdict.Accepted {
			return errAnswerNo
		}
		return nil
	}
	return cmd
}
