package logqueue

import "time"

// Linker ties each line to the lines that were written before it, and has lines of its own. Only the writer calls it: a
// caller that adds a line does not wait for it.
type Linker interface {
	// AppendOwn appends the linker's own line, if one is due, of at most [MaxOwnLine] bytes. It reports whether lines are
	// linked now; without that they are written as they are, and nothing is appended.
	AppendOwn(b []byte, at Occasion) (appended []byte, isLinking bool)
	// AppendLinked appends a line, which ends with a newline, as it is written: at most [MaxLink] bytes longer.
	AppendLinked(b, line []byte) []byte
	// Keep ends a write. Of the lines that were appended since the last Keep, the first ones are in the sink; the others are
	// not, and may be appended again. It returns the time after which a line of its own can be due; 0: never.
	Keep(lines int) (next time.Duration)
}

// Occasion is when a [Linker] is asked for a line of its own.
type Occasion struct {
	FileBegins bool // the file of the sink was opened or truncated
	Due        bool // the time that Keep has returned is over, or AskLinker was called
	End        bool // nothing is written after this
}

// Bounds of what a linker adds, in bytes.
const (
	MaxLink    = 160
	MaxOwnLine = 1024
)

// AskLinker makes the writer ask the linker soon whether a line of its own is due.
func (q *Queue) AskLinker() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ownDue = true
	q.filled.Signal()
}

// writeOwn writes the linker's own line, if one is due.
func (q *Queue) writeOwn(end bool) {
	if q.Linker == nil {
		return
	}
	if _, isLinked, err := q.writeLinked(nil, end); isLinked && err != nil {
		q.mu.Lock()
		q.stats.Err = err
		q.mu.Unlock()
	}
}

// writeLinked writes lines, and before them the linker's own line if one is due. A line is in the sink, for the linker,
// if all of it but the newline is: the next line begins with a newline then.
func (q *Queue) writeLinked(entries []*entry, end bool) (whole int, isLinked bool, err error) {
	at, sink := Occasion{Due: q.ownAsked, End: end}, q.sink
	q.ownAsked = false
	if file, ok := q.sink.(*File); ok {
		err = file.followName() // here and not in the write, so that a new file begins with the line that is due there
		at.FileBegins, sink = file.hasBegun(), (*openedFile)(file)
	}
	q.batch, isLinked = q.Linker.AppendOwn(q.batch[:0], at)
	if !isLinked {
		return 0, false, nil
	}
	own := 0
	if q.ends = q.ends[:0]; len(q.batch) > 0 {
		own, q.ends = 1, append(q.ends, len(q.batch)-1)
	}
	for _, e := range entries {
		q.batch = q.Linker.AppendLinked(q.batch, e.line)
		q.ends = append(q.ends, len(q.batch)-1)
	}
	n := 0
	if err == nil && len(q.batch) > 0 {
		n, err = q.writeText(sink, q.batch)
	}
	kept := 0
	for _, last := range q.ends {
		if n >= last {
			kept++
		}
		if n > last {
			whole++
		}
	}
	q.askLinkerAfter(q.Linker.Keep(kept))
	return max(whole-own, 0), true, err
}

// askLinkerAfter asks the linker after that time. An earlier timer stays; a later one, as of an interval that is shorter now, is replaced.
func (q *Queue) askLinkerAfter(next time.Duration) {
	at := q.Now().Add(next)
	q.mu.Lock()
	start := next > 0 && (q.ownAt.IsZero() || at.Before(q.ownAt))
	if start {
		q.ownAt = at
	}
	q.mu.Unlock()
	if start {
		q.after(next, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			if q.ownAt.Equal(at) {
				q.ownAt, q.ownDue = time.Time{}, true
				q.filled.Signal()
			}
		})
	}
}

// openedFile writes to the open file of a [File], also after a rename.
type openedFile File

func (f *openedFile) Write(text []byte) (int, error) { return (*File)(f).appendText(text) }
