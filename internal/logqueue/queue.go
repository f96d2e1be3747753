// Package logqueue writes lines in a goroutine of its own, through a queue that is
// bounded in bytes, so that no caller waits for the reader of a log.
//
// A line that finds no room or cannot be written is lost and counted by cause. A line of its own
// names the loss as soon as lines are written again. After a write that fails in the
// middle of a line, the next line begins with a newline, so that it is not torn.
//
// The writer writes waiting lines together, up to [maxBatch] bytes. Lines are lost one by
// one even so: of a batch that is written in part, the lines that are whole are written, the
// line in which the write ended is lost, and the lines after it are written again.
//
// A caller that must know whether its line was written waits for it with
// [Queue.AddAndWait], until its context ends.
package logqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Cause is the reason why a line was lost.
type Cause string

// The causes.
const (
	QueueFull    Cause = "queue_full"    // the reader or the disk is too slow, or hangs
	ReaderClosed Cause = "reader_closed" // EPIPE: the other end of the pipe is gone
	NoSpace      Cause = "no_space"      // ENOSPC, EDQUOT
	WriteFailed  Cause = "write_failed"  // any other error of the write
	Stopped      Cause = "stopped"       // the process ended before the line could be written
	Unencodable  Cause = "unencodable"   // the line could not be encoded; see [Queue.CountLost]
)

// Causes lists all causes.
func Causes() []Cause {
	return []Cause{QueueFull, ReaderClosed, NoSpace, WriteFailed, Stopped, Unencodable}
}

// Loss counts lines that were lost for one cause.
type Loss struct {
	Cause Cause
	Count uint64
	Since time.Time // when the first of them was lost
	Err   error     // of the last write that failed; nil for other causes
}

// Options configure a queue.
type Options struct {
	Limit int              // bytes of the queued lines with their overhead; required
	Now   func() time.Time // nil: time.Now

	// Line makes the line that names a loss in the log itself; nil: losses are not logged.
	Line func(Loss) []byte
	// Report is called when the first line is lost for a cause, and again with the whole loss
	// after it was named in the log. It must not write to this queue, and not block.
	Report func(loss Loss, over bool)

	// Linker, if any, links each line to the lines before it when it is written.
	Linker Linker

	// Linger is how long a line may wait for others that are written with it. A caller that waits for its line, a flush and the end
	// are not delayed.
	Linger time.Duration

	after func(time.Duration, func()) // of tests; nil: time.AfterFunc
}

// entryBytes is the overhead of one queued line.
const entryBytes = 128

// maxBatch is how many bytes of lines are written together: PIPE_BUF, the largest write to a
// pipe that writes of other processes cannot divide (pipe(7)). A longer line is written alone.
const maxBatch = 4096

// maxFileBatch is maxBatch for a regular file, which has one writer.
const maxFileBatch = 64 << 10

// minorShare is the part of the limit, in quarters, that minor lines alone can fill.
const minorShare = 3

// lossInterval is the time between the first loss and the line that names all losses
// until then, and between two tries to write that line.
const lossInterval = time.Second

// Queue holds lines on their way to a sink. All methods may be called from many goroutines.
type Queue struct {
	Options
	sink io.Writer

	mu         sync.Mutex
	filled     *sync.Cond // the writer has something to do
	entries    []*entry
	writing    int // how many of the first entries the writer is writing
	bytes      int // of the entries, with those that are being written
	minorBytes int // of those that are minor
	closed     bool
	reopen     bool
	stats      Stats
	losses     map[Cause]*Loss // not named by a line yet; a timer runs while there are any
	due        bool            // the timer has fired
	ownDue     bool            // the linker may have a line of its own
	ownAt      time.Time       // when a timer sets ownDue; zero: no timer runs

	taken    []*entry      // of the writer: the entries that it works on
	batch    []byte        // of the writer: the lines that it writes together
	ends     []int         // of the writer: where each line of a linked batch ends, without its newline
	ownAsked bool          // of the writer: the linker was not asked yet since ownDue was set
	hurry    chan struct{} // has a value if the writer must not wait for more lines

	ended chan struct{} // the writer has returned
}

