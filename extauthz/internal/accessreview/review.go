// Package accessreview is `meshpass audit report`: which rules give access, and who has used them by the records of a
// time, and what has changed in that time.
package accessreview

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/auditverify"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/policy"
)

// Query is what a review is about.
type Query struct {
	Policies     *policy.Set // the active documents
	Overrides    []policy.Override
	Since, Until time.Time // of records: from Since on, and before Until
	Progress     func(bytes int64)
}

// Report is the review.
type Report struct {
	Since       time.Time         `json:"since"`
	Until       time.Time         `json:"until"`
	Generation  string            `json:"generation"` // of the given documents
	Records     uint64            `json:"records"`    // decisions in that time
	OtherTimes  uint64            `json:"otherTimes"` // decisions before or after that time
	OtherLines  uint64            `json:"otherLines"` // lines that are no records
	Missing     map[string]uint64 `json:"missing"`    // records that are counted in gaps, by cause
	Could       []Right           `json:"could"`
	Did         []Use             `json:"did"`
	OtherRules  uint64            `json:"otherRules"`          // decisions by documents or rules that the given ones do not have
	NotListed   uint64            `json:"notListed,omitempty"` // decisions beyond the longest list of uses
	Denied      []Denial          `json:"denied"`
	Overridden  []Use             `json:"overridden"` // allows that only an override gave
	Overrides   []Override        `json:"overrides"`  // active now
	Generations []Generation      `json:"generations"`
}

// Right is a rule: who may do something, by the given documents.
type Right struct {
	Policy  string     `json:"policy"`
	Folder  string     `json:"folder,omitempty"`
	Rule    string     `json:"rule"`
	Effect  string     `json:"effect"`
	Mode    string     `json:"mode"`
	File    string     `json:"file"`
	Line    int        `json:"line"`
	Targets string     `json:"targets,omitempty"` // spec.targets of the document, as YAML in one line
	Text    string     `json:"text,omitempty"`    // the rule, as YAML in one line
	Used    uint64     `json:"used"`              // decisions in that time
	Last    *time.Time `json:"last,omitempty"`
}

// Use is access that a subject had.
type Use struct {
	Subject string    `json:"subject"` // empty: a request without a token
	Caller  string    `json:"caller,omitempty"`
	Callee  string    `json:"callee"`
	Policy  string    `json:"policy,omitempty"`
	Rule    string    `json:"rule,omitempty"`
	Reason  string    `json:"reason"`
	Count   uint64    `json:"count"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// Denial counts denials.
type Denial struct {
	Callee string `json:"callee,omitempty"`
	Reason string `json:"reason"`
	Rule   string `json:"rule,omitempty"`
	Count  uint64 `json:"count"`
}

// Override is an override that is active now.
type Override struct {
	Target string    `json:"target"`
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// Generation is a set of documents that decided.
type Generation struct {
	Generation string    `json:"generation"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
	Count      uint64    `json:"count"`
	IsGiven    bool      `json:"isGiven"` // the documents of this report
}

// maxUses bounds the memory and the report; decisions beyond it are counted.
const maxUses = 50_000

type review struct {
	query       Query
	report      Report
	rights      map[[3]string]*Right
	uses        map[Use]*Use // by the use without its count and times
	overridden  map[Use]*Use
	denied      map[Denial]*Denial
	generations map[string]*Generation
	hasRecords  bool // a line of any time is a record
}

// ErrNoRecords is the error of files whose lines are all something else: a review of nothing would look like one without access.
var ErrNoRecords = errors.New("no line is an audit record: give the files of audit.output, as they were written")

// Make reads the records and returns the review.
func Make(inputs []auditverify.Input, q Query) (Report, error) {
	r := &review{
		query: q, rights: map[[3]string]*Right{}, uses: map[Use]*Use{}, overridden: map[Use]*Use{}, denied: map[Denial]*Denial{}, generations: map[string]*Generation{},
		report: Report{Since: q.Since.UTC(), Until: q.Until.UTC(), Generation: q.Policies.Generation(), Missing: map[string]uint64{}, Overrides: []Override{}},
	}
	rights := describeRights(q.Policies)
	for i := range rights {
		r.rights[[3]string{rights[i].Folder, rights[i].Policy, rights[i].Rule}] = &rights[i]
	}
	for _, in := range inputs {
		err := auditverify.EachLine(in, q.Progress, func(_ int, line []byte, _ bool) { r.readLine(line) })
		if err != nil {
			return Report{}, err
		}
	}
	if r.report.OtherLines > 0 && !r.hasRecords {
		return Report{}, ErrNoRecords
	}
	r.report.Could = rights
	r.sortEntries()
	for _, o := range q.Overrides {
		r.report.Overrides = append(r.report.Overrides, Override{o.Target, o.Until.UTC(), o.By, o.Reason})
	}
	return r.report, nil
}

