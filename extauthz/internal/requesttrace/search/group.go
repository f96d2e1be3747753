package search

import (
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/record"
)

// The bounds of what is kept.
const (
	maxRecords    = 2000     // of one request
	maxKept       = 64 << 20 // bytes of all records of the answer, as lines
	maxOtherTxns  = 20
	maxCandidates = 50 // lines of Tyk's access log that may belong to one request
)

// joinWindow is how far in time a record may be from the others of its request, if only an id that the client chooses
// joins them. Clients use one request id again.
const joinWindow = 5 * time.Minute

// Group is the records of one request.
type Group struct {
	Txn        string          // empty: no record of the request has one
	Records    []record.Record // in the order of their times
	Candidates []record.Record // lines of Tyk's access log of the same time and API, which has no ids in most versions
	OtherTxns  []string        // other transactions with the same trace id or request id, at the same time
	Omitted    int             // records that are not kept, because there are too many

	kept        int       // bytes
	ids         int       // that the index has of it
	evicted     bool      // there are newer ones
	first, last time.Time // of the matching records
	seen        map[string]bool
}

// extendTo has the group reach to the time of a record. Other requests can have the ids that a client chooses.
func (g *Group) extendTo(r record.Record) {
	if r.Txn != g.Txn {
		return
	}
	if g.first.IsZero() || r.Time.Before(g.first) {
		g.first = r.Time
	}
	if r.Time.After(g.last) {
		g.last = r.Time
	}
}

// distanceTo is the time between a record and the group, 0 inside.
func (g *Group) distanceTo(t time.Time) time.Duration {
	return max(g.first.Sub(t), t.Sub(g.last), 0)
}

// mayReach reports whether a record at a time may be of the group, if an id joins them that clients use again. A group without a transaction
// does not grow beyond the window, or each use of the id would move it on.
func (g *Group) mayReach(t time.Time) bool {
	if g.Txn == "" {
		return max(g.last.Sub(t), t.Sub(g.first)) <= joinWindow
	}
	return g.distanceTo(t) <= joinWindow
}

// addRecord reports whether the record was not there before. A record is repeated if the same program wrote the same decision, or
// the same line.
func (g *Group) addRecord(r record.Record, object []byte) bool {
	identity := string(object)
	if r.Kind.IsAudit() && r.ID != "" {
		identity = string(r.Kind) + " " + r.ID + " " + r.Decision
	}
	if g.seen[identity] {
		return false
	}
	if g.seen == nil {
		g.seen = map[string]bool{}
	}
	g.seen[identity] = true
	g.Records = append(g.Records, r)
	g.kept += len(object)
	return true
}

func (g *Group) addOtherTxn(txn string) {
	if len(g.OtherTxns) < maxOtherTxns && !slices.Contains(g.OtherTxns, txn) {
		g.OtherTxns = append(g.OtherTxns, txn)
	}
}

// edgeAPI is the callee of the request at the edge; empty if it is not known.
func (g *Group) edgeAPI() string {
	for _, r := range g.Records {
		if r.Kind == record.Issue || r.Kind == record.Edge {
			return r.Callee
		}
	}
	return ""
}

func sortRecords(records []record.Record) {
	slices.SortStableFunc(records, func(a, b record.Record) int {
		if byTime := a.Time.Compare(b.Time); byTime != 0 {
			return byTime
		}
		if a.Source != b.Source {
			return strings.Compare(a.Source, b.Source)
		}
		return a.Line - b.Line
	})
}
