package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/shared/audit"
)

// disk is a sink whose writes fail, or write only a part, after set.
type disk struct {
	mu   sync.Mutex
	full error // of every write; nil: it succeeds
	room int   // bytes that a write that fails still writes
	text strings.Builder
}

func (d *disk) Write(line []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full != nil {
		n := min(d.room, len(line))
		d.text.Write(line[:n])
		return n, d.full
	}
	return d.text.Write(line)
}

func (d *disk) set(full error, room int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full, d.room = full, room
}

func (d *disk) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

var required = audit.Settings{Required: true}

func allow(id string) audit.Record {
	r := newRecord("allow", "rule_allowed")
	r.ID = id
	return r
}

// Where records are required, an allow is known to be written: in the file, as a whole line.
func TestARequiredRecordIsWritten(t *testing.T) {
	d := &disk{}
	log := audit.New(d, audit.Options{Settings: required})
	for i := range 3 {
		if err := log.RecordAllow(context.Background(), allow(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(d.String(), "\n"); n != i+1 || log.Stats().Written != uint64(i+1) {
			t.Errorf("%d lines after %d records, %+v", n, i+1, log.Stats())
		}
	}
	audittest.CheckLines(t, d.String())
}

// Without the setting an allow waits for nothing.
func TestARecordThatIsNotRequired(t *testing.T) {
	sink := newStalled()
	defer close(sink.free)
	log := audit.New(sink, audit.Options{})
	ended, end := context.WithCancel(context.Background())
	end()
	if err := log.RecordAllow(ended, allow("1")); err != nil || log.Stats().Queued != 1 {
		t.Errorf("got %v, %+v", err, log.Stats())
	}
}

// An allow fails with the write of its record, for any cause, and the next one succeeds when writes do. A line
// that was torn off is not continued.
func TestARequiredRecordThatCannotBeWritten(t *testing.T) {
	for _, row := range []struct {
		name  string
		err   error
		room  int
		cause logqueue.Cause
	}{
		{"a full disk", syscall.ENOSPC, 0, logqueue.NoSpace},
		{"a full disk in the middle of a line", syscall.ENOSPC, 20, logqueue.NoSpace},
		{"a closed reader", syscall.EPIPE, 0, logqueue.ReaderClosed},
		{"a short write", io.ErrShortWrite, 20, logqueue.WriteFailed},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := &disk{}
			log := audit.New(d, audit.Options{Settings: required})
			d.set(row.err, row.room)
			err := log.RecordAllow(context.Background(), allow("lost"))
			var lost *logqueue.LostError
			if !errors.As(err, &lost) || lost.Cause != row.cause || !errors.Is(err, row.err) || log.Stats().Lost[row.cause] != 1 {
				t.Errorf("got %v, %+v", err, log.Stats())
			}
			d.set(nil, 0)
			if err := log.RecordAllow(context.Background(), allow("kept")); err != nil {
				t.Errorf("after the failure: %v", err)
			}
			lines := strings.Split(strings.TrimSpace(d.String()), "\n")
			if last := lines[len(lines)-1]; audittest.CheckLine([]byte(last)) != nil || !strings.Contains(last, `"id":"kept"`) || strings.Count(d.String(), `"id"`) > 2 {
				t.Errorf("got %q", lines)
			}
		})
	}
}

