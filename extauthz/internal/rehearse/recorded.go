package rehearse

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/auditverify"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/replay"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse/localcopy"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse/plan"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
)

// Recording is the requests of an audit trail, in the order of their time.
type Recording struct {
	requests   []*recorded
	Records    int    `json:"records"`
	OtherLines int    `json:"otherLines"` // not audit records
	Damaged    int    `json:"damaged"`    // records that cannot be read
	Missing    uint64 `json:"missing"`    // records that gaps count
}

// recorded is a request at the edge, with the first decision behind it.
type recorded struct {
	edge  audit.Record
	check *audit.Record // nil: not in the records
}

// ErrNoRequests is the error of records without a request at the edge.
var ErrNoRequests = errors.New("no record of the edge (kind issue or edge): a replay sends the requests that the gateway got, so give it the records of the gateway, and those of the authorizers with them")

// maxTransactions bounds the memory for decisions of hops: those of each request, and as many of requests that are not in the records.
const maxTransactions = 2 * plan.MaxRequests

// ReadRecords reads audit records, one a line, in any order.
func ReadRecords(from io.Reader) (*Recording, error) {
	return readRecords(from, plan.MaxRequests, maxTransactions)
}

func readRecords(from io.Reader, mostRequests, mostTransactions int) (*Recording, error) {
	r := &Recording{}
	edges, checks := map[string]*recorded{}, map[string]*audit.Record{}
	err := auditverify.ReadLines(from, func(_ int, line []byte, _ bool) {
		if len(bytes.TrimSpace(line)) == 0 || len(edges) > mostRequests || len(checks) > mostTransactions {
			return
		}
		parsed, err := replay.ParseRecord(line)
		var gap replay.GapError
		a := parsed.Audit
		switch {
		case errors.As(err, &gap):
			r.Missing += gap.Count
			return
		case errors.Is(err, replay.ErrOtherLine):
			r.OtherLines++
			return
		case err != nil || a.ID == "" || a.Time.IsZero():
			r.Damaged++
			return
		}
		switch a.Kind {
		case audit.KindIssue, audit.KindEdge:
			edges[a.ID] = &recorded{edge: a} // a repeated line counts once
		case audit.KindCheck:
			if a.Txn != "" && (checks[a.Txn] == nil || a.Time.Before(checks[a.Txn].Time)) {
				checks[a.Txn] = &a
			}
		default: // of a later version
			r.OtherLines++
			return
		}
		r.Records++
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("records: %w", err)
	case len(edges) > mostRequests:
		return nil, fmt.Errorf("more than %d requests: cut the records to a shorter time", mostRequests)
	case len(checks) > mostTransactions:
		return nil, fmt.Errorf("decisions about more than %d transactions: cut the records to a shorter time", mostTransactions)
	}
	for _, one := range edges {
		if one.edge.Txn != "" {
			one.check = checks[one.edge.Txn]
		}
		r.requests = append(r.requests, one)
	}
	if len(r.requests) == 0 {
		return nil, ErrNoRequests
	}
	slices.SortFunc(r.requests, func(a, b *recorded) int {
		return cmp.Or(a.edge.Time.Compare(b.edge.Time), strings.Compare(a.edge.ID, b.edge.ID))
	})
	return r, nil
}

// describeAnswer is the recorded answer for people: of the first hop, or of the edge.
func (r *recorded) describeAnswer() string {
	a := r.edge
	if r.check != nil {
		a = *r.check
	}
	return describeAnswer(&a)
}

func describeAnswer(a *audit.Record) string {
	if a.Decision == "allow" {
		return "allow"
	}
	d := newDenial("", a)
	return strings.TrimSpace("deny " + d.Reason + " " + d.Rule)
}

// replayPlan is a recording as a load.
type replayPlan struct {
	recording *Recording
	users     map[string]plan.User
	keys      map[string]plan.Key
	load      []plan.Load
	wanted    []string // answers, by load
	skipped   map[string]int
	assumed   map[string]string // by caller
}

// recordedCaller is what all records together hold of a caller: each holds only what documents read.
type recordedCaller struct {
	scope     string
	claims    map[string]any
	apiID     string
	conflicts bool
}

func (r *Recording) collectCallers() map[string]*recordedCaller {
	callers := map[string]*recordedCaller{}
	for _, one := range r.requests {
		if one.edge.Sub == "" || len(one.edge.Masked) > 0 {
			continue
		}
		known := callers[one.edge.Sub]
		if known == nil {
			known = &recordedCaller{claims: map[string]any{}, apiID: strings.TrimPrefix(one.edge.Callee, "edge/")}
			callers[one.edge.Sub] = known
		}
		if one.check == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(one.check.Inputs)) {
			value := one.check.Inputs[name]
			member, isMember := strings.CutPrefix(name, "claims.tctx.")
			switch {
			case name == "claims.scope":
				text, _ := value.(string)
				known.conflicts = known.conflicts || known.scope != "" && known.scope != text
				known.scope = text
			case isMember && value != nil:
				before, set := known.claims[member]
				known.conflicts = known.conflicts || set && fmt.Sprint(before) != fmt.Sprint(value)
				known.claims[member] = value
			}
		}
	}
	return callers
}

