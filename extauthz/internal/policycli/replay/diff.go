// Package replay is `meshpass policy diff`: it makes recorded decisions again, by the
// documents that made them (OLD) and by changed ones (NEW), and reports the decisions
// that would change.
//
// The model has three parts. A [Record] is an audit record, read back as a request. A
// possibleToken is one token that the request may have carried: the record holds the
// claims of a verified token, but without such claims it may be open whether the request
// had no token or an invalid one. A replay then decides the request by OLD with each possible
// token, keeps the tokens that reproduce the recorded answer, and decides by NEW with
// these tokens.
//
// A replay never guesses. A record holds only what the documents read that decided. The
// decision is undecidable, and the report gives the reason, if NEW reads more than the
// record holds, if a value was masked or cut off, or if OLD does not reproduce the
// recorded answer.
package replay

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/auditverify"
	"github.com/meshpass/meshpass/shared/policy"
)

// The errors of a replay without a usable result.
var (
	ErrNoRecords   = errors.New("no audit record that documents decided")
	ErrUndecidable = errors.New("more decisions are undecidable than --max-undecidable allows")
)

// Diff replays all records, one on a line. Lines that are not audit records are counted.
func Diff(old, changed *policy.Set, records io.Reader) (Report, error) {
	d := differ{old: old, changed: changed, report: Report{
		Old: old.Generation(), New: changed.Generation(), Changes: []Change{}, Doubts: []Undecidable{},
	}}
	if err := auditverify.ReadLines(records, func(n int, line []byte, _ bool) { d.replayLine(n, line) }); err != nil {
		return d.report, err
	}
	if d.report.Replayed+d.report.Undecidable == 0 {
		return d.report, ErrNoRecords
	}
	d.report.sortEntries()
	return d.report, nil
}

type differ struct {
	old, changed *policy.Set
	report       Report
}

func (d *differ) replayLine(n int, line []byte) {
	if len(strings.TrimSpace(string(line))) == 0 {
		return
	}
	r, err := ParseRecord(line)
	var gap GapError
	switch {
	case errors.As(err, &gap):
		d.report.Missing += gap.Count
		return
	case errors.Is(err, errCheckpoint):
		return
	case errors.Is(err, ErrOtherLine):
		d.report.OtherLines++
		return
	case err != nil:
		d.addUndecidable(r, fmt.Sprintf("line %d is %s", n, err))
		return
	case !r.decidedByDocuments() || r.passesEdge(d.old) && r.passesEdge(d.changed):
		d.report.NotByPolicy++
		return
	}
	switch o := r.replay(d.old, d.changed); {
	case o.undecidable != "":
		d.addUndecidable(r, o.undecidable)
	case !o.was.sameDecision(o.now):
		d.report.Replayed++
		d.report.Changed++
		d.addChange(r, o)
	default:
		d.report.Replayed++
		if !o.was.sameRule(o.now) {
			d.report.OtherRule++
		}
	}
}

func (d *differ) addChange(r Record, o outcome) {
	all := &d.report.Changes
	i := slices.IndexFunc(*all, func(c Change) bool {
		return c.Was.sameRule(o.was) && c.Now.sameRule(o.now) && c.Caller == r.Audit.Caller && c.Callee == r.Audit.Callee
	})
	if i < 0 {
		*all = append(*all, Change{Was: o.was, Now: o.now, Caller: r.Audit.Caller, Callee: r.Audit.Callee})
		i = len(*all) - 1
	}
	(*all)[i].Count++
	(*all)[i].Examples = addExample((*all)[i].Examples, r)
}

func (d *differ) addUndecidable(r Record, why string) {
	d.report.Undecidable++
	all := &d.report.Doubts
	i := slices.IndexFunc(*all, func(u Undecidable) bool { return u.Why == why })
	if i < 0 {
		*all = append(*all, Undecidable{Why: why})
		i = len(*all) - 1
	}
	(*all)[i].Count++
	(*all)[i].Examples = addExample((*all)[i].Examples, r)
}

func addExample(examples []Example, r Record) []Example {
	if len(examples) == maxExamples {
		return examples
	}
	a := r.Audit
	return append(examples, Example{ID: a.ID, Time: a.Time, Txn: a.Txn, Sub: a.Sub, Method: a.Method, Path: a.Path})
}