func (r *review) isInTime(t time.Time) bool {
	return !t.Before(r.query.Since) && t.Before(r.query.Until)
}

func (r *review) readLine(line []byte) {
	var kind struct{ Kind audit.Kind }
	if json.Unmarshal(line, &kind) != nil {
		r.report.OtherLines++
		return
	}
	r.hasRecords = r.hasRecords || slices.Contains([]audit.Kind{audit.KindCheck, audit.KindEdge, audit.KindIssue, audit.KindGap, audit.KindCheckpoint}, kind.Kind)
	switch kind.Kind {
	case audit.KindCheck, audit.KindEdge, audit.KindIssue:
		var record audit.Record
		switch {
		case json.Unmarshal(line, &record) != nil:
			r.report.OtherLines++
		case r.isInTime(record.Time):
			r.addRecord(record)
		default:
			r.report.OtherTimes++
		}
	case audit.KindGap:
		var gap audit.Gap
		if json.Unmarshal(line, &gap) == nil && r.isInTime(gap.Time) {
			r.report.Missing[string(gap.Cause)] += gap.Count
		}
	case audit.KindCheckpoint:
	default:
		r.report.OtherLines++
	}
}

func (r *review) addRecord(record audit.Record) {
	r.report.Records++
	r.addGeneration(record)
	if right := r.rights[[3]string{record.Folder, record.Policy, record.Rule}]; right != nil {
		right.Used++
		if right.Last == nil || record.Time.After(*right.Last) {
			right.Last = &record.Time
		}
	} else if record.Policy != "" {
		r.report.OtherRules++
	}
	if record.Decision != "allow" {
		key := Denial{Callee: record.Callee, Reason: record.Reason, Rule: joinNames(record.Policy, record.Rule)}
		if d := r.denied[key]; d != nil {
			d.Count++
		} else if len(r.denied) < maxUses {
			r.denied[key] = &Denial{key.Callee, key.Reason, key.Rule, 1}
		} else {
			r.report.NotListed++
		}
		return
	}
	uses := r.uses
	if record.Mode == "overridden" || record.Reason == "overridden" {
		uses = r.overridden
	}
	key := Use{Subject: record.Sub, Caller: record.Caller, Callee: record.Callee, Policy: record.Policy, Rule: record.Rule, Reason: record.Reason}
	use := uses[key]
	switch {
	case use != nil:
	case len(uses) == maxUses:
		r.report.NotListed++
		return
	default:
		first := key
		first.First, first.Last = record.Time, record.Time
		use = &first
		uses[key] = use
	}
	use.Count++
	use.First, use.Last = earlier(use.First, record.Time), later(use.Last, record.Time)
}

func (r *review) addGeneration(record audit.Record) {
	if record.Generation == "" {
		return
	}
	g := r.generations[record.Generation]
	if g == nil {
		if len(r.generations) == maxUses {
			return
		}
		g = &Generation{Generation: record.Generation, First: record.Time, Last: record.Time, IsGiven: record.Generation == r.report.Generation}
		r.generations[record.Generation] = g
	}
	g.Count++
	g.First, g.Last = earlier(g.First, record.Time), later(g.Last, record.Time)
}

func (r *review) sortEntries() {
	r.report.Did, r.report.Overridden = sortUses(r.uses), sortUses(r.overridden)
	r.report.Denied = []Denial{}
	for _, d := range r.denied {
		r.report.Denied = append(r.report.Denied, *d)
	}
	slices.SortFunc(r.report.Denied, func(a, b Denial) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Callee, b.Callee), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Rule, b.Rule))
	})
	r.report.Generations = []Generation{}
	for _, g := range r.generations {
		r.report.Generations = append(r.report.Generations, *g)
	}
	slices.SortFunc(r.report.Generations, func(a, b Generation) int {
		return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.Generation, b.Generation))
	})
}

func sortUses(uses map[Use]*Use) []Use {
	all := []Use{}
	for _, u := range uses {
		all = append(all, *u)
	}
	slices.SortFunc(all, func(a, b Use) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Callee, b.Callee), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Caller, b.Caller))
	})
	return all
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func joinNames(policy, rule string) string {
	if policy == "" {
		return rule
	}
	return policy + "/" + rule
}
