package main

import (
	"errors"

	"github.com/meshpass/meshpass/extauthz/policycli/replay"
)

const policyDiffUsage = `usage: meshpass policy diff OLD NEW --replay FILE [FLAGS]

Makes recorded decisions again, by the folder OLD of documents that made them and
by the changed NEW, and prints which would change, by rule and caller. What a
record does not hold is never guessed: such decisions are undecidable.

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
	if code, ok := c.parsePolicy(f, args); !ok {
		return code
	}
	if len(f.Dirs) != 2 || *file == "" {
		return c.misused("policy diff needs two folders, OLD and NEW, and --replay FILE")
	}
	report, err := c.replay(f, *file)
	if err != nil {
		return c.failed(err)
	}
	code := c.told(report, report.Print, f.format, report.Changed == 0)
	if code != couldNot && report.Undecidable > *most {
		return c.failed(replay.ErrUndecidable)
	}
	return code
}

func (c command) replay(f *policyFlags, file string) (replay.Report, error) {
	records, err := c.opened(file)
	if err != nil {
		return replay.Report{}, err
	}
	defer records.Close()
	before, after := f.Source, f.Source
	before.Dirs, after.Dirs = f.Dirs[:1], f.Dirs[1:]
	old, err := before.Set()
	changed, wrong := after.Set()
	if err := errors.Join(err, wrong); err != nil {
		return replay.Report{}, err
	}
	return replay.Diff(old, changed, records)
}
