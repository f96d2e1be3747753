package logqueue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// scripted is a sink of which each write does what the test says.
type scripted struct {
	mu      sync.Mutex
	text    strings.Builder
	answers []answer // of the writes to come; afterwards all succeed
}

type answer struct {
	n   int
	err error
}

func (s *scripted) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answers) == 0 {
		return s.text.Write(line)
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	s.text.Write(line[:a.n])
	return a.n, a.err
}

func (s *scripted) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func newQueue(t *testing.T, sink io.Writer, change ...func(*Options)) *Queue {
	t.Helper()
	o := Options{Limit: 1 << 20, after: func(time.Duration, func()) {}, Now: func() time.Time { return noon }, Line: func(l Loss) []byte {
		return []byte(fmt.Sprintf("%s %d\n", l.Cause, l.Count))
	}}
	for _, c := range change {
		c(&o)
	}
	return New(sink, o)
}

func (q *Queue) addAll(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		q.Add([]byte(line + "\n"))
		flush(t, q)
	}
}

func flush(t *testing.T, q *Queue) {
	t.Helper()
	if err := q.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func closeQueue(t *testing.T, q *Queue) {
	t.Helper()
	if err := q.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// A write that fails in the middle of a line loses that line and no other, wherever it was cut off.
func TestAFailedWriteNeverTearsTheNextLine(t *testing.T) {
	for _, row := range []struct {
		name    string
		answers []answer
		want    string
		cause   Cause
	}{
		{"nothing was written", []answer{{0, syscall.ENOSPC}}, "c\nd\nno_space 1\n", NoSpace},
		{"half a line", []answer{{2, syscall.ENOSPC}}, "bb\nc\nd\nno_space 1\n", NoSpace},
		{"half a line, and the quota", []answer{{2, syscall.EDQUOT}}, "bb\nc\nd\nno_space 1\n", NoSpace},
		{"a short write without an error", []answer{{3, nil}}, "bbb\nc\nd\nwrite_failed 1\n", WriteFailed},
		{"two halves", []answer{{2, syscall.EIO}, {2, syscall.EIO}}, "bb\nc\nd\nwrite_failed 2\n", WriteFailed},
		{"no newline", []answer{{4, syscall.EIO}}, "bbbb\nc\nd\nwrite_failed 1\n", WriteFailed},
		{"a closed reader", []answer{{0, syscall.EPIPE}}, "c\nd\nreader_closed 1\n", ReaderClosed},
	} {
		t.Run(row.name, func(t *testing.T) {
			sink := &scripted{answers: row.answers}
			q := newQueue(t, sink)
			q.addAll(t, "bbbb")
			lost := uint64(1)
			if len(row.answers) == 2 {
				q.addAll(t, "x") // "\nx\n" of which "\nx" is written
				row.want = strings.Replace(row.want, "bb\n", "bb\nx\n", 1)
				lost = 2
			}
			if got := q.Stats(); got.Err == nil || got.Lost[row.cause] != lost || got.Bytes != 0 {
				t.Errorf("after the failure: %+v", got)
			}
			q.addAll(t, "c", "d")
			if got := q.Stats(); got.Err != nil || got.Written != 2 || got.AllLost() != lost {
				t.Errorf("in the end: %+v", got)
			}
			closeQueue(t, q)
			if got := sink.String(); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// A loss is named once, when lines are written again, and not forgotten while they are not.
func TestLossesAreNamed(t *testing.T) {
	sink := &scripted{answers: []answer{{0, syscall.ENOSPC}, {0, syscall.ENOSPC}, {0, syscall.ENOSPC}, {0, syscall.EIO}}}
	var reports []string
	q := newQueue(t, sink, func(o *Options) {
		o.Report = func(l Loss, over bool) {
			reports = append(reports, fmt.Sprint(l.Cause, " ", l.Count, l.Since.Equal(noon), l.Err, over))
		}
	})
	q.addAll(t, "a", "b")
	q.signalLosses() // the third write
	flush(t, q)
	q.addAll(t, "c") // the fourth
	q.signalLosses()
	flush(t, q)
	q.signalLosses() // nothing is left to be named
	q.addAll(t, "d")
	closeQueue(t, q)
	if got, want := sink.String(), "no_space 2\nwrite_failed 1\nd\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	want := []string{
		"no_space 1 true no space left on device false", "write_failed 1 true input/output error false",
		"no_space 2 true no space left on device true", "write_failed 1 true input/output error true",
	}
	if fmt.Sprint(reports) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", reports, want)
	}
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("sink") }

// A gateway that hosts us goes on after a panic of a writer.
func TestAPanicOfTheSinkIsALoss(t *testing.T) {
	q := newQueue(t, panicking{})
	q.addAll(t, "a", "b")
	if got := q.Stats(); got.Lost[WriteFailed] != 2 || got.Err.Error() != "the sink panicked: string" {
		t.Errorf("got %+v", got)
	}
}

func TestTheLimitCountsBytes(t *testing.T) {
	reader, writer := io.Pipe()
	q := newQueue(t, writer, func(o *Options) { o.Limit = 3 * (entryBytes + 10) })
	for range 5 {
		q.Add([]byte("123456789\n"))
	}
	if got := q.Stats(); got.Queued != 3 || got.Bytes != 3*(entryBytes+10) || got.Limit != got.Bytes || got.Lost[QueueFull] != 2 {
		t.Errorf("got %+v", got)
	}
	q.SetLimit(4 * (entryBytes + 10))
	q.Add([]byte("987654321\n"))
	q.Add([]byte("987654321\n"))
	if got := q.Stats(); got.Queued != 4 || got.Lost[QueueFull] != 3 {
		t.Errorf("after the limit was raised: %+v", got)
	}
	read := make(chan string)
	go func() {
		text, _ := io.ReadAll(reader) // the pipe gives no error
		read <- string(text)
	}()
	closeQueue(t, q)
	if err := writer.Close(); err != nil {
		t.Error(err)
	}
	if got := <-read; got != strings.Repeat("123456789\n", 3)+"987654321\n"+"queue_full 3\n" {
		t.Errorf("got %q", got)
	}
	if got := q.Stats(); got.Bytes != 0 || !got.Oldest.IsZero() {
		t.Errorf("in the end: %+v", got)
	}
}

func TestLogLinesAreEscaped(t *testing.T) {
	sink := &scripted{}
	q := newQueue(t, sink)
	slog.New(slog.NewJSONHandler(q.Writer(), &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})).Info("host", "name", "a\u202eb\u009b\x7f")
	if n, err := fmt.Fprint(q.Writer(), "one\n\ttwo\x1b[2J"); n != 12 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	closeQueue(t, q)
	if got, want := sink.String(), `{"level":"INFO","msg":"host","name":"a\u202eb\u009b\u007f"}`+"\none\n\ttwo\\u001b[2J\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A pipe whose reader is gone is an error of the write, for any descriptor but 1 and 2: for those Go ends the process.
func TestADuplicateOutlivesItsReader(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	double, err := DuplicateFile(writer)
	if err != nil {
		t.Fatal(err)
	}
	if double.Fd() == writer.Fd() || double.Fd() < 3 {
		t.Errorf("descriptor %d of %d", double.Fd(), writer.Fd())
	}
	q := newQueue(t, double)
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	q.addAll(t, "a", "b")
	if got := q.Stats().Lost[ReaderClosed]; got != 2 {
		t.Errorf("%d lost, %v", got, q.Stats())
	}
	if err := double.Close(); err != nil {
		t.Error(err)
	}
	if _, err := DuplicateFile(double); !errors.Is(err, os.ErrClosed) && !errors.Is(err, syscall.EBADF) {
		t.Errorf("got %v", err)
	}
}

func openFile(t *testing.T, name string) *File {
	t.Helper()
	file, err := OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFileFollowsItsName(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	q := newQueue(t, openFile(t, name))
	q.addAll(t, "before")
	rename(t, name, name+".1")
	q.addAll(t, "after")
	remove(t, name)
	q.addAll(t, "again")
	rename(t, name, name+".2")
	q.Reopen() // as SIGHUP does, with nothing to write: logrotate may compress the old file now
	flush(t, q)
	if text := read(t, name); text != "" {
		t.Errorf("after Reopen: %q", text)
	}
	if err := os.Truncate(name+".2", 0); err != nil {
		t.Fatal(err)
	}
	q.addAll(t, "last")
	closeQueue(t, q)
	got := map[string]string{"1": read(t, name+".1"), "2": read(t, name+".2"), "": read(t, name)}
	if want := (map[string]string{"1": "before\n", "2": "", "": "last\n"}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// A file that a tool cuts off in place goes on at its start.
func TestFileIsTruncatedInPlace(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	q := newQueue(t, openFile(t, name))
	q.addAll(t, "a")
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}
	q.addAll(t, "b", "cd")
	if err := os.Truncate(name, 3); err != nil { // in the middle of a line
		t.Fatal(err)
	}
	q.addAll(t, "e")
	closeQueue(t, q)
	if got := read(t, name); got != "b\nc\ne\n" {
		t.Errorf("got %q", got)
	}
}

// What a process that was killed has left is not continued.
func TestFileThatEndsInTheMiddleOfALine(t *testing.T) {
	for before, want := range map[string]string{"": "b\n", "a\n": "a\nb\n", "half": "half\nb\n"} {
		name := filepath.Join(t.TempDir(), "audit.log")
		write(t, name, before)
		q := newQueue(t, openFile(t, name))
		q.addAll(t, "b")
		closeQueue(t, q)
		if got := read(t, name); got != want {
			t.Errorf("after %q: got %q, want %q", before, got, want)
		}
	}
}

// What another process has written is not continued either, as after a full disk that both have.
func TestFileOfTwoProcesses(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	q := newQueue(t, openFile(t, name))
	for _, text := range []string{"x\n", "half", "y\n", "half"} {
		q.addAll(t, "a")
		write(t, name, read(t, name)+text)
	}
	q.addAll(t, "b", "c")
	closeQueue(t, q)
	if got, want := read(t, name), "a\nx\na\nhalf\na\ny\na\nhalf\nb\nc\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// As long as the new file cannot be opened, lines go to the old one, and that is seen; when this has no name any
// more, they are lost and counted.
func TestFileThatCannotBeOpenedAgain(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "audit.log")
	q := newQueue(t, openFile(t, name))
	q.addAll(t, "a")
	rename(t, name, name+".1")
	if err := os.Mkdir(name, 0o700); err != nil { // nobody can write to a folder, not even root
		t.Fatal(err)
	}
	q.addAll(t, "b")
	if got := q.Stats(); !errors.Is(got.Err, syscall.EISDIR) || got.AllLost() != 0 {
		t.Errorf("got %+v", got)
	}
	if got := read(t, name+".1"); got != "a\nb\n" {
		t.Errorf("got %q", got)
	}
	remove(t, name+".1")
	q.addAll(t, "c")
	if got := q.Stats(); !errors.Is(got.Err, syscall.EISDIR) || got.Lost[WriteFailed] != 1 {
		t.Errorf("got %+v", got)
	}
	remove(t, name)
	q.addAll(t, "d")
	if got := q.Stats(); got.Err != nil {
		t.Errorf("got %+v", got)
	}
	closeQueue(t, q)
	if got := read(t, name); got != "d\nwrite_failed 1\n" {
		t.Errorf("got %q", got)
	}
}

func TestOpenFileRejects(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		pipe:                            pipe + " is a named pipe without a reader: start its reader first",
		dir:                             "open " + dir + ": is a directory",
		filepath.Join(dir, "none", "f"): "open " + filepath.Join(dir, "none", "f") + ": no such file or directory",
	} {
		if _, err := OpenFile(name); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// The real thing: a device on which each write fails.
func TestFullDevice(t *testing.T) {
	q := newQueue(t, openFile(t, "/dev/full"))
	q.addAll(t, "a", "b")
	if got := q.Stats(); got.Lost[NoSpace] != 2 || got.Written != 0 {
		t.Errorf("got %+v", got)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
