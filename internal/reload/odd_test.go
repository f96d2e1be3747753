package reload_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/reload"
)

// texts is a folder of which only *.txt is read.
func texts(dir string) []reload.Input {
	return []reload.Input{{Path: dir, Wanted: func(name string) bool { return strings.HasSuffix(name, ".txt") }}}
}

// What the loading does not read is neither opened nor a change. Without the fix the
// first look at a pipe never ends.
func TestWhatIsNotReadIsNotLookedAt(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.WriteFile(at("a.txt"), []byte("one"), 0o600))
	must(t, syscall.Mkfifo(at("pipe"), 0o600))
	must(t, syscall.Mkfifo(at("pipe.txt"), 0o600))
	must(t, os.Symlink("absent", at("README")))
	must(t, os.Mkdir(at("lost+found"), 0))
	loads := 0
	load := func() (string, error) {
		loads++
		data, err := os.ReadFile(at("a.txt"))
		return string(data), err
	}
	v, err := reload.New(texts(dir), load, nil)
	must(t, err)
	must(t, os.WriteFile(at("notes"), nil, 0o600))
	must(t, os.Truncate(at("notes"), 1<<40)) // holes, which take no space
	must(t, os.Symlink("absent", at("another")))
	v.Poll()
	if loads != 1 {
		t.Errorf("loaded %d times without a change of what is read", loads)
	}
	must(t, os.WriteFile(at("a.txt"), []byte("two"), 0o600))
	v.Poll()
	if v.Get() != "two" || v.Err() != nil {
		t.Errorf("got %q, %v", v.Get(), v.Err())
	}
	must(t, os.Remove(at("pipe.txt")))
	v.Poll()
	if loads != 3 {
		t.Error("what could not be read is gone, and nothing is loaded")
	}
}

// What is rejected by its content is not loaded again until that changes.
func TestWhatIsRejectedIsNotLoadedAgain(t *testing.T) {
	files := newVolume(t, "one")
	loads, reports := 0, 0
	v, err := reload.New(folder(files.dir), func() (string, error) {
		loads++
		value, err := files.load()
		return value, reload.Final(err)
	}, func(string, error) { reports++ })
	must(t, err)
	files.put("bad")
	for range 5 {
		v.Poll()
	}
	if loads != 2 || reports != 1 || !errors.Is(v.Err(), errBad) {
		t.Errorf("%d loads, %d reports, %v", loads, reports, v.Err())
	}
	files.put("two")
	v.Poll()
	if v.Get() != "two" || v.Err() != nil || loads != 3 {
		t.Errorf("fixed: got %q, %v after %d loads", v.Get(), v.Err(), loads)
	}
	if reload.Final(nil) != nil {
		t.Error("no error is one")
	}
}

// A look that hangs shows by its age, and the watcher ends when it is asked to.
func TestALookThatHangs(t *testing.T) {
	files := newVolume(t, "one")
	hang, hangs := make(chan struct{}), make(chan struct{})
	loads := 0
	v, err := reload.New(folder(files.dir), func() (string, error) {
		if loads++; loads == 2 {
			close(hangs)
			<-hang
		}
		return files.load()
	}, nil)
	must(t, err)
	before := v.Looked()
	if time.Since(before) > time.Minute {
		t.Errorf("the first look was at %v", before)
	}
	v.Poll()
	if !v.Looked().After(before) {
		t.Error("a look leaves no time")
	}
	before = v.Looked()
	files.put("two")
	ended := make(chan struct{})
	go func() { v.Poll(); close(ended) }()
	<-hangs
	if !v.Looked().Equal(before) || v.Get() != "one" {
		t.Errorf("while it hangs: looked at %v, not %v; %q", v.Looked(), before, v.Get())
	}
	close(hang)
	<-ended
	if !v.Looked().After(before) || v.Get() != "two" {
		t.Errorf("afterwards: looked at %v; %q", v.Looked(), v.Get())
	}
}

// partly is a value of which a part could not be read.
type partly struct{ unread int }

func (p partly) Unread() int { return p.unread }

// A file that could not be read for a moment, between two looks that could, is read
// again, although nothing has changed.
func TestAFileThatCouldNotBeReadForAMoment(t *testing.T) {
	files := newVolume(t, "one")
	unread := 0
	v, err := reload.New(folder(files.dir), func() (partly, error) { return partly{unread}, nil }, nil)
	must(t, err)
	unread = 1
	files.put("two")
	v.Poll()
	if v.Err() != nil || v.Get().unread != 0 {
		t.Errorf("got %+v, %v", v.Get(), v.Err())
	}
	since := v.Since()
	unread = 0
	v.Poll()
	if v.Since().Equal(since) {
		t.Error("not loaded again")
	}
}

// Files that change at every look are an error, and not silence.
func TestFilesThatNeverRest(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "log.txt")
	must(t, os.WriteFile(file, nil, 0o600))
	busy, reports := false, 0
	v, err := reload.New(texts(dir), func() (int, error) {
		if busy {
			info, err := os.Stat(file)
			must(t, err)
			must(t, os.Truncate(file, info.Size()+1))
		}
		return 0, nil
	}, func(int, error) { reports++ })
	must(t, err)
	must(t, os.Truncate(file, 1))
	busy = true
	for range 30 {
		v.Poll()
	}
	if v.Err() == nil || reports != 1 {
		t.Errorf("got %v after %d reports", v.Err(), reports)
	}
	busy = false
	v.Poll()
	if v.Err() != nil {
		t.Errorf("at rest: %v", v.Err())
	}
}

func TestAPendingValue(t *testing.T) {
	files := newVolume(t, "bad")
	reports := 0
	v := reload.Pending(func() []reload.Input { return folder(files.dir) }, files.load, func(string, error) { reports++ })
	if v.Get() != "" || !errors.Is(v.Err(), reload.ErrPending) || !v.Since().IsZero() || !v.Looked().IsZero() {
		t.Errorf("got %q, %v, %v", v.Get(), v.Err(), v.Since())
	}
	v.Poll()
	if !errors.Is(v.Err(), errBad) || reports != 1 {
		t.Errorf("got %v after %d reports", v.Err(), reports)
	}
	files.put("good")
	v.Poll()
	if v.Get() != "good" || v.Err() != nil || v.Since().IsZero() {
		t.Errorf("got %q, %v", v.Get(), v.Err())
	}
	v.LoadAgain()
	v.Poll()
	if reports != 3 {
		t.Errorf("%d reports, want 3", reports)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	v.Run(ctx, time.Hour)
}
