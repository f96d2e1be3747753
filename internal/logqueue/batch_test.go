package logqueue

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// gated is a sink that holds its first write until it is released, and keeps each write.
type gated struct {
	begun, free chan struct{}
	first       sync.Once

	mu      sync.Mutex
	answers []answer // of the writes after the first; afterwards all succeed
	writes  []string
}

func newGated(answers ...answer) *gated {
	return &gated{begun: make(chan struct{}), free: make(chan struct{}), answers: answers}
}

func (g *gated) Write(text []byte) (int, error) {
	held := false
	g.first.Do(func() { held = true; close(g.begun); <-g.free })
	g.mu.Lock()
	defer g.mu.Unlock()
	if !held && len(g.answers) > 0 {
		a := g.answers[0]
		g.answers = g.answers[1:]
		g.writes = append(g.writes, string(text[:a.n]))
		return a.n, a.err
	}
	g.writes = append(g.writes, string(text))
	return len(text), nil
}

// addBehindFirst adds lines while the sink holds the first one.
func addBehindFirst(q *Queue, g *gated, lines ...string) {
	q.Add([]byte("first\n"))
	<-g.begun
	for _, line := range lines {
		q.Add([]byte(line + "\n"))
	}
}

// Lines that wait are written together, as many as no other writer of a pipe can divide.
func TestWaitingLinesAreWrittenTogether(t *testing.T) {
	g := newGated()
	q := newQueue(t, g)
	long := strings.Repeat("l", maxBatch)
	half := strings.Repeat("h", maxBatch/2-1)
	addBehindFirst(q, g, "a", "b", long, half, half, "c")
	close(g.free)
	closeQueue(t, q)
	want := []string{"first\n", "a\nb\n", long + "\n", half + "\n" + half + "\n", "c\n"}
	if !slices.Equal(g.writes, want) {
		t.Errorf("got %q", g.writes)
	}
	if got := q.Stats(); got.Written != 7 || got.Bytes != 0 {
		t.Errorf("got %+v", got)
	}
}

// Of a batch that is written in part, exactly one line is lost, wherever the write ended.
func TestABatchThatIsWrittenInPart(t *testing.T) {
	for _, row := range []struct {
		name    string
		answers []answer
		want    string // of the lines aa, bb and cc
		lost    uint64
	}{
		{"nothing", []answer{{0, syscall.ENOSPC}}, "bb\ncc\n", 1},
		{"a part of the first line", []answer{{1, syscall.ENOSPC}}, "a\nbb\ncc\n", 1},
		{"the first line", []answer{{3, syscall.ENOSPC}}, "aa\ncc\n", 1},
		{"a part of the second line", []answer{{4, syscall.ENOSPC}}, "aa\nb\ncc\n", 1},
		{"all but the last newline", []answer{{8, syscall.ENOSPC}}, "aa\nbb\ncc", 1},
		{"all, with an error", []answer{{9, syscall.ENOSPC}}, "aa\nbb\ncc\n", 1},
		{"a short write", []answer{{4, nil}}, "aa\nb\ncc\n", 1},
		{"a part twice", []answer{{4, syscall.ENOSPC}, {2, syscall.ENOSPC}}, "aa\nb\nc", 2},
		{"a part, and then only the newline before the rest", []answer{{4, syscall.ENOSPC}, {1, syscall.ENOSPC}}, "aa\nb\n", 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := newGated(row.answers...)
			q := newQueue(t, g, func(o *Options) { o.Line = nil })
			addBehindFirst(q, g, "aa", "bb", "cc")
			close(g.free)
			flush(t, q)
			got := strings.TrimPrefix(strings.Join(g.writes, ""), "first\n")
			if s := q.Stats(); got != row.want || s.AllLost() != row.lost || s.Written != 4-row.lost || s.Bytes != 0 {
				t.Errorf("got %q, want %q; %+v", got, row.want, s)
			}
			q.addAll(t, "last")
			if text := strings.Join(g.writes, ""); !strings.HasSuffix(text, "\nlast\n") {
				t.Errorf("the next line: %q", text)
			}
			closeQueue(t, q)
		})
	}
}

