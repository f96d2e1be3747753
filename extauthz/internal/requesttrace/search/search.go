package search

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/record"
)

// Search is what to look for, and how much of it.
type Search struct {
	Query    Query
	Limit    int              // requests, the newest ones
	Progress func(read int64) // bytes that were read; may be nil
}

// Result is what was found.
type Result struct {
	Groups []*Group // the newest first
	More   bool     // older requests match too
	Read   Read
}

// Run searches all sources. A source that cannot be read is counted as failed, and the others are searched.
func (s Search) Run(ctx context.Context, sources []Source) (Result, error) {
	f := &finder{query: s.Query, needles: s.Query.findNeedles(), index: newIndex(s.Limit), scanner: scanner{progress: s.Progress}}
	// Of a source that is read once, records of the other sources' requests are collected too.
	sources = slices.Clone(sources)
	slices.SortStableFunc(sources, func(a, b Source) int { return int(b.Passes() - a.Passes()) })
	for _, source := range sources {
		f.count.Sources++
		if err := f.findIn(ctx, source); err != nil {
			return Result{}, err
		}
	}
	f.index.evictOldest()
	if len(f.index.groups) > 0 {
		for _, source := range sources {
			if !source.Once {
				if err := f.collectAgain(ctx, source); err != nil {
					return Result{}, err
				}
			}
		}
	}
	return f.makeResult(), nil
}

// Passes is how often a source is read, for a progress bar.
func (s Source) Passes() int64 {
	if s.Once {
		return 1
	}
	return 2
}

type finder struct {
	scanner
	query   Query
	needles [][]byte
	index   *index
}

// findIn reads a source, and learns the ids of the records that the query asks for. The records of a source that can be
// read once are collected too.
func (f *finder) findIn(ctx context.Context, source Source) error {
	var o order
	var w window
	err := f.scanSource(ctx, source, func(b block) {
		f.visitBlock(source.Name, b, &o, f.matchRecord)
		if source.Once {
			if oldest, full := w.keepBlock(b); full {
				f.collectBlock(source.Name, oldest)
			}
		}
	})
	for _, b := range w.blocks {
		f.collectBlock(source.Name, b)
	}
	return err
}

func (f *finder) matchRecord(_ string, _ int, object []byte, class record.Class) {
	f.parseRecord(object, class, f.index.addMatch)
}

// parseRecord reads a record if it may match, and visits it if it does.
func (f *finder) parseRecord(object []byte, class record.Class, visit func(record.Record)) {
	hidden := len(f.needles) > 0 && bytes.Contains(object, maskedMark)
	if !hidden && (!containsAll(object, f.needles) || f.query.TraceID != "" && !containsTrace(object, f.query.TraceID)) {
		return
	}
	r, ok := record.Parse(object, class)
	switch {
	case !ok:
		f.count.Unreadable++
	case f.query.Matches(r):
		visit(r)
	case f.query.mayHide(r):
		f.count.Masked++
	}
}

func containsTrace(object []byte, id string) bool {
	return bytes.Contains(object, []byte(strings.ToLower(id))) || bytes.Contains(object, []byte(strings.ToUpper(id)))
}

func (f *finder) collectAgain(ctx context.Context, source Source) error {
	tooLong := f.count.TooLong
	err := f.scanSource(ctx, source, func(b block) { f.collectBlock(source.Name, b) })
	f.count.TooLong = tooLong
	return err
}

// collectBlock adds the records of a block to their requests.
func (f *finder) collectBlock(source string, b block) {
	revisitBlock(source, b, f.index.mayContain, func(source string, line int, object []byte, class record.Class) {
		r, ok := record.Parse(object, class)
		if !ok || r.Time.Before(f.query.Since) {
			return
		}
		r.Source, r.Line = source, line
		switch {
		case r.Txn != "":
			f.addByTxn(r, object)
		case r.Kind == record.Tyk && r.TraceID == "":
			f.addCandidate(r)
		default:
			if g := f.index.findByWeakID(r); g != nil {
				f.addTo(g, r, object)
			}
		}
	})
}

func (f *finder) addByTxn(r record.Record, object []byte) {
	if g := f.index.byTxn[r.Txn]; g != nil {
		f.addTo(g, r, object)
		return
	}
	// A request of before its transaction was known, such as one that a decision id names.
	if g := f.index.findByWeakID(r); g != nil {
		if g.Txn == "" {
			f.index.setTransaction(g, r)
			f.addTo(g, r, object)
			return
		}
		g.addOtherTxn(r.Txn)
	}
}

func (f *finder) addTo(g *Group, r record.Record, object []byte) {
	if len(g.Records) >= maxRecords || f.index.kept >= maxKept {
		g.Omitted++
		return
	}
	if !g.addRecord(r, object) {
		f.count.Repeated++
		return
	}
	f.index.kept += len(object)
	g.extendTo(r)
	f.index.learnIDs(g, r)
}

// addCandidate keeps a line of Tyk's access log that may be of one of the requests: its time is that of
// the end of the request, in whole seconds.
func (f *finder) addCandidate(r record.Record) {
	for _, g := range f.index.groups {
		began := r.Time.Add(-r.Took)
		near := began.After(g.first.Add(-2*time.Second)) && began.Before(g.last.Add(2*time.Second))
		if near && len(g.Candidates) < maxCandidates && !slices.ContainsFunc(g.Candidates, func(c record.Record) bool { return c.Source == r.Source && c.Line == r.Line }) {
			g.Candidates = append(g.Candidates, r)
		}
	}
}

func (f *finder) makeResult() Result {
	groups := slices.DeleteFunc(f.index.groups, func(g *Group) bool { return len(g.Records) == 0 })
	for _, g := range groups {
		sortRecords(g.Records)
		api := g.edgeAPI()
		g.Candidates = slices.DeleteFunc(g.Candidates, func(c record.Record) bool { return api != "" && c.Callee != api })
	}
	slices.SortStableFunc(groups, func(a, b *Group) int { return b.first.Compare(a.first) })
	return Result{Groups: groups, More: f.index.evicted, Read: f.count}
}
