package main

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/cli/printer"
	"github.com/meshpass/meshpass/extauthz/policycli"
	"github.com/meshpass/meshpass/shared/policy"
)

func newPolicy() *cobra.Command {
	return newGroup("policy COMMAND", "Check, test, explain and compare policies",
		`Judges policies with the engine that decides in the authorizer. docs/policy-tools.md
describes these commands, and docs/policy.md what a policy says.`,
		newPolicyLint(), newPolicyTest(), newPolicyExplain(), newPolicyDiff())
}

// policySources is how every command names its policies.
const policySources = `SOURCE is a folder. NAME=SOURCE gives it another name than the
last element of its path.`

// addPolicySource adds the flags that say which policies a command reads, and how.
func addPolicySource(cmd *cobra.Command, s *policycli.Source) {
	s.Domains.Local = "cluster.local"
	addList(cmd, &s.Guardrails, "guardrail", "SOURCE", "also these policies, whose deny rules apply to public entries too")
	addFunc(cmd, "trust-domain", "NAME[,NAME]", s.Domains.Local, "the trust domain of the mesh, then its aliases", func(names string) error {
		all := strings.Split(names, ",")
		if slices.Contains(all, "") {
			return errors.New("want NAME, or NAME,ALIAS")
		}
		s.Domains.Local, s.Domains.Aliases = all[0], all[1:]
		return nil
	})
	addFunc(cmd, "members", "NAME[,NAME]", "", "the members of tctx that the mappings of your gateways write: a rule that reads another one is an error; without it any", func(names string) error {
		if s.Members = strings.Split(names, ","); slices.Contains(s.Members, "") {
			return errors.New("want NAME, or NAME,NAME")
		}
		return nil
	})
}

// addUnguarded adds a flag for commands whose answers it changes.
func addUnguarded(cmd *cobra.Command, s *policycli.Source) {
	mode := "deny"
	addChoice(cmd, &mode, "unguarded", "", "what happens to workloads that no document targets: policies.unguarded of the configuration", "deny", "shadow")
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if s.Unguarded = policy.Enforce; mode == "shadow" {
			s.Unguarded = policy.Shadow
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
}

// printReport prints a report, as JSON or as the text of a function. The answer is
// no unless ok.
func printReport(cmd *cobra.Command, report any, text func(io.Writer) error, format string, ok bool) error {
	var err error
	if format == "json" {
		err = printer.JSON(cmd.OutOrStdout(), report)
	} else {
		err = printText(cmd, text)
	}
	if err == nil && !ok {
		return errNo
	}
	return err
}

// checkStdin reports names of input that are standard input more than once.
func checkStdin(cmd *cobra.Command, names ...string) error {
	inputs := 0
	for _, name := range names {
		for _, each := range strings.Split(name, ",") {
			if each == "-" || strings.HasSuffix(each, "=-") {
				inputs++
			}
		}
	}
	if inputs > 1 {
		return misuse(cmd, "standard input can be read once: name - once")
	}
	return nil
}
