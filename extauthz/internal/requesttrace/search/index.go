package search

import (
	"bytes"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/record"
)

// index knows the requests that were found, by each of their ids.
type index struct {
	limit   int // requests that are kept at the end; twice as many until then
	groups  []*Group
	byTxn   map[string]*Group
	byID    map[string][]*Group // txn, trace id, request id and decision id
	evicted bool
	kept    int      // bytes of all records
	needles [][]byte // of all ids, if they are few
}

// manyNeedles is a number of ids. With so many, it is faster to parse a line than to look for them.
const manyNeedles = 24

// The bounds of what is remembered of ids: about 60 MiB. A record beyond them is found by another id.
const (
	maxIDs        = 400_000
	maxIDsOfGroup = 2 * maxRecords
)

func newIndex(limit int) *index {
	return &index{limit: limit, byTxn: map[string]*Group{}, byID: map[string][]*Group{}}
}

// addMatch learns the ids of a record that the query asks for. Only the newest requests are kept.
func (x *index) addMatch(r record.Record) {
	if r.Txn == "" && r.TraceID == "" && r.RequestID == "" && r.ID == "" {
		return // of Tyk's access log: it is found by the time of a request
	}
	g := x.byTxn[r.Txn]
	if g == nil {
		g = x.findByWeakID(r)
		if g == nil || r.Txn != "" && g.Txn != "" {
			g = &Group{}
			x.groups = append(x.groups, g)
		}
		x.setTransaction(g, r)
	}
	g.extendTo(r)
	x.learnIDs(g, r)
	if len(x.groups) > 2*x.limit { // so that an eviction costs little for each request
		x.evictOldest()
	}
}

// setTransaction makes a group the one of a record's transaction, if it has one.
func (x *index) setTransaction(g *Group, r record.Record) {
	if r.Txn != "" {
		g.Txn = r.Txn
		x.byTxn[r.Txn] = g
	}
}

func (x *index) learnIDs(g *Group, r record.Record) {
	for _, id := range []string{r.Txn, r.TraceID, r.RequestID, r.ID} {
		if id == "" || g.ids >= maxIDsOfGroup || len(x.byID) >= maxIDs || slices.Contains(x.byID[id], g) {
			continue
		}
		if len(x.byID[id]) == 0 {
			x.addNeedle(id)
		}
		x.byID[id] = append(x.byID[id], g)
		g.ids++
	}
}

func (x *index) addNeedle(id string) {
	if len(x.byID) < manyNeedles {
		run := plainNeedle(id)
		x.needles = append(x.needles, run, bytes.ToUpper(run)) // trace ids can be in capitals
	}
}

// evictOldest keeps the newest requests.
func (x *index) evictOldest() {
	if len(x.groups) <= x.limit {
		return
	}
	x.evicted = true
	slices.SortStableFunc(x.groups, func(a, b *Group) int { return b.last.Compare(a.last) })
	for _, g := range x.groups[x.limit:] {
		g.evicted = true
		x.kept -= g.kept
		delete(x.byTxn, g.Txn)
	}
	clear(x.groups[x.limit:])
	x.groups = x.groups[:x.limit]
	for id, all := range x.byID {
		if all = slices.DeleteFunc(all, func(g *Group) bool { return g.evicted }); len(all) > 0 {
			x.byID[id] = all
		} else {
			delete(x.byID, id)
		}
	}
	x.needles = x.needles[:0]
	if len(x.byID) < manyNeedles {
		for id := range x.byID {
			x.addNeedle(id)
		}
	}
}

// mayContain reports whether a line may be of one of the requests.
func (x *index) mayContain(line []byte) bool {
	if len(x.groups) == 0 {
		return false
	}
	if len(x.byID) >= manyNeedles || bytes.Contains(line, []byte(`access-log`)) {
		return true
	}
	return slices.ContainsFunc(x.needles, func(needle []byte) bool { return bytes.Contains(line, needle) })
}

// findByWeakID finds the request of a record by an id that does not name one transaction: of several
// requests, the nearest one in time.
func (x *index) findByWeakID(r record.Record) *Group {
	for _, id := range []string{r.ID, r.RequestID, r.TraceID} {
		if id == "" || len(x.byID[id]) == 0 {
			continue
		}
		nearest := slices.MinFunc(x.byID[id], func(a, b *Group) int {
			return int(a.distanceTo(r.Time).Milliseconds() - b.distanceTo(r.Time).Milliseconds())
		})
		if nearest.mayReach(r.Time) {
			return nearest
		}
	}
	return nil
}