// A reader that hangs ends the wait with its context. What has not begun to be written is never written, because the
// request was denied; denials are recorded and wait for nothing.
func TestARequiredRecordWhoseReaderHangs(t *testing.T) {
	sink := newStalled()
	log := audit.New(sink, audit.Options{Settings: required})
	begun := make(chan error)
	first, endFirst := context.WithCancel(context.Background())
	go func() { begun <- log.RecordAllow(first, allow("begun")) }()
	<-sink.at
	endFirst()
	if err := <-begun; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	waiting := make(chan error)
	second, endSecond := context.WithCancel(context.Background())
	go func() { waiting <- log.RecordAllow(second, allow("waiting")) }()
	for log.Stats().Queued < 2 { // until the goroutine has queued it
		runtime.Gosched()
	}
	endSecond()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	denial := newRecord("deny", "audit_unavailable")
	denial.ID = "waiting"
	log.Record(denial)
	if s := log.Stats(); s.Queued != 2 || s.AllLost() != 0 {
		t.Errorf("got %+v", s)
	}
	close(sink.free)
	if err := log.RecordAllow(context.Background(), allow("after")); err != nil {
		t.Error(err)
	}
	if err := log.Close(context.Background()); err != nil {
		t.Error(err)
	}
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(sink.text.String()), "\n") {
		for _, part := range []string{`"id":"begun"`, `"id":"waiting"`, `"id":"after"`} {
			if strings.Contains(line, part) {
				got = append(got, part+" "+fmt.Sprint(strings.Contains(line, `"allow"`)))
			}
		}
	}
	if want := []string{`"id":"begun" true`, `"id":"waiting" false`, `"id":"after" true`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A request whose time is over is not recorded as allowed.
func TestARequiredRecordAfterTheDeadline(t *testing.T) {
	d := &disk{}
	log := audit.New(d, audit.Options{Settings: required})
	ended, end := context.WithCancel(context.Background())
	end()
	if err := log.RecordAllow(ended, allow("1")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := log.Close(context.Background()); err != nil || d.String() != "" {
		t.Errorf("%v, wrote %q", err, d)
	}
	if err := log.RecordAllow(context.Background(), allow("2")); err == nil || err.Error() != "the line was lost: stopped" {
		t.Errorf("after the end: %v", err)
	}
}

// A record that cannot be encoded is no record.
func TestARequiredRecordThatIsNoJSON(t *testing.T) {
	log := audit.New(io.Discard, audit.Options{Settings: required})
	r := allow("1")
	r.Inputs = map[string]any{"f": func() {}}
	if err := log.RecordAllow(context.Background(), r); err == nil || log.Stats().Lost[logqueue.Unencodable] != 1 {
		t.Errorf("got %v, %+v", err, log.Stats())
	}
}

// Denials alone leave a quarter of the queue to allows, so that a flood of them does not end all allows.
func TestAllowsHaveReservedRoom(t *testing.T) {
	const queue = 40_000
	sink := newStalled()
	log := audit.New(sink, audit.Options{Settings: audit.Settings{Queue: queue}})
	denial := newRecord("deny", "no_rule")
	denial.Authenticated = true
	for range 1000 {
		log.Record(denial)
	}
	denials := log.Stats()
	if denials.Bytes > queue/4*3 || denials.Bytes < queue/4*3-1000 || denials.Lost[logqueue.QueueFull] != 1000-uint64(denials.Queued) {
		t.Errorf("denials: %+v", denials)
	}
	for range 1000 {
		log.Record(allow("1"))
	}
	both := log.Stats()
	if both.Queued-denials.Queued < 20 || both.Bytes > queue || both.Bytes < queue-1000 {
		t.Errorf("with allows: %+v", both)
	}
	close(sink.free)
	if err := log.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if left := log.Stats(); left.Bytes != 0 || left.Written != uint64(both.Queued) {
		t.Errorf("in the end: %+v", left)
	}
}

// Allows of many callers are written together, each once and whole.
func TestConcurrentRequiredRecords(t *testing.T) {
	var text bytes.Buffer
	log := audit.New(&text, audit.Options{Settings: required})
	var callers sync.WaitGroup
	for i := range 200 {
		callers.Add(1)
		go func() {
			defer callers.Done()
			if err := log.RecordAllow(context.Background(), allow(fmt.Sprint("n", i))); err != nil {
				t.Error(err)
			}
		}()
	}
	callers.Wait()
	if err := log.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	audittest.CheckLines(t, text.String())
	for i := range 200 {
		if n := strings.Count(text.String(), fmt.Sprintf(`"id":"n%d"`, i)); n != 1 {
			t.Errorf("record %d is there %d times", i, n)
		}
	}
}