// entry is a line, or a marker of [Queue.Flush].
type entry struct {
	line   []byte // nil: a marker
	minor  bool
	pooled bool // its memory is used again
	added  time.Time
	done   chan<- error // gets the outcome once, and has room for it; nil: nobody waits
}

// entryPool keeps the memory of lines that were copied.
var entryPool = sync.Pool{New: func() any { return &entry{pooled: true} }}

// maxPooledLine is the longest line whose memory is kept.
const maxPooledLine = 8 << 10

// release gives the memory of an entry back, if nothing else can refer to it.
func (e *entry) release() {
	if e.pooled && cap(e.line) <= maxPooledLine {
		*e = entry{line: e.line[:0], pooled: true}
		entryPool.Put(e)
	}
}

func (e *entry) size() int { return len(e.line) + entryBytes }

// Stats are counts since the queue was made.
type Stats struct {
	Queued  int // lines that wait, with the one that is being written
	Bytes   int // of these lines
	Limit   int
	Oldest  time.Time // when the line that is written next was added; zero: no line waits
	Written uint64
	Lost    map[Cause]uint64
	Err     error // of the last write, or of the file that could not be opened again; nil: neither failed
}

// AllLost is the sum over all causes.
func (s Stats) AllLost() (all uint64) {
	for _, count := range s.Lost {
		all += count
	}
	return all
}

// New starts the writer. The caller closes the queue, or the queue ends with the
// process.
func New(sink io.Writer, o Options) *Queue {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.after == nil {
		o.after = func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	}
	if _, own := sink.(*File); !own {
		sink = &wholeLines{sink: sink, torn: o.Linker != nil && mayBeTorn(sink)}
	}
	q := &Queue{Options: o, sink: sink, losses: map[Cause]*Loss{}, ended: make(chan struct{}), hurry: make(chan struct{}, 1), ownDue: o.Linker != nil}
	q.stats.Lost = map[Cause]uint64{}
	q.filled = sync.NewCond(&q.mu)
	go q.runWriter()
	return q
}

// LostError is the error of a line that was lost.
type LostError struct {
	Cause Cause
	Err   error // of the write; nil for other causes
}

func (e *LostError) Error() string {
	if e.Err == nil {
		return "the line was lost: " + string(e.Cause)
	}
	return fmt.Sprintf("the line was lost: %s: %v", e.Cause, e.Err)
}

func (e *LostError) Unwrap() error { return e.Err }

// Add queues a line, which ends with a newline. The caller must not use it again. Add
// never waits for the sink. It reports whether the line was queued.
func (q *Queue) Add(line []byte) bool { return q.addEntry(&entry{line: line}) == nil }

// AddMinor is Add for a line that gives way to others: minor lines alone fill at most three
// quarters of the limit.
func (q *Queue) AddMinor(line []byte) bool {
	return q.addEntry(&entry{line: line, minor: true}) == nil
}

// AddCopy is Add, or AddMinor, for a line that the caller uses again.
func (q *Queue) AddCopy(line []byte, minor bool) bool {
	e := entryPool.Get().(*entry)
	e.line, e.minor = append(e.line[:0], line...), minor
	if q.addEntry(e) != nil {
		e.release()
		return false
	}
	return true
}

// AddAndWait is Add, and returns when the line is written: the write that held the whole
// line returned without an error. The error of a line that is lost is a [LostError]. If ctx
// ends first, the error is that of ctx, and the line is taken out of the queue. That is too
// late for a line that the writer has begun to write; such a line may be written later.
func (q *Queue) AddAndWait(ctx context.Context, line []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	e := &entry{line: line, done: done}
	if err := q.addEntry(e); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		q.removeWaiting(e)
		return ctx.Err()
	}
}

// CountLost counts a line that could not be encoded.
func (q *Queue) CountLost(cause Cause) { q.countLosses(cause, 1, q.Now(), nil) }

