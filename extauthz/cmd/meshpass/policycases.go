package main

import (
	"regexp"

	"github.com/meshpass/meshpass/extauthz/policycli/cases"
)

const policyTestUsage = `usage: meshpass policy test DIR... [FLAGS]

Decides the cases in *_test.yaml and *.test.yaml below the folders by the
documents there, and compares. docs/policy-tools.md shows how cases are written.

  --run REGEX                 only cases whose name matches; coverage is not told
  --coverage PERCENT          of rules and public entries must decide some case
  -v                          name the cases that pass too
  -o json                     print the report as JSON` + policyFlagsUsage + `
exit codes: 0 all passed; 1 a case failed, or too little is covered; 2 could not do it
`

func (c command) policyTest(args []string) int {
	c.usage = policyTestUsage
	f := newPolicyFlags("test")
	only := f.String("run", "", "")
	want := f.Int("coverage", 0, "")
	verbose := f.Bool("v", false, "")
	if code, ok := c.parsePolicy(f, args); !ok {
		return code
	}
	chosen, err := regexp.Compile(*only)
	switch {
	case err != nil:
		return c.misused("--run: %s", err)
	case *want < 0 || *want > 100:
		return c.misused("--coverage %d: want 0 to 100", *want)
	case *want > 0 && *only != "":
		return c.misused("--coverage is of all cases: leave out --run")
	}
	report, err := cases.Test(f.Source, cases.Options{Only: chosen, All: *only == "", Coverage: *want})
	if err != nil {
		return c.failed(err)
	}
	report.Verbose = *verbose
	return c.told(report, report.Print, f.format, report.OK())
}
