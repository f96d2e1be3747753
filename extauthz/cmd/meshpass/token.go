package main

import (
	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/tokentools"
)

func newToken() *cobra.Command {
	commands := []*cobra.Command{newTokenInspect(), newTokenVerify(), newTokenMint()}
	group := newGroup("token COMMAND", "Inspect a token, verify it, or mint one for a test",
		`Inspects and verifies internal tokens, and mints tokens for tests. No command prints a
token that it reads.`, commands...)
	for _, cmd := range append(commands, group) {
		cmd.Annotations = map[string]string{secretArguments: "tokens"}
	}
	return group
}

// tokenArgument describes the input of a command that reads a token.
const tokenArgument = `The token is read from standard input, or is an argument, which is visible to other users
of this machine.`

// readToken takes the token from the argument, or from standard input.
func readToken(cmd *cobra.Command, args []string) (string, error) {
	if len(args) == 1 && args[0] != "-" {
		return args[0], nil
	}
	return tokentools.ReadToken(cmd.InOrStdin())
}
