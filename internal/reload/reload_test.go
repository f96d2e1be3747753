package reload_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/meshpass/meshpass/internal/reload"
)

var errBad = errors.New("bad content")

// volume is a folder as Kubernetes mounts a Secret: names are links into a
// hidden folder, and a change swaps one link.
type volume struct {
	t   *testing.T
	dir string
	n   int
}

func newVolume(t *testing.T, content string) *volume {
	v := &volume{t: t, dir: t.TempDir()}
	v.put(content)
	if err := os.Symlink(filepath.Join("..data", "file"), filepath.Join(v.dir, "file")); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *volume) put(content string) {
	v.t.Helper()
	v.n++
	version := "..v" + string(rune('0'+v.n))
	must(v.t, os.Mkdir(filepath.Join(v.dir, version), 0o755))
	must(v.t, os.WriteFile(filepath.Join(v.dir, version, "file"), []byte(content), 0o600))
	next := filepath.Join(v.dir, "..data_tmp")
	must(v.t, os.Symlink(version, next))
	must(v.t, os.Rename(next, filepath.Join(v.dir, "..data")))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (v *volume) load() (string, error) {
	data, err := os.ReadFile(filepath.Join(v.dir, "file"))
	if strings.HasPrefix(string(data), "bad") {
		err = errBad
	}
	return string(data), err
}

func TestTheLastGoodValueStays(t *testing.T) {
	files := newVolume(t, "one")
	var reports []string
	v, err := reload.New(folder(files.dir), files.load, func(value string, err error) {
		reports = append(reports, value+":"+errText(err))
	})
	must(t, err)
	steps := []struct {
		content string // "": left as it is
		want    string
		err     error
		reports string
	}{
		{"", "one", nil, ""},
		{"one", "one", nil, ""},
		{"two", "two", nil, "two:"},
		{"", "two", nil, ""},
		{"bad", "two", errBad, "two:bad content"},
		{"", "two", errBad, ""},
		{"bad again", "two", errBad, "two:bad content"},
		{"two", "two", nil, "two:"},
		{"three", "three", nil, "three:"},
	}
	for i, step := range steps {
		reports = nil
		if step.content != "" {
			files.put(step.content)
		}
		v.Poll()
		if v.Get() != step.want || !errors.Is(v.Err(), step.err) || strings.Join(reports, ",") != step.reports {
			t.Errorf("step %d: got %q, %v, reports %q", i, v.Get(), v.Err(), reports)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestALostFileKeepsTheValue(t *testing.T) {
	files := newVolume(t, "one")
	count := 0
	v, err := reload.New(folder(files.dir), files.load, func(string, error) { count++ })
	must(t, err)
	must(t, os.Remove(filepath.Join(files.dir, "..data")))
	for i := 0; i < 3; i++ {
		v.Poll()
	}
	if v.Get() != "one" || v.Err() == nil || count != 1 {
		t.Errorf("got %q, %v after %d reports", v.Get(), v.Err(), count)
	}
	files.put("two")
	v.Poll()
	if v.Get() != "two" || v.Err() != nil {
		t.Errorf("after it came back: %q, %v", v.Get(), v.Err())
	}
}

func TestAFirstValueThatCannotBeMade(t *testing.T) {
	files := newVolume(t, "bad")
	if v, err := reload.New(folder(files.dir), files.load, nil); v != nil || !errors.Is(err, errBad) {
		t.Errorf("got %v, %v", v, err)
	}
}

// The folder itself may be a link, which is how git-sync swaps whole checkouts.
func TestALinkToTheFolder(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "current")
	lead := func(revision, content string) {
		t.Helper()
		must(t, os.MkdirAll(filepath.Join(dir, revision), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, revision, "file"), []byte(content), 0o600))
		must(t, os.Symlink(revision, link+"_tmp"))
		must(t, os.Rename(link+"_tmp", link))
	}
	load := func() (string, error) {
		data, err := os.ReadFile(filepath.Join(link, "file"))
		return string(data), err
	}
	lead("r1", "one")
	reports := 0
	v, err := reload.New(folder(link), load, func(string, error) { reports++ })
	must(t, err)
	for _, step := range []struct {
		revision, content string
		reports           int
	}{{"r2", "two", 1}, {"r3", "two", 1}, {"r4", "three", 2}} {
		lead(step.revision, step.content)
		v.Poll()
		if v.Get() != step.content || reports != step.reports {
			t.Errorf("%s: got %q after %d reports, want %q after %d", step.revision, v.Get(), reports, step.content, step.reports)
		}
	}
}

// Files that move while the first value is made are read again, and not for ever.
func TestFilesThatMoveAtTheStart(t *testing.T) {
	for moves, works := range map[int]bool{0: true, 1: true, 3: true, 4: false} {
		files := newVolume(t, "0")
		loads := 0
		v, err := reload.New(folder(files.dir), func() (string, error) {
			value, err := files.load()
			if loads++; loads <= moves {
				files.put(string(rune('0' + loads)))
			}
			return value, err
		}, nil)
		if works != (err == nil) || works && v.Get() != string(rune('0'+moves)) {
			t.Errorf("%d moves: got %v, %v", moves, v, err)
		}
	}
}

// A load that saw one file before a change and another after it is thrown away, and the files are read again at once: a writer that
// changes them whenever they are looked at would keep the value from them. After four changes the next look goes on.
func TestAChangeInTheMiddle(t *testing.T) {
	for moves, want := range map[int]string{1: "moved 1", 3: "moved 3", 4: "one"} {
		files := newVolume(t, "one")
		left := 0
		v, err := reload.New(folder(files.dir), func() (string, error) {
			value, err := files.load()
			if left > 0 {
				files.put(fmt.Sprintf("moved %d", moves-left+1))
				left--
			}
			return value, err
		}, nil)
		must(t, err)
		files.put("two")
		left = moves
		v.Poll()
		if v.Get() != want {
			t.Errorf("%d moves: got %q, want %q", moves, v.Get(), want)
		}
		v.Poll()
		if last := fmt.Sprintf("moved %d", moves); v.Get() != last {
			t.Errorf("%d moves, at the next look: got %q, want %q", moves, v.Get(), last)
		}
	}
}

// Content that is fixed while a load of the former content fails is not taken
// for the content that failed.
func TestMendedInTheMiddle(t *testing.T) {
	files := newVolume(t, "one")
	mend := func() {}
	v, err := reload.New(folder(files.dir), func() (string, error) {
		value, err := files.load()
		mend()
		return value, err
	}, nil)
	must(t, err)
	for content, breaks := range map[string]func(){
		"two":   func() { files.put("bad") },
		"three": func() { must(t, os.Remove(filepath.Join(files.dir, "..data"))) },
	} {
		breaks()
		mend = func() { mend = func() {}; files.put(content) }
		v.Poll()
		v.Poll()
		if v.Get() != content || v.Err() != nil {
			t.Errorf("got %q, %v, want %s", v.Get(), v.Err(), content)
		}
	}
}

func TestReadersNeverWait(t *testing.T) {
	files := newVolume(t, "0")
	v, err := reload.New(folder(files.dir), files.load, nil)
	must(t, err)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			last := ""
			for {
				select {
				case <-stop:
					return
				default:
				}
				if value := v.Get(); value < last {
					t.Errorf("%q after %q", value, last)
				} else {
					last = value
				}
			}
		}()
	}
	for i := 1; i < 9; i++ {
		files.put(string(rune('0' + i)))
		v.Poll()
	}
	close(stop)
	wg.Wait()
}

