package main

import (
	"github.com/meshpass/meshpass/extauthz/policycli/lint"
)

const policyLintUsage = `usage: meshpass policy lint DIR... [FLAGS]

Says what is wrong in documents, and in the cases beside them, at which place, and
what to write instead; and warns of what may not be meant. docs/policy.md lists
the warnings.

  --strict                    warnings are failures
  --workloads FILE            also warn of each workload in FILE that no document
                              in force targets: one name a line, as in targets; - is
                              standard input
  -o text                     or json, or github: workflow commands, which GitHub
                              shows at the lines of a pull request` + policyFlagsUsage + `
exit codes: 0 nothing found, or only warnings; 1 something is wrong; 2 could not do it
`

func (c command) policyLint(args []string) int {
	c.usage = policyLintUsage
	f := newPolicyFlags("lint")
	strict := f.Bool("strict", false, "")
	workloads := f.String("workloads", "", "")
	if code, ok := c.parsePolicy(f, args, "github"); !ok {
		return code
	}
	var members *lint.Workloads
	if *workloads != "" {
		file, err := c.opened(*workloads)
		if err != nil {
			return c.failed(err)
		}
		defer file.Close()
		members = &lint.Workloads{Name: *workloads, Data: file}
		if *workloads == "-" {
			members.Name = "standard input"
		}
	}
	report, err := lint.Run(f.Source, members)
	if err != nil {
		return c.failed(err)
	}
	show := report.Print
	if f.format == "github" {
		show = report.PrintGitHub
	}
	return c.told(report, show, f.format, report.OK(*strict))
}
