package main

import (
	"errors"
	"flag"
	"io"
	"log/slog"
	"time"

	"github.com/meshpass/meshpass/extauthz/app"
	"github.com/meshpass/meshpass/extauthz/tokencli"
)

const tokenUsage = `usage: meshpass token inspect [-o json] [TOKEN]
       meshpass token verify --config FILE [-o json] [TOKEN]
       meshpass token mint --dir DIR --issuer URL --audience NAME --subject NAMESPACE:ID --workload SPIFFEID [FLAGS]
`

const tokenInspectUsage = `usage: meshpass token inspect [-o json] [TOKEN]

Prints header, claims and times of a token. Nothing is verified: anyone can have
written it. The token comes from standard input, or as an argument, which others
on this machine can see.

  -o json   print it as JSON

exit codes: 0 printed; 1 that is no token; 2 could not do it
`

const tokenVerifyUsage = `usage: meshpass token verify --config FILE [-o json] [TOKEN]

Says whether an authorizer with this configuration accepts the token, or which
rule of docs/token.md refuses it. The token comes from standard input, or as an
argument, which others on this machine can see.

  --config FILE   of meshpass serve; trustDomains, trust, limits and insecure
                  count, and the key sets that they name
  -o json         print the verdict as JSON

exit codes: 0 accepted; 1 refused; 2 could not do it
`

const tokenMintUsage = `usage: meshpass token mint --dir DIR --issuer URL --audience NAME --subject NAMESPACE:ID --workload SPIFFEID
                            [--scope "A B"] [--claims JSON] [--lifetime 60s] [-o json]

Mints a token for a test: tctx.test is true, and authorizers refuse it
(test_token) unless insecure.allowTestTokens is set. Only keys of a directory
made with meshpass keys new --test sign such tokens.

  --dir DIR               the directory of test keys
  --issuer URL            iss
  --audience NAME         aud
  --subject NAMESPACE:ID  sub
  --workload SPIFFEID     req_wl: the gateway that the token seems to come from
  --scope "A B"           scope; default none
  --claims JSON           mapped members of tctx, such as {"tenant":"acme"}
  --lifetime 60s          5m at most
  -o json                 print token, transaction and expiry as JSON

exit codes: 0 minted; 1 those are no test keys; 2 could not do it
`

func (c command) token(args []string) int {
	c.usage = tokenUsage
	if len(args) == 0 {
		return c.misused("token needs a command")
	}
	switch args[0] {
	case "inspect":
		return c.tokenInspect(args[1:])
	case "verify":
		return c.tokenVerify(args[1:])
	case "mint":
		return c.tokenMint(args[1:])
	case "-h", "-help", "--help":
		_, _ = io.WriteString(c.stdout, c.usage)
		return fine
	default: // which may be a token
		return c.misused("token has no such command")
	}
}

func (c command) tokenInspect(args []string) int {
	c.usage = tokenInspectUsage
	flags := flag.NewFlagSet("token inspect", flag.ContinueOnError)
	format := flags.String("o", "", "")
	if code, ok := c.parseUpTo(1, flags, args); !ok {
		return code
	}
	if *format != "" && *format != "json" {
		return c.misused("-o %s: want json", *format)
	}
	raw, err := c.tokenFrom(flags.Args())
	if err != nil {
		return c.failed(err)
	}
	inspection, err := tokencli.Inspect(raw, time.Now())
	return c.printed(inspection, err, *format)
}

func (c command) tokenVerify(args []string) int {
	c.usage = tokenVerifyUsage
	flags := flag.NewFlagSet("token verify", flag.ContinueOnError)
	config := flags.String("config", "", "")
	format := flags.String("o", "", "")
	if code, ok := c.parseUpTo(1, flags, args); !ok {
		return code
	}
	if *config == "" {
		return c.misused("token verify needs --config FILE")
	}
	if *format != "" && *format != "json" {
		return c.misused("-o %s: want json", *format)
	}
	verifier, err := app.Verifier(*config, time.Now, c.warnings())
	if err != nil {
		return c.failed(err)
	}
	raw, err := c.tokenFrom(flags.Args())
	if err != nil {
		return c.failed(err)
	}
	verdict := tokencli.Verify(verifier, raw)
	if code := c.printed(verdict, nil, *format); code != fine || verdict.Accepted {
		return code
	}
	return no
}

func (c command) tokenMint(args []string) int {
	c.usage = tokenMintUsage
	o := tokencli.Order{Now: time.Now}
	flags := flag.NewFlagSet("token mint", flag.ContinueOnError)
	flags.StringVar(&o.Dir, "dir", "", "")
	flags.StringVar(&o.Issuer, "issuer", "", "")
	flags.StringVar(&o.Audience, "audience", "", "")
	flags.StringVar(&o.Subject, "subject", "", "")
	flags.StringVar(&o.Workload, "workload", "", "")
	flags.StringVar(&o.Scope, "scope", "", "")
	flags.StringVar(&o.Claims, "claims", "", "")
	durationVar(flags, &o.Lifetime, "lifetime", time.Minute)
	format := flags.String("o", "", "")
	if code, ok := c.parse(flags, args); !ok {
		return code
	}
	for _, name := range []string{"dir", "issuer", "audience", "subject", "workload"} {
		if flags.Lookup(name).Value.String() == "" {
			return c.misused("token mint needs --%s", name)
		}
	}
	if *format != "" && *format != "json" {
		return c.misused("-o %s: want json", *format)
	}
	minted, err := tokencli.Mint(o)
	return c.printed(minted, err, *format)
}

// tokenFrom takes the token from the argument, or from standard input.
func (c command) tokenFrom(args []string) (string, error) {
	if len(args) == 1 && args[0] != "-" {
		return args[0], nil
	}
	return tokencli.Read(c.stdin)
}

// printer is an answer in the form for people.
type printer interface{ Print(to io.Writer) error }

// printed shows an answer in the form asked for; an error tells a no from a failure.
func (c command) printed(answer printer, err error, format string) int {
	switch {
	case err == nil && format == "json":
		err = tokencli.PrintJSON(c.stdout, answer)
	case err == nil:
		err = answer.Print(c.stdout)
	}
	if err == nil {
		return fine
	}
	c.failed(err)
	if errors.Is(err, tokencli.ErrNo) {
		return no
	}
	return couldNot
}

// warnings is the log of a command that is no service: for the person at the terminal.
func (c command) warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