// A file that names the others: those that it names now are followed, and no
// longer those that it named before.
func TestFollowingFilesThatAFileNames(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, content string) { must(t, os.WriteFile(file(name), []byte(content), 0o600)) }
	write("first", "1")
	write("index", "first")
	named, loads := "first", 0
	v, err := reload.NewFollowing(
		func() []reload.Input { return reload.Files(file("index"), file(named)) },
		func() (string, error) {
			loads++
			index, err := os.ReadFile(file("index"))
			must(t, err)
			named = string(index)
			content, err := os.ReadFile(file(named))
			return string(content), err
		}, nil)
	must(t, err)
	for _, step := range []struct{ name, content, want string }{
		{"second", "2", "1"},
		{"index", "second", "2"},
		{"first", "changed", "2"},
		{"second", "3", "3"},
	} {
		write(step.name, step.content)
		v.Poll()
		v.Poll() // the first look may find the other names only
		if v.Get() != step.want || v.Err() != nil {
			t.Errorf("after %s: got %s, %v", step.name, v.Get(), v.Err())
		}
	}
	before := loads
	v.Poll()
	if loads != before {
		t.Error("loaded again without a change")
	}
}

// What is refused for a reason outside the files is taken as soon as that is gone,
// and logged once.
func TestTheReasonIsOutsideTheFiles(t *testing.T) {
	files := newVolume(t, "one")
	outside, reports := error(nil), 0
	v, err := reload.New(folder(files.dir), func() (string, error) {
		value, err := files.load()
		return value, errors.Join(err, outside)
	}, func(string, error) { reports++ })
	must(t, err)
	files.put("two")
	outside = errBad
	for range 3 {
		v.Poll()
	}
	if v.Get() != "one" || !errors.Is(v.Err(), errBad) || reports != 1 {
		t.Errorf("got %q, %v after %d reports", v.Get(), v.Err(), reports)
	}
	outside = nil
	v.Poll()
	if v.Get() != "two" || v.Err() != nil || reports != 2 {
		t.Errorf("fixed: got %q, %v after %d reports", v.Get(), v.Err(), reports)
	}
}

// folder is an input of which every file is read.
func folder(path string) []reload.Input {
	return []reload.Input{{Path: path, Wanted: func(string) bool { return true }}}
}
