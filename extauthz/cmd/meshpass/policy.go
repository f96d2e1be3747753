package main

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/allowedheaders"
	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

func newPolicy() *cobra.Command {
	return newGroup("policy COMMAND", "Check, test, explain and compare policies",
		`Works on policies with the engine of the authorizer. docs/policy-tools.md describes
these commands, and docs/policy.md the policies.`,
		newPolicyInit(), newPolicyLint(), newPolicyTest(), newPolicyExplain(), newPolicyDiff(), newPolicyPull())
}

// policySources is the part of the help that explains SOURCE.
const policySources = `SOURCE is a folder, a file *.yaml or *.yml, or - for standard input. Files of one
folder count as that folder. NAME=SOURCE gives a folder another name than the last
element of its path.`

// addPolicySource adds the flags for the policies that a command reads.
func addPolicySource(cmd *cobra.Command, s *policycli.DocumentSource) {
	addList(cmd, &s.Guardrails, "guardrail", "SOURCE", "a guardrail: policies whose deny rules apply to public entries too")
	addTrustDomain(cmd, &s.Domains)
	addFunc(cmd, "members", "NAME[,NAME]", "", "the members of tctx that the mappings of your gateways write; a rule that reads another member is an error; without it all are known", func(names string) error {
		if s.Members = strings.Split(names, ","); slices.Contains(s.Members, "") {
			return errors.New("want NAME, or NAME,NAME")
		}
		return nil
	})
	addFunc(cmd, "allowed-headers", "FILE", "", "the EnvoyFilter of meshpass istio headers; a rule that reads a header which it does not list is an error; without it all headers are sent", func(name string) error {
		data, err := readfile.Read(name, allowedheaders.MaxFileBytes)
		if err != nil {
			return err
		}
		s.Headers, err = allowedheaders.Parse(data)
		return strictyaml.InFile(name, err)
	})
}

// addTrustDomain adds the flag for the trust domain of ns/NAMESPACE/sa/ACCOUNT.
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

// addUnguarded adds the flag for workloads that no document targets.
func addUnguarded(cmd *cobra.Command, s *policycli.DocumentSource) {
	mode := "deny"
	addChoice(cmd, &mode, "unguarded", "", "the mode of workloads that no document targets, as policies.unguarded of the configuration", "deny", "shadow")
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

// printReport prints a report as JSON, or as the text that a function writes. It returns
// errNo unless ok.
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

// findings are a report with places in files.
type findings interface {
	Print(io.Writer) error
	PrintGitHub(io.Writer) error
	PrintSARIF(io.Writer) error
}

// printFindings is printReport with the formats github and sarif.
func printFindings(cmd *cobra.Command, report findings, format string, ok bool) error {
	show := report.Print
	switch format {
	case "github":
		show = report.PrintGitHub
	case "sarif":
		show = report.PrintSARIF
	}
	return printReport(cmd, report, show, format, ok)
}

// checkStdin returns an error if more than one of the names is standard input.
func checkStdin(cmd *cobra.Command, names ...string) error {
	if countStdin(names) > 1 {
		return newUsageError(cmd, "standard input can be read once: name - once")
	}
	return nil
}

func readsStdin(names []string) bool { return countStdin(names) > 0 }

// countStdin counts the names of standard input: -, NAME=-, and those in lists.
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