// addEntry queues a line, or counts it as lost.
func (q *Queue) addEntry(e *entry) error {
	e.added = q.Now()
	q.mu.Lock()
	cause := Cause("")
	switch {
	case q.closed:
		cause = Stopped
	case !q.hasRoom(e):
		cause = QueueFull
	default:
		q.appendEntry(e)
	}
	q.mu.Unlock()
	if cause == "" {
		return nil
	}
	q.countLosses(cause, 1, e.added, nil)
	return &LostError{Cause: cause}
}

// hasRoom reports whether a line fits into the limit; mu is held.
func (q *Queue) hasRoom(e *entry) bool {
	if e.minor && q.minorBytes+e.size() > q.Limit/4*minorShare {
		return false
	}
	return q.bytes+e.size() <= q.Limit
}

// appendEntry queues an entry; mu is held.
func (q *Queue) appendEntry(e *entry) {
	q.entries = append(q.entries, e)
	q.countBytes(e, e.size())
	q.filled.Signal()
	if e.done != nil || q.bytes > q.Limit/lingerShare {
		q.endLinger()
	}
}

// lingerShare is the part of the limit that is filled at most while the writer waits for more lines.
const lingerShare = 16

// endLinger makes the writer go on at once.
func (q *Queue) endLinger() {
	select {
	case q.hurry <- struct{}{}:
	default: // it is asked to already
	}
}

// countBytes adds the size of an entry to the bytes in use, or subtracts it; mu is held.
func (q *Queue) countBytes(e *entry, size int) {
	q.bytes += size
	if e.minor {
		q.minorBytes += size
	}
}

// removeWaiting takes an entry out of the queue, unless the writer has begun with it.
func (q *Queue) removeWaiting(e *entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.entries[q.writing:], e); i >= 0 {
		q.entries = slices.Delete(q.entries, q.writing+i, q.writing+i+1)
		q.countBytes(e, -e.size())
	}
}

// SetLimit changes the bound for later lines.
func (q *Queue) SetLimit(bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.Limit = bytes
}

// Stats returns the present counts.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.Queued, s.Bytes, s.Limit, s.Lost = len(q.entries), q.bytes, q.Limit, maps.Clone(q.stats.Lost)
	if len(q.entries) > 0 {
		s.Oldest = q.entries[0].added
	}
	return s
}

// Reopen makes the sink open its file again before the next line, or at once if no
// line waits. It does nothing for a sink without a file.
func (q *Queue) Reopen() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reopen = true
	q.filled.Signal()
}

// Flush returns when every line that was added before is written or lost, or when
// ctx ends, with its error.
func (q *Queue) Flush(ctx context.Context) error {
	done := make(chan error, 1)
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return q.waitForEnd(ctx)
	}
	q.appendEntry(&entry{done: done, added: q.Now()}) // also beyond the limit: a marker has no line
	q.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close accepts no more lines and writes those that wait. If ctx ends before
// that is done, the rest is lost, and Close returns without waiting for the write
// that hangs. The sink is closed if it is a Closer and no write hangs.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.filled.Signal()
	q.endLinger()
	q.mu.Unlock()
	err := q.waitForEnd(ctx)
	if err == nil {
		if closer, ok := q.sink.(io.Closer); ok {
			err = closer.Close()
		}
		return err
	}
	q.mu.Lock()
	left := uint64(0)
	for _, e := range q.entries {
		if e.line != nil {
			left++
		}
	}
	q.mu.Unlock()
	q.countLosses(Stopped, left, q.Now(), nil)
	return fmt.Errorf("%d lines could not be written: %w", left, err)
}