// Each of those who wait gets the outcome of its own line.
func TestEachWaiterGetsItsOutcome(t *testing.T) {
	g := newGated(answer{4, syscall.ENOSPC})
	q := newQueue(t, g)
	addBehindFirst(q, g)
	outcomes := map[string]chan error{}
	for i, line := range []string{"aa", "bb", "cc"} {
		outcome := make(chan error, 1)
		outcomes[line] = outcome
		go func() { outcome <- q.AddAndWait(context.Background(), []byte(line+"\n")) }()
		q.awaitQueued(i + 2)
	}
	close(g.free)
	var lost *LostError
	if err := <-outcomes["bb"]; !errors.As(err, &lost) || lost.Cause != NoSpace || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("bb: %v", err)
	}
	for _, line := range []string{"aa", "cc"} {
		if err := <-outcomes[line]; err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	closeQueue(t, q)
}

// A line whose caller has gone is not written and takes no room, however long the sink hangs.
func TestALineThatNobodyWaitsForAnyMore(t *testing.T) {
	g := newGated()
	q := newQueue(t, g)
	addBehindFirst(q, g, "before")
	full := q.Stats()
	for range 100 {
		ctx, cancel := context.WithCancel(context.Background())
		outcome := make(chan error, 1)
		go func() { outcome <- q.AddAndWait(ctx, []byte("gone\n")) }()
		q.awaitQueued(3)
		cancel()
		if err := <-outcome; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if got := q.Stats(); got.Queued != full.Queued || got.Bytes != full.Bytes || got.AllLost() != 0 {
		t.Errorf("got %+v, want %+v", got, full)
	}
	close(g.free)
	closeQueue(t, q)
	if want := []string{"first\n", "before\n"}; !slices.Equal(g.writes, want) {
		t.Errorf("got %q", g.writes)
	}
}

func TestMinorLinesLeaveRoom(t *testing.T) {
	reader, writer := io.Pipe()
	defer reader.Close()
	line := "123456789\n"
	q := newQueue(t, writer, func(o *Options) { o.Limit = 8 * (entryBytes + len(line)) })
	for range 8 {
		q.AddMinor([]byte(line))
	}
	if got := q.Stats(); got.Queued != 6 || got.Lost[QueueFull] != 2 {
		t.Errorf("minor lines: %+v", got)
	}
	for range 3 {
		q.Add([]byte(line))
	}
	if got := q.Stats(); got.Queued != 8 || got.Lost[QueueFull] != 3 {
		t.Errorf("with others: %+v", got)
	}
}

// Without minor lines the others have all of the room, and minor lines only what is left.
func TestOtherLinesHaveAllRoom(t *testing.T) {
	reader, writer := io.Pipe()
	defer reader.Close()
	line := "123456789\n"
	q := newQueue(t, writer, func(o *Options) { o.Limit = 8 * (entryBytes + len(line)) })
	for range 9 {
		q.Add([]byte(line))
	}
	if added := q.AddMinor([]byte(line)); added || q.Stats().Queued != 8 || q.Stats().Lost[QueueFull] != 2 {
		t.Errorf("added %t, %+v", added, q.Stats())
	}
}

// awaitQueued returns when so many lines are queued: another goroutine adds them.
func (q *Queue) awaitQueued(lines int) {
	for q.Stats().Queued != lines {
		runtime.Gosched()
	}
}

// A queue with more lines than are written together does not wait for others: the writer is behind already.
func TestABacklogIsNotHeldBack(t *testing.T) {
	g := newGated()
	q := newQueue(t, g, func(o *Options) { o.Linger = time.Hour })
	flushed := make(chan error, 1)
	q.Add([]byte("first\n"))
	go func() { flushed <- q.Flush(context.Background()) }() // the first line does not linger then
	<-g.begun
	line := strings.Repeat("x", maxBatch/4-1) + "\n"
	for range 12 { // three batches; the last one waits for more
		q.Add([]byte(line))
	}
	q.awaitQueued(14)
	close(g.free)
	if err := <-flushed; err != nil {
		t.Error(err)
	}
	for end := time.Now().Add(time.Minute); q.Stats().Queued > 4; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("whole batches wait for more lines")
		}
	}
	if g.mu.Lock(); len(g.writes) < 3 || len(g.writes[1]) != maxBatch || len(g.writes[2]) != maxBatch {
		t.Errorf("got %d writes", len(g.writes))
	}
	g.mu.Unlock()
	closeQueue(t, q)
}
