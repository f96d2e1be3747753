package policy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/lint"
	"github.com/meshpass/meshpass/shared/policy/source"
)

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// oddities creates entries that are no documents. It gives the names that are reported.
func oddities(t *testing.T, dir string) (names []string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		syscall.Mkfifo(at("pipe"), 0o600), syscall.Mkfifo(at("pipe.yaml"), 0o600), os.Symlink("absent", at("README")),
		os.Symlink("absent", at("dangling.yaml")), os.Symlink("pipe", at("link.yaml")), os.Symlink(os.DevNull, at("device.yaml")),
		os.Mkdir(at("lost+found"), 0o700), os.WriteFile(at("lost+found/x.yaml"), []byte("broken: ["), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	put(t, dir, "huge.bin", "")
	if err := os.Truncate(at("huge.bin"), 1<<40); err != nil { // holes, which take no space
		t.Fatal(err)
	}
	return []string{"dangling.yaml", "device.yaml", "link.yaml", "pipe.yaml"}
}

// A folder may hold anything beside documents. The load does not hang, and other documents
// are not denied. An entry with the name of a document that is no file is reported.
func TestWhatIsNoDocumentIsPassedOver(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a.yaml", guarding("a", aTarget, "first"))
	want := oddities(t, dir)
	loader := source.Loader{Memory: new(source.Memory)}
	start := loader.LoadEach(nil, source.OSDir(dir))
	put(t, dir, "a.yaml", guarding("a", aTarget, "second"))
	later := loader.LoadEach(start.Set, source.OSDir(dir))
	for rule, loaded := range map[string]source.Loaded{"first": start, "second": later} {
		if got := describe(loaded.Set.Decide(request(callee(aTarget)), alice(nil))); got != "allow rule_allowed a/"+rule {
			t.Errorf("%s: got %s", rule, got)
		}
		var told []string
		for _, r := range loaded.Rejected {
			told = append(told, filepath.Base(r.File))
			if r.Denied {
				t.Errorf("%s denies", r.File)
			}
		}
		if strings.Join(told, " ") != strings.Join(want, " ") || len(loaded.Problems) != len(want) || loaded.Unread() != len(want) {
			t.Errorf("reported %v, %v; want %v", told, loaded.Problems, want)
		}
	}
	if _, warnings := lint.Run(loader, source.OSDir(dir)); len(warnings) == 0 {
		t.Error("lint has not looked at the document")
	}
}

// A document whose file becomes a pipe or a folder stays active. Others can be removed.
func TestADocumentWhoseFileIsNoneAnyMore(t *testing.T) {
	for name, replace := range map[string]func(path string) error{
		"a pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) { testAFileThatIsReplaced(t, replace) })
	}
}

func testAFileThatIsReplaced(t *testing.T, replace func(path string) error) {
	dir := t.TempDir()
	put(t, dir, "a.yaml", guarding("a", aTarget, "first"))
	put(t, dir, "b.yaml", guarding("b", bTarget, "first"))
	put(t, dir, "c.yaml", guarding("c", "ns/c/sa/c", "first"))
	before := source.Loader{}.LoadEach(nil, source.OSDir(dir))
	for _, name := range []string{"b.yaml", "c.yaml"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := replace(filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	after := source.Loader{}.LoadEach(before.Set, source.OSDir(dir))
	for workload, want := range map[string]string{aTarget: "allow rule_allowed a/first", bTarget: "allow rule_allowed b/first", "ns/c/sa/c": "deny unguarded"} {
		if got := strings.TrimSpace(describe(after.Set.Decide(request(callee(identity.Workload(workload))), alice(nil)))); got != want {
			t.Errorf("%s: got %s, want %s", workload, got, want)
		}
	}
}

// barred is a file system with a name that may not be read.
type barred struct {
	fstest.MapFS
	name string
}

func (b barred) Open(name string) (fs.File, error) {
	if name == b.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return b.MapFS.Open(name)
}

func (b barred) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == b.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return b.MapFS.ReadDir(name)
}

// The content of a file or folder without read permission is not known. After a start its
// documents stay as they were. At a start, all its possible targets are denied. All other
// documents follow their files.
func TestWhatMayNotBeRead(t *testing.T) {
	tree := fstest.MapFS{"a.yaml": {Data: []byte(guarding("a", aTarget, "first"))}, "team/b.yaml": {Data: []byte(guarding("b", bTarget, "first"))}, "notes/x": {}}
	load := func(previous *policy.Set, name string) source.Loaded {
		return source.Loader{}.LoadEach(previous, source.Dir{Name: "p", Files: barred{tree, name}, MayTarget: []string{"ns/b/sa/*", "ns/a/sa/*"}})
	}
	before := load(nil, "")
	tree["a.yaml"] = &fstest.MapFile{Data: []byte(guarding("a", aTarget, "second"))}
	for _, name := range []string{"team", "team/b.yaml"} {
		later, start := load(before.Set, name), load(nil, name)
		for workload, want := range map[string]string{aTarget: "allow rule_allowed a/second", bTarget: "allow rule_allowed b/first"} {
			if got := describe(later.Set.Decide(request(callee(identity.Workload(workload))), alice(nil))); got != want {
				t.Errorf("%s, later: got %s, want %s", name, got, want)
			}
			if got, want := describe(start.Set.Decide(request(callee(identity.Workload(workload))), alice(nil))), "deny policy_refused p/"+name+"/"; got != want {
				t.Errorf("%s, at a start: got %s, want %s", name, got, want)
			}
		}
		if later.Unread() != 1 || len(later.Rejected) != 1 || later.Rejected[0].Denied || !start.Rejected[0].Denied {
			t.Errorf("%s: unread %d, refused %v and %v", name, later.Unread(), later.Rejected, start.Rejected)
		}
	}
}

func TestFoldersThatOverlap(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a/b", "ab", "..hidden"} {
		if err := os.MkdirAll(at(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(at("a/b"), at("link")); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"a", "a", true}, {"a", "a/b", true}, {"a/b", "a", true}, {"link", "a", true}, {"link", "a/b/../b", true}, {".", "..hidden", true},
		{"a", "ab", false}, {"link", "ab", false}, {"a/b", "ab", false}, {"absent", "a", false},
	} {
		if got := source.FoldersOverlap(at(row.a), at(row.b)); got != row.want {
			t.Errorf("%s and %s: got %t", row.a, row.b, got)
		}
	}
}
