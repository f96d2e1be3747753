package replay

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/policy"
)

// Report is what came of all records.
type Report struct {
	Old         string        `json:"old"` // generations
	New         string        `json:"new"`
	Replayed    int           `json:"replayed"`    // decided anew
	Changed     int           `json:"changed"`     // of these, with another decision or reason
	OtherRule   int           `json:"otherRule"`   // of these, with the same by another rule
	Undecidable int           `json:"undecidable"` // not decided anew
	NotByPolicy int           `json:"notByPolicy"` // refused before any document was asked
	OtherLines  int           `json:"otherLines"`  // no audit records
	Missing     uint64        `json:"missing"`     // decisions that were not recorded, as gaps in the records say
	Changes     []Change      `json:"changes"`
	Doubts      []Undecidable `json:"undecidables"`
}

// Change is one way in which decisions change, for one caller and callee.
type Change struct {
	Was      Answer    `json:"was"`
	Now      Answer    `json:"now"`
	Caller   string    `json:"caller,omitempty"`
	Callee   string    `json:"callee"`
	Count    int       `json:"count"`
	Examples []Example `json:"examples"` // the first of them
}

// Undecidable is one reason why decisions cannot be made again.
type Undecidable struct {
	Why      string    `json:"why"`
	Count    int       `json:"count"`
	Examples []Example `json:"examples"`
}

// Example tells which record it is.
type Example struct {
	ID     string    `json:"id,omitempty"`
	Time   time.Time `json:"time"`
	Txn    string    `json:"txn,omitempty"`
	Sub    string    `json:"sub,omitempty"`
	Method string    `json:"method,omitempty"`
	Path   string    `json:"path,omitempty"`
}

const (
	maxExamples = 3
	maxLine     = 1 << 20 // far longer than any record
)

// Why there is no answer.
var (
	ErrNoRecords   = errors.New("no audit record that documents decided")
	ErrUndecidable = errors.New("more is undecidable than --max-undecidable admits")
)

// Diff replays all records.
func Diff(old, changed *policy.Set, records io.Reader) (Report, error) {
	d := differ{old: old, changed: changed, report: Report{
		Old: old.Generation(), New: changed.Generation(), Changes: []Change{}, Doubts: []Undecidable{},
	}}
	lines := bufio.NewScanner(records)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		d.line(n, lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		return d.report, fmt.Errorf("line %d: %w", n+1, err)
	}
	if d.report.Replayed+d.report.Undecidable == 0 {
		return d.report, ErrNoRecords
	}
	d.report.sort()
	return d.report, nil
}

type differ struct {
	old, changed *policy.Set
	report       Report
}

func (d *differ) line(n int, line []byte) {
	if len(strings.TrimSpace(string(line))) == 0 {
		return
	}
	r, err := Parse(line)
	var gap gapError
	switch {
	case errors.As(err, &gap):
		d.report.Missing += gap.count
		return
	case errors.Is(err, errOther):
		d.report.OtherLines++
		return
	case err != nil:
		d.doubt(r, fmt.Sprintf("line %d is %s", n, err))
		return
	case !r.byPolicies() || r.pastEdge(d.old) && r.pastEdge(d.changed):
		d.report.NotByPolicy++
		return
	}
	switch o := r.replay(d.old, d.changed); {
	case o.why != "":
		d.doubt(r, o.why)
	case !o.was.same(o.now):
		d.report.Replayed++
		d.report.Changed++
		d.change(r, o)
	default:
		d.report.Replayed++
		if !o.was.isBy(o.now) {
			d.report.OtherRule++
		}
	}
}

func (d *differ) change(r Recorded, o outcome) {
	all := &d.report.Changes
	i := slices.IndexFunc(*all, func(c Change) bool {
		return c.Was.isBy(o.was) && c.Now.isBy(o.now) && c.Caller == r.Caller && c.Callee == r.Callee
	})
	if i < 0 {
		*all = append(*all, Change{Was: o.was, Now: o.now, Caller: r.Caller, Callee: r.Callee})
		i = len(*all) - 1
	}
	(*all)[i].Count++
	(*all)[i].Examples = r.exemplify((*all)[i].Examples)
}

func (d *differ) doubt(r Recorded, why string) {
	d.report.Undecidable++
	all := &d.report.Doubts
	i := slices.IndexFunc(*all, func(u Undecidable) bool { return u.Why == why })
	if i < 0 {
		*all = append(*all, Undecidable{Why: why})
		i = len(*all) - 1
	}
	(*all)[i].Count++
	(*all)[i].Examples = r.exemplify((*all)[i].Examples)
}

func (r Recorded) exemplify(examples []Example) []Example {
	if len(examples) == maxExamples {
		return examples
	}
	return append(examples, Example{ID: r.ID, Time: r.Time, Txn: r.Txn, Sub: r.Sub, Method: r.Method, Path: r.Path})
}

// sort puts the changes of a rule together, and what is most often first.
func (r *Report) sort() {
	slices.SortStableFunc(r.Changes, func(a, b Change) int {
		return cmp.Or(strings.Compare(a.rule(), b.rule()), -cmp.Compare(a.Count, b.Count), strings.Compare(a.Caller, b.Caller))
	})
	slices.SortStableFunc(r.Doubts, func(a, b Undecidable) int {
		return cmp.Or(-cmp.Compare(a.Count, b.Count), strings.Compare(a.Why, b.Why))
	})
}

// rule is the one that makes the difference: the new one that decides now, or the
// old one that no longer does.
func (c Change) rule() string {
	if c.Now.Rule != "" {
		return c.Now.rule()
	}
	if c.Was.Rule != "" {
		return c.Was.rule()
	}
	return c.Now.Reason
}
