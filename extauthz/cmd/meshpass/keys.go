package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"time"

	"github.com/meshpass/meshpass/extauthz/keys"
	"github.com/meshpass/meshpass/shared/keyset"
)

const keysUsage = `usage: meshpass keys new --dir DIR [FLAGS]
       meshpass keys rotate --dir DIR [--out FILE] [FLAGS]
       meshpass keys publish --dir DIR [--out FILE] [FLAGS]
       meshpass keys status --dir DIR [--out FILE] [FLAGS]
`

const keysNewUsage = `usage: meshpass keys new --dir DIR [--algorithm ES256] [--lead 60m] [--lifetime-of-key 720h] [--first] [--test] [-o json]

Adds a signing key to a key directory: KID.pem and its times in keys.yaml, for
their owner alone. The key is to be published at once and signs after the lead.
Run again it does nothing while a key waits for its turn.

  --dir DIR                the key directory; made if it is not there
  --algorithm ES256        or EdDSA, RS256
  --lead 60m               from publishing to signing: what the slowest verifier
                           takes to get the published set, with a margin
  --lifetime-of-key 720h   for how long it signs
  --first                  the very first key of the directory signs at once. No
                           verifier can know it yet: until they have the
                           published set, they refuse its tokens
  --test                   a directory of test keys: gateways refuse them, and
                           meshpass token mint takes no others
  -o json                  print the report as JSON

exit codes: 0 done, or done already; 1 the directory's state speaks against it; 2 could not do it
`

const keysPublishUsage = `usage: meshpass keys publish --dir DIR [--out FILE [-o json]]

Writes the key set (JWKS) that verifiers are to have now: public halves only.
Run it after every new key, and whenever it said that the set changes.

  --dir DIR    the key directory
  --out FILE   write there, and say what changed and what happens next; without
               it the set goes to standard output
  -o json      print the report as JSON

exit codes: 0 done, or done already; 1 no key is to be published; 2 could not do it
`

func (c command) keys(ctx context.Context, args []string) int {
	c.usage = keysUsage
	if len(args) == 0 {
		return c.misused("keys needs a command")
	}
	switch args[0] {
	case "new":
		return c.keysNew(args[1:])
	case "rotate":
		return c.keysRotate(ctx, args[1:])
	case "status":
		return c.keysStatus(ctx, args[1:])
	case "publish":
		return c.keysPublish(args[1:])
	case "-h", "-help", "--help":
		_, _ = c.stdout.Write([]byte(c.usage))
		return fine
	default:
		return c.misused("unknown command %q", "keys "+args[0])
	}
}

func (c command) keysNew(args []string) int {
	c.usage = keysNewUsage
	n := keys.NewKey{Now: time.Now()}
	flags := flag.NewFlagSet("keys new", flag.ContinueOnError)
	flags.StringVar(&n.Dir, "dir", "", "")
	flags.StringVar(&n.Algorithm, "algorithm", keyset.ES256, "")
	durationVar(flags, &n.Lead, "lead", time.Hour)
	durationVar(flags, &n.Lifetime, "lifetime-of-key", 720*time.Hour)
	flags.BoolVar(&n.First, "first", false, "")
	flags.BoolVar(&n.Test, "test", false, "")
	format := flags.String("o", "", "")
	if code, ok := c.parse(flags, args); !ok {
		return code
	}
	if n.Dir == "" {
		return c.misused("keys new needs --dir DIR")
	}
	if *format != "" && *format != "json" {
		return c.misused("-o %s: want json", *format)
	}
	report, err := keys.New(n)
	return c.reported(report, err, *format)
}

func (c command) keysPublish(args []string) int {
	c.usage = keysPublishUsage
	flags := flag.NewFlagSet("keys publish", flag.ContinueOnError)
	dir := flags.String("dir", "", "")
	out := flags.String("out", "", "")
	format := flags.String("o", "", "")
	if code, ok := c.parse(flags, args); !ok {
		return code
	}
	if *dir == "" {
		return c.misused("keys publish needs --dir DIR")
	}
	if *format != "" && (*format != "json" || *out == "") {
		return c.misused("-o %s: want json, and --out FILE", *format)
	}
	if *out == "" {
		return c.keySet(*dir)
	}
	report, err := keys.Publish(*dir, *out, time.Now())
	return c.reported(report, err, *format)
}

func (c command) keySet(dir string) int {
	set, err := keys.Set(dir, time.Now())
	if err == nil {
		_, err = c.stdout.Write(set)
	}
	return c.answered(err)
}

func (c command) reported(r keys.Report, err error, format string) int {
	if err == nil && format == "json" {
		err = json.NewEncoder(c.stdout).Encode(r)
	} else if err == nil {
		r.Print(c.stdout)
	}
	return c.answered(err)
}

// answered tells a no from a failure.
func (c command) answered(err error) int {
	switch {
	case err == nil:
		return fine
	case errors.Is(err, keys.ErrNo):
		c.failed(err)
		return no
	default:
		return c.failed(err)
	}
}
