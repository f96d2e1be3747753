package main

import (
	"context"
	"encoding/json"
	"flag"
	"time"

	"github.com/meshpass/meshpass/extauthz/keys"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

const keysRotateUsage = `usage: meshpass keys rotate --dir DIR [--out FILE] [FLAGS]
       meshpass keys rotate --kubernetes [FLAGS]
       meshpass keys rotate --now --kid KID (--dir DIR [--out FILE] | --kubernetes) [FLAGS]

Makes the next key when its time has come, drops those whose time is over, and
publishes. Run it every hour: while a key waits for its turn, and before the next
one is due, it does nothing and says so. The next key is published at once and
signs after the lead; the one before it signs until then.

  --dir DIR                the key directory; made if it is not there
  --out FILE               write the key set there too, before a new key can sign
` + keysKubernetesUsage + `  --every DURATION         make the next key when the last has signed that long,
                           less the lead; without it, now
  --lead 60m               from publishing to signing: what the slowest verifier
                           takes to get the published set, with a margin
  --lifetime 5m            how long a token lives at most: the key set keeps a key
                           for that and a lead longer than it signs
  --lifetime-of-key 720h   for how long a key signs if no other follows
  --algorithm ES256        or EdDSA, RS256
  --first                  the very first key signs at once, though no verifier
                           can know it
  --test                   a directory of test keys
  --now                    the next key signs at once, because the signing one
                           leaked or none signs; prints until when requests may
                           be refused for it
  --kid KID                with --now: a key that leaked; may be given again. It
                           is dropped: it neither signs nor is it published
  -o json                  print the report as JSON

exit codes: 0 done, or done already; 1 the directory's state speaks against it; 2 could not do it
`

const keysStatusUsage = `usage: meshpass keys status (--dir DIR [--out FILE] | --kubernetes) [FLAGS]

Tells which key signs, what happens next and when, and what is wrong.

  --dir DIR                the key directory
  --out FILE               the published key set: does it hold what it should?
` + keysKubernetesUsage + `  --lead 60m               from publishing to signing
  --lifetime 5m            how long a token lives at most
  --ahead 72h              how early it is a problem that nothing will sign
  -o json                  print the report as JSON

exit codes: 0 all is well; 1 something is wrong; 2 could not look
`

func (c command) keysRotate(ctx context.Context, args []string) int {
	c.usage = keysRotateUsage
	r := keys.Rotation{NewKey: keys.NewKey{Now: time.Now()}}
	flags := flag.NewFlagSet("keys rotate", flag.ContinueOnError)
	flags.StringVar(&r.Dir, "dir", "", "")
	flags.StringVar(&r.Algorithm, "algorithm", keyset.ES256, "")
	durationVar(flags, &r.Every, "every", 0)
	durationVar(flags, &r.Lead, "lead", time.Hour)
	durationVar(flags, &r.Tokens, "lifetime", token.MaxLifetime)
	durationVar(flags, &r.Lifetime, "lifetime-of-key", 720*time.Hour)
	flags.BoolVar(&r.First, "first", false, "")
	flags.BoolVar(&r.Test, "test", false, "")
	flags.BoolVar(&r.AtOnce, "now", false, "")
	flags.Func("kid", "", func(kid string) error { r.Leaked = append(r.Leaked, kid); return nil })
	out := flags.String("out", "", "")
	k := keysKubernetes(flags)
	format := flags.String("o", "", "")
	if code, ok := c.parse(flags, args); !ok {
		return code
	}
	switch {
	case (r.Dir == "") != k.wanted || k.wanted && *out != "":
		return c.misused("keys rotate needs --dir DIR, or --kubernetes without --dir and --out")
	case len(r.Leaked) > 0 && !r.AtOnce:
		return c.misused("--kid names a key that leaked: it goes with --now")
	case *format != "" && *format != "json":
		return c.misused("-o %s: want json", *format)
	}
	rotate := func() (keys.Report, error) { return keys.Rotate(r, *out) }
	if k.wanted {
		rotate = func() (keys.Report, error) { return k.rotate(ctx, r) }
	}
	report, err := rotate()
	return c.reported(report, err, *format)
}

func (c command) keysStatus(ctx context.Context, args []string) int {
	c.usage = keysStatusUsage
	check := keys.Check{Now: time.Now()}
	flags := flag.NewFlagSet("keys status", flag.ContinueOnError)
	dir := flags.String("dir", "", "")
	out := flags.String("out", "", "")
	k := keysKubernetes(flags)
	durationVar(flags, &check.Lead, "lead", time.Hour)
	durationVar(flags, &check.Tokens, "lifetime", token.MaxLifetime)
	durationVar(flags, &check.Ahead, "ahead", 72*time.Hour)
	format := flags.String("o", "", "")
	if code, ok := c.parse(flags, args); !ok {
		return code
	}
	switch {
	case (*dir == "") != k.wanted || k.wanted && *out != "":
		return c.misused("keys status needs --dir DIR, or --kubernetes without --dir and --out")
	case *format != "" && *format != "json":
		return c.misused("-o %s: want json", *format)
	}
	status := func() (keys.Report, error) { return keys.Status(check, *dir, *out) }
	if k.wanted {
		status = func() (keys.Report, error) { return k.status(ctx, check) }
	}
	report, err := status()
	return c.keysTold(report, err, *format)
}

// keysTold prints the state of keys; a problem is a no.
func (c command) keysTold(r keys.Report, err error, format string) int {
	if err != nil {
		return c.answered(err)
	}
	if format == "json" {
		if err := json.NewEncoder(c.stdout).Encode(r); err != nil {
			return c.failed(err)
		}
	} else {
		r.PrintStatus(c.stdout)
	}
	if len(r.Problems) > 0 {
		return no
	}
	return fine
}
