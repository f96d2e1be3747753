package main

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/shared/keyset"
)

func newKeys() *cobra.Command {
	return newGroup("keys COMMAND", "Make, rotate, publish and check signing keys",
		`Makes, rotates, publishes and checks the keys with which a gateway signs tokens.
docs/keys.md describes the life of a key, and what to do after a leak.`,
		newKeysNew(), newKeysRotate(), newKeysStatus(), newKeysPublish())
}

// The defaults of several commands.
const (
	defaultLead        = time.Hour
	defaultKeyLifetime = 720 * time.Hour
)

const leadUsage = "time from publishing to signing: the time that the slowest verifier takes to get the published set, with a margin"

// addNewKeyFlags adds the flags that describe a new key.
func addNewKeyFlags(cmd *cobra.Command, n *keys.KeyRequest) {
	n.Lead, n.Lifetime = defaultLead, defaultKeyLifetime
	addChoice(cmd, &n.Algorithm, "algorithm", "", "the algorithm of the key. Without it, that of the newest key of the directory, or "+
		keyset.DefaultAlgorithm+" for the first key. Every authorizer must accept it: see algorithms in docs/configuration.md", keyset.Algorithms()...)
	addDuration(cmd, &n.Lead, "lead", leadUsage)
	addDuration(cmd, &n.Lifetime, "lifetime-of-key", "how long a key signs if no other key follows")
	cmd.Flags().BoolVar(&n.First, "first", false, "the very first key of the directory signs at once. No verifier can know it yet: "+
		"they reject its tokens until they have the published set")
	cmd.Flags().BoolVar(&n.Test, "test", false, "a directory of test keys: gateways reject them, and meshpass token mint accepts only these")
}

// printChange prints the report of a change.
func printChange(cmd *cobra.Command, r keys.Report, err error, format string) error {
	return printKeyReport(cmd, r, err, format, r.Print)
}

func printKeyReport(cmd *cobra.Command, r keys.Report, err error, format string, text func(io.Writer)) error {
	switch {
	case err != nil:
		return answerNoFor(err, keys.ErrNotDone)
	case format == "json":
		return printer.JSONLine(cmd.OutOrStdout(), r) // one line, for the log of a CronJob
	}
	return printText(cmd, func(to io.Writer) error { text(to); return nil })
}