// newReplay makes callers and a load of a recording. A request that cannot be sent again is counted with its reason.
func newReplay(r *Recording, c *localcopy.Copy, speed float64) (*replayPlan, error) {
	all := &replayPlan{recording: r, users: map[string]plan.User{}, keys: map[string]plan.Key{}, skipped: map[string]int{}, assumed: map[string]string{}}
	impossible := map[string]string{}
	for sub, known := range r.collectCallers() {
		user, key, assumed, err := c.Recreate(sub, known.scope, known.claims, known.apiID)
		switch {
		case err != nil:
			impossible[sub] = err.Error()
		case user != nil:
			all.users[sub] = *user
		default:
			all.keys[sub] = *key
		}
		if known.conflicts {
			assumed = strings.TrimPrefix(assumed+"; its claims changed in the records: the last ones count", "; ")
		}
		if assumed != "" && err == nil {
			all.assumed[sub] = assumed
		}
	}
	type group struct{ sub, method, path, want string }
	offsets := map[group][]time.Duration{}
	var order []group
	var first time.Time
	for _, one := range r.requests {
		if reason := one.whyNotSent(c, impossible); reason != "" {
			all.skipped[reason]++
			continue
		}
		if first.IsZero() {
			first = one.edge.Time
		}
		g := group{one.edge.Sub, one.edge.Method, one.edge.Path, one.describeAnswer()}
		if offsets[g] == nil {
			order = append(order, g)
		}
		offsets[g] = append(offsets[g], time.Duration(float64(one.edge.Time.Sub(first))/speed))
	}
	if len(order) == 0 {
		return nil, fmt.Errorf("no recorded request can be sent again: %s", describeCounts(all.skipped))
	}
	for i, g := range order {
		load := plan.Load{Name: fmt.Sprintf("%d: %s %s", i+1, g.method, g.path), As: g.sub, Method: g.method, Path: g.path, Burst: 1}
		all.load = append(all.load, plan.NewRecorded(load, offsets[g]))
		all.wanted = append(all.wanted, g.want)
	}
	return all, checkPace(offsets)
}

// whyNotSent is the reason why a request cannot be sent again; "": it can.
func (r *recorded) whyNotSent(c *localcopy.Copy, impossible map[string]string) string {
	e := r.edge
	switch {
	case len(e.Masked) > 0:
		return "the record is masked"
	case e.Method == "" || !strings.HasPrefix(e.Path, "/"):
		return "the record has no method or path"
	case c.FindAPI(e.Host, e.Path) == nil:
		return "no API of the copy has the path"
	case e.Sub != "":
		return impossible[e.Sub]
	case e.Reason != string(decision.Anonymous):
		return "the record names no caller (" + e.Reason + ")"
	}
	return ""
}

// checkPace bounds rate and time.
func checkPace[K comparable](offsets map[K][]time.Duration) error {
	var all []time.Duration
	for _, times := range offsets {
		all = append(all, times...)
	}
	slices.Sort(all)
	if last := all[len(all)-1]; last > plan.MaxTime {
		return fmt.Errorf("the records are of %v, and a rehearsal takes at most %v: cut them, or give --speed (rate limits then count more requests in their time)", last.Round(time.Second), plan.MaxTime)
	}
	for i := int(plan.MaxRate); i < len(all); i++ {
		if all[i]-all[i-int(plan.MaxRate)] < time.Second {
			return fmt.Errorf("the records have more than %v requests in a second: cut them, or give a --speed below 1", plan.MaxRate)
		}
	}
	return nil
}

// ReplayResult compares the answers with the recorded ones.
type ReplayResult struct {
	*Recording
	Sent    int               `json:"sent"`
	Same    int               `json:"same"`
	Changed int               `json:"changed"`
	Changes []*ReplayChange   `json:"changes"`
	Skipped map[string]int    `json:"skipped"` // by reason
	Assumed map[string]string `json:"assumed"` // by caller
	Checks  []Check           `json:"checks"`
}

// ReplayChange is requests of one load whose answer differs from the recorded one.
type ReplayChange struct {
	Caller string `json:"caller"`
	Method string `json:"method"`
	Path   string `json:"path"`
	Was    string `json:"was"`
	Now    string `json:"now"`
	Count  int    `json:"count"`
}

func (r *Report) addReplay(p *plan.Plan, replayed *replayPlan) {
	result := &ReplayResult{Recording: replayed.recording, Changes: []*ReplayChange{}, Skipped: replayed.skipped, Assumed: replayed.assumed, Checks: []Check{}}
	for i, l := range r.Loads {
		answers := map[string]int{}
		rest := l.Requests
		for _, d := range l.Denials {
			answer := strings.TrimSpace("deny " + d.Reason + " " + d.Rule)
			if d.Layer == LayerService || d.Layer == LayerEnvoy || d.Layer == LayerGateway {
				answer = d.Denial.String()
			}
			answers[answer] += d.Count
			rest -= d.Count
		}
		for _, limit := range l.Limits {
			answers[fmt.Sprintf("limited by %s", limit.Name)] += limit.Count
			rest -= limit.Count
		}
		answers["allow"] += rest
		result.Sent += l.Requests
		for _, now := range slices.Sorted(maps.Keys(answers)) {
			count := answers[now]
			switch {
			case count == 0:
			case now == replayed.wanted[i]:
				result.Same += count
			default:
				result.Changed += count
				result.Changes = append(result.Changes, &ReplayChange{l.Caller, l.Method, l.Path, replayed.wanted[i], now, count})
			}
		}
	}
	if want := p.Replay.Expect.Changed; want != nil {
		result.Checks = append(result.Checks, Check{"changed answers", want.String(), strconv.Itoa(result.Changed), want.Has(result.Changed)})
	}
	r.Replay = result
}

func describeCounts(counts map[string]int) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d: %s", counts[reason], reason))
	}
	return strings.Join(parts, "; ")
}
