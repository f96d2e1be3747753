package main

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

func newPolicy() *cobra.Command {
	return newGroup("policy COMMAND", "Check, test, explain and compare policies",
		`Judges policies with the engine that decides in the authorizer. docs/policy-tools.md
describes these commands, and docs/policy.md what a policy says.`,
		newPolicyInit(), newPolicyLint(), newPolicyTest(), newPolicyExplain(), newPolicyDiff())
}

// policySources is how every command names its policies.
const policySources = `SOURCE is a folder, a file *.yaml or *.yml, or - for standard input. Files of one
folder count as that folder. NAME=SOURCE gives a folder another name than the last
element of its path.`

// addPolicySource adds the flags that say which policies a command reads, and how.
func addPolicySource(cmd *cobra.Command, s *policycli.DocumentSource) {
	addList(cmd, &s.Guardrails, "guardrail", "SOURCE", "also these policies, whose deny rules apply to public entries too")
	addTrustDomain(cmd, &s.Domains)
	addFunc(cmd, "members", "NAME[,NAME]", "", "the members of tctx that the mappings of your gateways write: a rule that reads another one is an error; without it any", func(names string) error {
		if s.Members = strings.Split(names, ","); slices.Contains(s.Members, "") {
			return errors.New("want NAME, or NAME,NAME")
		}
		return nil
	})
}

// addTrustDomain adds the flag that says what ns/NAMESPACE/sa/ACCOUNT belongs to.
func addTrustDomain(cmd *cobra.Command, domains *identity.TrustDomains) {
	domains.Local = "cluster.local"
	addFunc(cmd, "trust-domain", "NAME[,NAME]", domains.Local, "the trust domain of the mesh, then its aliases", func(names string) error {
		all := strings.Split(names, ",")
		if slices.Contains(all, "") {
			return errors.New("want NAME, or NAME,ALIAS")
		}
		domains.Local, domains.Aliases = all[0], all[1:]
		return nil
	})
}

// addUnguarded adds a flag for commands whose answers it changes.
func addUnguarded(cmd *cobra.Command, s *policycli.DocumentSource) {
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
		return errAnswerNo
	}
	return err
}

// checkStdin reports names of input that are standard input more than once.
func checkStdin(cmd *cobra.Command, names ...string) error {
	if countStdin(names) > 1 {
		return newUsageError(cmd, "standard input can be read once: name - once")
	}
	return nil
}

func readsStdin(names []string) bool { return countStdin(names) > 0 }

// countStdin counts what is standard input: -, NAME=-, and those in lists.
func countStdin(names []string) int {
	count := 0
	for _, name := range names {
		for _, each := range strings.Split(name, ",") {
			if each == "-" || strings.HasSuffix(each, "=-") {
				count++
			}
		}
	}
	return count
}