// waitForEnd waits until the writer has returned.
func (q *Queue) waitForEnd(ctx context.Context) error {
	select {
	case <-q.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// runWriter is the only goroutine that uses the sink.
func (q *Queue) runWriter() {
	defer close(q.ended)
	for {
		todo := q.nextTask()
		if todo.reopen {
			q.reopenSink()
		}
		q.ownAsked = q.ownAsked || todo.own
		if todo.nameLosses || todo.end {
			q.writeLosses()
		}
		if len(todo.entries) > 0 {
			q.writeEntries(todo.entries)
		} else if todo.own || todo.end || todo.reopen {
			q.writeOwn(todo.end)
		}
		if todo.end {
			return
		}
	}
}

// task is the next work of the writer. It may have no entries.
type task struct {
	entries                      []*entry
	reopen, nameLosses, own, end bool
}

// nextTask waits for work. Entries stay in the queue while they are being written.
func (q *Queue) nextTask() (todo task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.entries) == 0 && !q.closed && !q.reopen && !q.due && !q.ownDue {
		q.filled.Wait()
	}
	q.lingerForMore()
	todo.reopen, q.reopen = q.reopen, false
	todo.nameLosses, q.due = q.due, false
	todo.own, q.ownDue = q.ownDue, false
	q.writing = q.countBatch()
	q.taken = append(q.taken[:0], q.entries[:q.writing]...)
	todo.entries = q.taken
	todo.end = q.writing == 0 && q.closed
	return todo
}

// lingerForMore waits for more lines; mu is held before and after it. Of the lines of a busy process, each would otherwise be written by
// a call of its own.
func (q *Queue) lingerForMore() {
	if q.Linger == 0 || q.closed || len(q.entries) == 0 || q.countBatch() < len(q.entries) { // more wait than are written together
		return
	}
	q.mu.Unlock()
	timer := time.NewTimer(q.Linger)
	select {
	case <-timer.C:
	case <-q.hurry:
	}
	timer.Stop()
	q.mu.Lock()
}

// countBatch returns how many of the first entries are written together: one marker, or
// lines of [maxBatch] bytes; mu is held.
func (q *Queue) countBatch() int {
	size, most, added := 0, maxBatch, 0
	if file, ok := q.sink.(*File); ok && file.info.Mode().IsRegular() {
		most = maxFileBatch
	} else if q.Linker != nil {
		most, added = most-MaxOwnLine, MaxLink
	}
	for i, e := range q.entries {
		size += len(e.line) + added
		if i > 0 && (e.line == nil || size > most) {
			return i
		}
		if e.line == nil {
			return 1
		}
	}
	return len(q.entries)
}

// writeEntries writes lines together, or reaches a marker. It removes from the queue what is
// written or lost: if the write fails, that is at least one line.
func (q *Queue) writeEntries(entries []*entry) {
	if entries[0].line == nil {
		q.mu.Lock()
		q.removeFirst(1)
		q.mu.Unlock()
		finishAll(entries, nil)
		return
	}
	whole, err := q.writeLines(entries)
	if err == nil {
		q.countWritten(len(entries), len(entries), nil)
		finishAll(entries, nil)
		return
	}
	whole = min(whole, len(entries)-1) // each error loses a line, or the writer would try for ever
	cause := causeOf(err)
	q.countWritten(whole, whole+1, err)
	q.countLosses(cause, 1, q.Now(), err)
	finishAll(entries[:whole], nil)
	finishAll(entries[whole:whole+1], &LostError{Cause: cause, Err: err})
}

// writeLines writes lines together, and returns how many of them are whole in the sink.
func (q *Queue) writeLines(entries []*entry) (whole int, err error) {
	if q.Linker != nil {
		if whole, isLinked, err := q.writeLinked(entries, false); isLinked {
			return whole, err
		}
	}
	text := entries[0].line
	if len(entries) > 1 {
		q.batch = q.batch[:0]
		for _, e := range entries {
			q.batch = append(q.batch, e.line...)
		}
		text = q.batch
	}
	n, err := q.writeText(q.sink, text)
	return countWhole(entries, n), err
}

func finishAll(entries []*entry, err error) {
	for _, e := range entries {
		if e.done != nil {
			e.done <- err
		}
		e.release()
	}
}

// countWhole returns how many of the lines are whole within the first n bytes.
func countWhole(entries []*entry, n int) int {
	for i, e := range entries {
		if n -= len(e.line); n < 0 {
			return i
		}
	}
	return len(entries)
}

// countWritten notes the outcome of a write: of the first entries, which it removes, some
// are written.
func (q *Queue) countWritten(written, removed int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.removeFirst(removed)
	q.stats.Written += uint64(written)
	q.stats.Err = err
	if file, ok := q.sink.(*File); ok && err == nil {
		q.stats.Err = file.stuck
	}
}

// removeFirst removes the first entries, which the writer has dealt with; mu is held.
func (q *Queue) removeFirst(count int) {
	for _, e := range q.entries[:count] {
		q.countBytes(e, -e.size())
	}
	left := copy(q.entries, q.entries[count:])
	clear(q.entries[left:]) // or their lines would stay in memory as long as the slice
	if q.entries = q.entries[:left]; left == 0 && cap(q.entries) > maxIdleEntries {
		q.entries = nil
	}
	q.writing = 0
}

// maxIdleEntries is how many entries an empty queue keeps room for.
const maxIdleEntries = 1024

// writeText treats a panic of the sink as an error: a panic in this goroutine would end the
// process, which may be a gateway that only hosts this code.
func (q *Queue) writeText(sink io.Writer, text []byte) (n int, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			n, err = 0, fmt.Errorf("the sink panicked: %T", cause)
		}
	}()
	return sink.Write(text)
}

