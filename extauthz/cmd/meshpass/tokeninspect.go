package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/tokentools"
)

func newTokenInspect() *cobra.Command {
	cmd := &cobra.Command{
		Use: "inspect [TOKEN] [flags]", Short: "Print the content of a token, without verifying it", Args: atMostArgs(1),
		Long: `Prints header, claims and times of a token. Nothing is verified: anyone can write such a
token.
` + tokenArgument + `

Exit codes: 0 printed; 1 it is not a token; 2 it could not be read.`,
	}
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		raw, err := readToken(cmd, args)
		if err != nil {
			return err
		}
		inspection, err := tokentools.Inspect(raw, time.Now())
		if err != nil {
			return answerNoFor(err, tokentools.ErrNoToken)
		}
		return printAnswer(cmd, inspection, *format)
	}
	return cmd
}
