package main

import (
	"flag"
	"io"
	"os"
	"os/user"
	"time"

	"github.com/meshpass/meshpass/extauthz/app"
	"github.com/meshpass/meshpass/extauthz/redislist"
	"github.com/meshpass/meshpass/extauthz/revoke"
	"github.com/meshpass/meshpass/shared/revocation"
)

const revokeUsage = `usage: meshpass revoke sub    LIST --issuer URL --for 24h [FLAGS] NAMESPACE:ID
       meshpass revoke sid    LIST --issuer URL --for 24h [FLAGS] SID
       meshpass revoke sid    LIST --issuer URL --for 24h --secret-file FILE [FLAGS] <KEY
       meshpass revoke kid    LIST --issuer URL --for 24h [FLAGS] KID
       meshpass revoke txn    LIST --issuer URL [FLAGS] TXN
       meshpass revoke remove LIST --issuer URL [FLAGS] KIND VALUE
       meshpass revoke list   LIST [-o json]
       meshpass revoke init   LIST [--after SERIAL]

Puts users, sessions, keys and transactions on the list of what does not hold any
more. Gateways and authorizers that read the list follow within 2 s. It ends new
requests, not streams that are open.

LIST is one of
  --file FILE               of revocation.file in the configurations
  --redis HOST:PORT         of revocation.redis, with
    --redis-username NAME, --redis-password-file FILE, --redis-ca FILE (for TLS)
    --redis-without-tls     to another machine without TLS: whoever is on the way can
                            change the list
    --redis-key NAME        default ` + redislist.DefaultKey + `

  --issuer URL        whose tokens: iss
  --config FILE       the authorizer's or the plugin's configuration: an issuer that
                      it does not name is an error
  --for 24h           sub, sid: nobody gets in for so long; 0s ends the tokens that
                      are under way. One minute is added, the largest difference of
                      clocks that a verifier may forgive. kid: how long the key counts
                      as revoked, at least until it has left every key set
  --secret-file FILE  of the gateway's configuration: the session is that of the
                      key on standard input, as Tyk names it
  --by NAME           who does it; default: who runs this
  --reason TEXT       why; stands in the list
  --after SERIAL      init: make the list later than one with this serial, as the
                      error of an authorizer says that follows a lost one
  -o json             print it as JSON

A value that no token can have is an error: sub NAMESPACE:ID, kid and sid 43
characters of base64url, txn a UUID. remove takes any value.

Again it prolongs. A full list takes no more, and drops nothing to make room.

exit codes: 0 done, or done already; 1 no list, no such entry, or the list is full; 2 could not do it
`

// revocationFlags are those of all revoke commands.
type revocationFlags struct {
	file, secretFile, format string
	config                   string
	plain                    bool // without TLS to another machine
	redis                    redislist.Config
	order                    revoke.Order
}

func (c command) revoke(args []string) int {
	c.usage = revokeUsage
	if len(args) == 0 {
		return c.misused("revoke needs a command")
	}
	switch name := args[0]; name {
	case "sub", "sid", "kid", "txn":
		return c.revokeOne(revocation.Kind(name), args[1:])
	case "remove":
		return c.revokeRemove(args[1:])
	case "list":
		return c.revokeAll(name, args[1:], func(s revoke.Store, _ revoke.Order) (printer, error) { return revoke.All(s) })
	case "init":
		return c.revokeAll(name, args[1:], func(s revoke.Store, o revoke.Order) (printer, error) { return revoke.Init(s, o) })
	case "-h", "-help", "--help":
		_, _ = io.WriteString(c.stdout, c.usage)
		return fine
	default: // which may be a key
		return c.misused("revoke has no such command")
	}
}

func (f *revocationFlags) set(name string) *flag.FlagSet {
	flags := flag.NewFlagSet("revoke "+name, flag.ContinueOnError)
	flags.StringVar(&f.file, "file", "", "")
	flags.StringVar(&f.redis.Address, "redis", "", "")
	flags.StringVar(&f.redis.Username, "redis-username", "", "")
	flags.StringVar(&f.redis.PasswordFile, "redis-password-file", "", "")
	flags.StringVar(&f.redis.CAFile, "redis-ca", "", "")
	flags.BoolVar(&f.plain, "redis-without-tls", false, "")
	flags.StringVar(&f.redis.Key, "redis-key", redislist.DefaultKey, "")
	flags.StringVar(&f.order.By, "by", caller(), "")
	flags.StringVar(&f.format, "o", "", "")
	f.order.Now = time.Now()
	return flags
}

// caller is who runs the program, as far as the system knows.
func caller() string {
	host, _ := os.Hostname()
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name + "@" + host
}

func (c command) revokeOne(kind revocation.Kind, args []string) int {
	f := revocationFlags{}
	flags := f.set(string(kind))
	flags.StringVar(&f.order.Issuer, "issuer", "", "")
	flags.StringVar(&f.order.Reason, "reason", "", "")
	flags.StringVar(&f.config, "config", "", "")
	if kind == revocation.SID {
		flags.StringVar(&f.secretFile, "secret-file", "", "")
	}
	if kind != revocation.Txn {
		durationVar(flags, &f.order.For, "for", -1)
	}
	if code, ok := c.parseUpTo(1, flags, args); !ok {
		return code
	}
	f.order.Kind = kind
	if f.order.For < 0 || f.order.For > revoke.MaxFor {
		return c.misused("revoke %s needs --for, 0s to %s", kind, revoke.MaxFor)
	}
	value, err := c.valueFrom(f.secretFile, flags.Args())
	if err != nil {
		return c.failed(err)
	}
	f.order.Value = value
	if f.config != "" && f.order.Issuer != "" {
		trusted, err := app.IssuersOf(f.config)
		if err == nil {
			err = revoke.CheckIssuer(f.order.Issuer, trusted)
		}
		if err != nil {
			return c.failed(err)
		}
	}
	return c.change(f, revoke.Add)
}

func (c command) revokeRemove(args []string) int {
	f := revocationFlags{}
	flags := f.set("remove")
	flags.StringVar(&f.order.Issuer, "issuer", "", "")
	if code, ok := c.parseUpTo(2, flags, args); !ok {
		return code
	}
	if flags.NArg() != 2 {
		return c.misused("revoke remove needs KIND and VALUE")
	}
	f.order.Kind, f.order.Value = revocation.Kind(flags.Arg(0)), flags.Arg(1)
	return c.change(f, revoke.Remove)
}

func (c command) change(f revocationFlags, do func(revoke.Store, revoke.Order) (revoke.Report, error)) int {
	if f.order.Issuer == "" {
		return c.misused("--issuer is missing")
	}
	return c.atList(f, func(s revoke.Store, o revoke.Order) (printer, error) { return do(s, o) })
}

func (c command) revokeAll(name string, args []string, do func(revoke.Store, revoke.Order) (printer, error)) int {
	f := revocationFlags{}
	flags := f.set(name)
	if name == "init" {
		flags.Uint64Var(&f.order.After, "after", 0, "")
	}
	if code, ok := c.parse(flags, args); !ok {
		return code
	}
	return c.atList(f, do)
}