func causeOf(err error) Cause {
	switch {
	case errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		return ReaderClosed
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return NoSpace
	default:
		return WriteFailed
	}
}

// countLosses counts lines that were lost.
func (q *Queue) countLosses(cause Cause, count uint64, now time.Time, err error) {
	if count == 0 {
		return
	}
	q.mu.Lock()
	q.stats.Lost[cause] += count
	loss, known := q.losses[cause]
	if !known {
		if len(q.losses) == 0 {
			q.after(lossInterval, q.signalLosses)
		}
		loss = &Loss{Cause: cause, Since: now}
		q.losses[cause] = loss
	}
	loss.Count += count
	loss.Err = err
	begun := *loss
	q.mu.Unlock()
	if !known && q.Report != nil {
		q.Report(begun, false)
	}
}

// signalLosses makes the writer name the losses.
func (q *Queue) signalLosses() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due = true
	q.filled.Signal()
}

// writeLosses writes the lines that name losses. A line that cannot be
// written yet is tried again after an interval.
func (q *Queue) writeLosses() {
	q.mu.Lock()
	losses := q.losses
	q.losses = map[Cause]*Loss{}
	q.mu.Unlock()
	for _, cause := range Causes() {
		loss, lost := losses[cause]
		if !lost {
			continue
		}
		if q.Line != nil && !q.writeLine(q.Line(*loss)) {
			q.restoreLoss(loss)
		} else if q.Report != nil {
			q.Report(*loss, true)
		}
	}
}

// writeLine writes a line that is not in the queue, and reports whether it is written.
func (q *Queue) writeLine(line []byte) bool {
	_, err := q.writeLines([]*entry{{line: line}})
	return err == nil
}

// restoreLoss keeps a loss that could not be named.
func (q *Queue) restoreLoss(loss *Loss) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if later, known := q.losses[loss.Cause]; known {
		loss.Count += later.Count
	} else if len(q.losses) == 0 {
		q.after(lossInterval, q.signalLosses)
	}
	q.losses[loss.Cause] = loss
}

// Writer adds each Write to the queue as one line, for loggers. It never fails: a
// logger cannot report an error, and the queue counts lost lines. Characters that
// control a terminal are escaped, as in [EscapeJSON], except newlines and tabs.
func (q *Queue) Writer() io.Writer { return lineWriter{q} }

type lineWriter struct{ queue *Queue }

func (w lineWriter) Write(text []byte) (int, error) {
	line := bytes.Clone(escapeText(text))
	if !bytes.HasSuffix(line, []byte{'\n'}) {
		line = append(line, '\n')
	}
	w.queue.Add(line)
	return len(text), nil
}
