package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
	"github.com/meshpass/meshpass/shared/token"
)

const tokenLifetimeUsage = "longest lifetime of a token"

func newKeysRotate() *cobra.Command {
	var r keys.Rotation
	r.TokenLifetime = token.MaxLifetime
	var out string
	cmd := &cobra.Command{
		Use: "rotate (--dir DIR [--out FILE] | --kubernetes) [flags]", Short: "Make the next key when it is time, and publish it", Args: noArgs,
		Long: `Makes the next key when it is time, removes expired keys, and publishes the key set.
Run it every hour. While a key waits to sign, and before the next one is due, it
changes nothing and says so. The next key is published at once and signs after the
lead; the key before it signs until then.

Exit codes: 0 done, or already done; 1 the state of the directory does not allow it;
2 it could not be done.`,
		Example: `  meshpass keys rotate --dir keys --out jwks.json --every 168h
  meshpass keys rotate --kubernetes --every 7d
  meshpass keys rotate --now --kid KID --dir keys --out jwks.json    # after a leak`,
	}
	addText(cmd, &r.Dir, "dir", "DIR", "the key directory, made if it does not exist")
	addText(cmd, &out, "out", "FILE", "also write the key set there, before a new key can sign")
	cluster := addKeysKubernetes(cmd)
	addDuration(cmd, &r.Every, "every", "how long a key signs before the next one signs; the next key is made a lead earlier. 0s: make it now")
	addDuration(cmd, &r.TokenLifetime, "lifetime", tokenLifetimeUsage+": the key set keeps a key for that and a lead longer than the key signs")
	addNewKeyFlags(cmd, &r.KeyRequest)
	cmd.Flags().BoolVar(&r.Immediately, "now", false, "the next key signs at once, because the signing key leaked or no key signs. The output says until when requests may be denied for that reason")
	addList(cmd, &r.Leaked, "kid", "KID", "with --now: a key that leaked. It is removed: it neither signs nor is it published")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case (r.Dir == "") != cluster.wanted || cluster.wanted && out != "":
			return newUsageError(cmd, "keys rotate needs --dir DIR, or --kubernetes without --dir and --out")
		case len(r.Leaked) > 0 && !r.Immediately:
			return newUsageError(cmd, "--kid names a key that leaked: it goes with --now")
		}
		r.Now = time.Now()
		rotate := func() (keys.Report, error) { return keys.Rotate(r, out) }
		if cluster.wanted {
			rotate = func() (keys.Report, error) { return cluster.rotate(cmd.Context(), r) }
		}
		report, err := rotate()
		return printChange(cmd, report, err, *format)
	}
	return cmd
}
