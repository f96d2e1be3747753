package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/policycli"
	"github.com/meshpass/meshpass/extauthz/tokencli"
	"github.com/meshpass/meshpass/shared/policy"
)

const policyUsage = `usage: meshpass policy lint DIR... [FLAGS]
       meshpass policy test DIR... [FLAGS]
       meshpass policy explain DIR... --callee WORKLOAD [FLAGS]
       meshpass policy diff OLD NEW --replay FILE [FLAGS]
`

// policyFlagsUsage ends the help of each command.
const policyFlagsUsage = `
  --guardrail DIR             also this folder, whose deny rules hold against
                              public entries too; may be given again
  --trust-domain NAME[,NAME]  the mesh's own, then its aliases; default cluster.local
  --members NAME[,NAME]       of tctx that your gateways' mappings write: a rule that
                              reads another is refused; default any
`

func (c command) policy(args []string) int {
	c.usage = policyUsage
	if len(args) == 0 {
		return c.misused("policy needs a command")
	}
	switch args[0] {
	case "lint":
		return c.policyLint(args[1:])
	case "test":
		return c.policyTest(args[1:])
	case "explain":
		return c.policyExplain(args[1:])
	case "diff":
		return c.policyDiff(args[1:])
	case "-h", "-help", "--help":
		_, _ = io.WriteString(c.stdout, c.usage)
		return fine
	default:
		return c.misused("unknown command %q", "policy "+args[0])
	}
}

// policyFlags are those that all commands have.
type policyFlags struct {
	*flag.FlagSet
	policycli.Source
	format string
}

func newPolicyFlags(name string) *policyFlags {
	f := &policyFlags{FlagSet: flag.NewFlagSet("policy "+name, flag.ContinueOnError)}
	f.Domains.Local = "cluster.local"
	f.Func("guardrail", "", func(dir string) error {
		f.Guardrails = append(f.Guardrails, dir)
		return nil
	})
	f.Func("trust-domain", "", func(names string) error {
		all := strings.Split(names, ",")
		if slices.Contains(all, "") {
			return fmt.Errorf("want NAME, or NAME,ALIAS")
		}
		f.Domains.Local, f.Domains.Aliases = all[0], all[1:]
		return nil
	})
	f.Func("members", "", func(names string) error {
		f.Members = strings.Split(names, ",")
		if slices.Contains(f.Members, "") {
			return fmt.Errorf("want NAME, or NAME,NAME")
		}
		return nil
	})
	f.StringVar(&f.format, "o", "text", "")
	return f
}

// unguarded is a flag for commands whose answers it changes.
func (f *policyFlags) unguarded() {
	f.Func("unguarded", "", func(mode string) error {
		switch mode {
		case "deny":
			f.Unguarded = policy.Enforce
		case "shadow":
			f.Unguarded = policy.Shadow
		default:
			return fmt.Errorf("want deny or shadow")
		}
		return nil
	})
}

// parsePolicy reads flags and folders in any order.
func (c command) parsePolicy(f *policyFlags, args []string, formats ...string) (code int, ok bool) {
	for {
		if code, ok = c.parseUpTo(len(args), f.FlagSet, args); !ok {
			return code, false
		}
		if f.NArg() == 0 {
			break
		}
		f.Dirs = append(f.Dirs, f.Arg(0))
		args = f.Args()[1:]
	}
	if formats = append(formats, "text", "json"); !slices.Contains(formats, f.format) {
		return c.misused("-o %s: want one of %s", f.format, strings.Join(formats, ", ")), false
	}
	return fine, true
}

// told prints a report, in which nothing commands a terminal, and gives the exit
// code that goes with its answer.
func (c command) told(report any, print func(io.Writer) error, format string, yes bool) int {
	var text strings.Builder
	err := print(&text)
	if format == "json" {
		err = tokencli.PrintJSON(c.stdout, report)
	} else if err == nil {
		_, err = io.WriteString(c.stdout, tokencli.Printable(text.String()))
	}
	switch {
	case err != nil:
		return c.failed(err)
	case !yes:
		return no
	}
	return fine
}
