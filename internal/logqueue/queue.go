// Package logqueue writes lines in a goroutine of its own, through a queue that is
// bounded in bytes, so that no caller waits for the reader of a log.
//
// A line that finds no room or cannot be written is lost and counted by cause. A line of its own
// names the loss as soon as lines are written again. After a write that fails in the
// middle of a line, the next line begins with a newline, so that it is not torn.
package logqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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

	after func(time.Duration, func()) // of tests; nil: time.AfterFunc
}

// entryBytes is the overhead of one queued line.
const entryBytes = 96

// lossInterval is the time between the first loss and the line that names all losses
// until then, and between two tries to write that line.
const lossInterval = time.Second

// Queue holds lines on their way to a sink. All methods may be called from many goroutines.
type Queue struct {
	Options
	sink io.Writer

	mu      sync.Mutex
	filled  *sync.Cond // the writer has something to do
	entries []entry
	bytes   int // of the entries, with the one that is being written
	closed  bool
	reopen  bool
	stats   Stats
	losses  map[Cause]*Loss // not named by a line yet; a timer runs while there are any
	due     bool            // the timer has fired

	ended chan struct{} // the writer has returned
}

type entry struct {
	line  []byte
	added time.Time
	done  chan<- struct{} // of Flush: closed when the writer reaches the entry
}

func (e entry) size() int { return len(e.line) + entryBytes }

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
		sink = &wholeLines{sink: sink}
	}
	q := &Queue{Options: o, sink: sink, losses: map[Cause]*Loss{}, ended: make(chan struct{})}
	q.stats.Lost = map[Cause]uint64{}
	q.filled = sync.NewCond(&q.mu)
	go q.runWriter()
	return q
}

// Add queues a line, which ends with a newline. The caller must not use it again. Add
// never waits for the sink. It reports whether the line was queued.
func (q *Queue) Add(line []byte) bool {
	now := q.Now()
	q.mu.Lock()
	e := entry{line: line, added: now}
	cause := Cause("")
	switch {
	case q.closed:
		cause = Stopped
	case q.bytes+e.size() > q.Limit:
		cause = QueueFull
	default:
		q.appendEntry(e)
	}
	q.mu.Unlock()
	if cause != "" {
		q.countLosses(cause, 1, now, nil)
	}
	return cause == ""
}

// CountLost counts a line that could not be encoded.
func (q *Queue) CountLost(cause Cause) { q.countLosses(cause, 1, q.Now(), nil) }

// appendEntry queues an entry; mu is held.
func (q *Queue) appendEntry(e entry) {
	q.entries = append(q.entries, e)
	q.bytes += e.size()
	q.filled.Signal()
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
	done := make(chan struct{})
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return q.waitFor(ctx, q.ended)
	}
	q.appendEntry(entry{done: done, added: q.Now()}) // also beyond the limit: a marker has no line
	q.mu.Unlock()
	return q.waitFor(ctx, done)
}

// Close accepts no more lines and writes those that wait. If ctx ends before
// that is done, the rest is lost, and Close returns without waiting for the write
// that hangs. The sink is closed if it is a Closer and no write hangs.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.filled.Signal()
	q.mu.Unlock()
	err := q.waitFor(ctx, q.ended)
	if err == nil {
		if closer, ok := q.sink.(io.Closer); ok {
			err = closer.Close()
		}
		return err
	}
	q.mu.Lock()
	left := uint64(0)
	for _, e := range q.entries {
		if e.done == nil {
			left++
		}
	}
	q.mu.Unlock()
	q.countLosses(Stopped, left, q.Now(), nil)
	return fmt.Errorf("%d lines could not be written: %w", left, err)
}

func (q *Queue) waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
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
		if todo.nameLosses || todo.end {
			q.writeLosses()
		}
		if todo.end {
			return
		}
		q.writeEntry(todo.entry)
	}
}

// task is the next work of the writer. Its entry may be empty.
type task struct {
	entry
	reopen, nameLosses, end bool
}

// nextTask waits for work. An entry stays in the queue while it is being written.
func (q *Queue) nextTask() (todo task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.entries) == 0 && !q.closed && !q.reopen && !q.due {
		q.filled.Wait()
	}
	todo.reopen, q.reopen = q.reopen, false
	todo.nameLosses, q.due = q.due, false
	if len(q.entries) > 0 {
		todo.entry = q.entries[0]
	} else {
		todo.end = q.closed
	}
	return todo
}

// writeEntry writes one entry and removes it from the queue.
func (q *Queue) writeEntry(e entry) {
	switch {
	case e.line != nil:
		err := q.writeLine(e.line)
		q.removeFirst(e, err)
		if err != nil {
			q.countLosses(causeOf(err), 1, q.Now(), err)
		}
	case e.done != nil:
		q.removeFirst(e, nil)
		close(e.done)
	}
}

// removeFirst removes the first entry, which was written unless there is an error.
func (q *Queue) removeFirst(e entry, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.entries[0] = entry{} // or its line would stay in memory as long as the slice
	q.entries = q.entries[1:]
	if len(q.entries) == 0 {
		q.entries = nil
	}
	q.bytes -= e.size()
	if e.line == nil {
		return
	}
	q.stats.Err = err
	if err == nil {
		q.stats.Written++
	}
	if file, ok := q.sink.(*File); ok && err == nil {
		q.stats.Err = file.stuck
	}
}

// writeLine treats a panic of the sink as an error: a panic in this goroutine would end the
// process, which may be a gateway that only hosts this code.
func (q *Queue) writeLine(line []byte) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("the sink panicked: %T", cause)
		}
	}()
	_, err = q.sink.Write(line)
	return err
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
		if q.Line != nil && q.writeLine(q.Line(*loss)) != nil {
			q.restoreLoss(loss)
		} else if q.Report != nil {
			q.Report(*loss, true)
		}
	}
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
