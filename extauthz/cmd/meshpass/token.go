package main

import (
	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/tokentools"
)

func newToken() *cobra.Command {
	commands := []*cobra.Command{newTokenInspect(), newTokenVerify(), newTokenMint()}
	group := newGroup("token COMMAND", "Look at a token, verify it, or mint one for a test",
		`Looks at internal tokens, verifies them, and mints tokens for tests. No command
prints a token that it was given.`, commands...)
	for _, cmd := range append(commands, group) {
		cmd.Annotations = map[string]string{secretArguments: "tokens"}
	}
	return group
}

// tokenArgument says where a token comes from.
const tokenArgument = `The token comes from standard input, or is an argument, which other users of this
machine can see.`

// readToken takes the token from the argument, or from standard input.
func readToken(cmd *cobra.Command, args []string) (string, error) {
	if len(args) == 1 && args[0] != "-" {
		return args[0], nil
	}
	return tokentools.ReadToken(cmd.InOrStdin())
}
