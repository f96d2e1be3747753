package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/policycli"
	"github.com/meshpass/meshpass/extauthz/policycli/replay"
	"github.com/meshpass/meshpass/shared/policy"
)

const policyDiffUsage = `usage: meshpass policy diff OLD NEW --replay FILE [FLAGS]

Makes recorded decisions again, by the folder OLD of documents that made them and
by the changed NEW, and prints which would change, by rule and caller. What a
record does not hold is never guessed: such decisions are undecidable.
Where the configuration has several folders, OLD and NEW are lists, separated by
commas. Folders are paired by name, which is the last element of the path unless
NAME=DIR says otherwise; one folder on each side is a pair, whatever the names.

  --old-guardrail DIR         a guardrail folder of OLD; may be given again
  --new-guardrail DIR         a guardrail folder of NEW; may be given again
  --replay FILE               audit records, one a line; - is standard input
  --max-undecidable 0         more than so many are a failure
  --unguarded deny            or shadow: policies.unguarded of the configuration
  -o json                     print the report as JSON` + policyFlagsUsage + `
exit codes: 0 nothing changes; 1 something does; 2 too much is undecidable, or could not do it
`

func (c command) policyDiff(args []string) int {
	c.usage = policyDiffUsage
	f := newPolicyFlags("diff")
	f.unguarded()
	file := f.String("replay", "", "")
	most := f.Int("max-undecidable", 0, "")
	var guardrails [2][]string
	for i, name := range []string{"old-guardrail", "new-guardrail"} {
		f.Func(name, "", func(dir string) error {
			guardrails[i] = append(guardrails[i], dir)
			return nil
		})
	}
	if code, ok := c.parsePolicy(f, args); !ok {
		return code
	}
	if len(f.Dirs) != 2 || *file == "" {
		return c.misused("policy diff needs two folders, OLD and NEW, and --replay FILE")
	}
	report, err := c.replay(f, guardrails, *file)
	if err != nil {
		return c.failed(err)
	}
	code := c.told(report, report.Print, f.format, report.Changed == 0)
	if code != couldNot && report.Undecidable > *most {
		return c.failed(replay.ErrUndecidable)
	}
	return code
}

func (c command) replay(f *policyFlags, guardrails [2][]string, file string) (replay.Report, error) {
	records, err := c.opened(file)
	if err != nil {
		return replay.Report{}, err
	}
	defer records.Close()
	var versions [2]policycli.Source
	var folders [2][]policy.Dir
	for i := range versions {
		versions[i] = f.Source
		versions[i].Dirs = strings.Split(f.Dirs[i], ",")
		versions[i].Guardrails = append(slices.Clone(f.Guardrails), guardrails[i]...)
		if folders[i], err = versions[i].Folders(); err != nil {
			return replay.Report{}, err
		}
	}
	policycli.Pair(folders[0], folders[1])
	old, err := versions[0].Load(folders[0])
	changed, wrong := versions[1].Load(folders[1])
	if err := errors.Join(err, wrong); err != nil {
		return replay.Report{}, err
	}
	return replay.Diff(old, changed, records)
}
