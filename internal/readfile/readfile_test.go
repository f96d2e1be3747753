package readfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/internal/readfile"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// odd is a folder with what is no regular file, beside one that is.
func odd(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.WriteFile(at("file"), []byte("content"), 0o600))
	must(t, syscall.Mkfifo(at("pipe"), 0o600))
	must(t, os.Mkdir(at("folder"), 0o700))
	must(t, os.Mkdir(at("lost+found"), 0o700))
	must(t, os.WriteFile(at("lost+found/inside"), nil, 0o600))
	must(t, os.WriteFile(at("folder/inside"), nil, 0o600))
	listener, err := net.Listen("unix", at("socket"))
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	for name, target := range map[string]string{"link": "file", "link-to-pipe": "pipe", "dangling": "absent", "link-to-folder": "folder", "device": os.DevNull} {
		must(t, os.Symlink(target, at(name)))
	}
	return dir
}

// Without the fix the opening of a pipe never returns.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	dir := odd(t)
	for name, want := range map[string]error{
		"file": nil, "link": nil, "dangling": fs.ErrNotExist, "absent": fs.ErrNotExist,
		"pipe": readfile.ErrNotRegular, "link-to-pipe": readfile.ErrNotRegular, "socket": readfile.ErrNotRegular,
		"device": readfile.ErrNotRegular, "folder": readfile.ErrNotRegular,
	} {
		data, err := readfile.Read(filepath.Join(dir, name), 100)
		_, again := readfile.ReadFS(readfile.FolderFS(dir), name, 100)
		if !errors.Is(err, want) || !errors.Is(again, want) || want == nil && string(data) != "content" {
			t.Errorf("%s: got %q, %v and %v, want %v", name, data, err, again, want)
		}
	}
	_, err := readfile.Read(filepath.Join(dir, "pipe"), 100)
	if want := dir + "/pipe is a named pipe, not a regular file"; err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestNoMoreThanTheLimitIsRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for size, works := range map[int64]bool{1024: true, 1025: false, 1 << 40: false} { // the last one has holes only
		must(t, os.Truncate(file, size))
		data, err := readfile.Read(file, 1024)
		if works && len(data) != int(size) || !works && !errors.Is(err, readfile.ErrTooLarge) {
			t.Errorf("%d bytes: got %d, %v", size, len(data), err)
		}
	}
	must(t, os.Truncate(file, 1025))
	if _, err := readfile.Read(file, 1024); !strings.HasSuffix(err.Error(), "file: too large: at most 1 KiB are read") {
		t.Errorf("got %v", err)
	}
}

func TestWalkVisitsWhatIsWanted(t *testing.T) {
	dir := odd(t)
	for name, row := range map[string]struct {
		wanted func(string) bool
		want   string
	}{
		"everything": {func(string) bool { return true },
			"dangling: absent, device: not regular, file, folder: not regular, folder/inside, link, link-to-folder: linked folder, link-to-pipe: not regular, pipe: not regular, socket: not regular"},
		"some": {func(name string) bool { return name == "file" }, "file, link-to-folder: linked folder"},
	} {
		if got := walk(t, readfile.FolderFS(dir), row.wanted); got != row.want {
			t.Errorf("%s: got %s, want %s", name, got, row.want)
		}
	}
}

func walk(t *testing.T, files fs.FS, wanted func(string) bool) string {
	t.Helper()
	var all []string
	must(t, readfile.Walk(files, wanted, func(e readfile.Entry) {
		text := e.Name
		for name, err := range map[string]error{
			"absent": fs.ErrNotExist, "denied": fs.ErrPermission, "not regular": readfile.ErrNotRegular, "linked folder": readfile.ErrLinkedFolder,
		} {
			if errors.Is(e.Err, err) {
				text += ": " + name
			}
		}
		all = append(all, text)
	}))
	return strings.Join(all, ", ")
}

// closed is a file system with folders that may not be listed.
type closed struct {
	fstest.MapFS
	folder string
}

func (c closed) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == c.folder {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return c.MapFS.ReadDir(name)
}

func TestAFolderThatCannotBeListed(t *testing.T) {
	files := fstest.MapFS{"a": {}, "team/b": {}, "z": {}}
	everything := func(string) bool { return true }
	if got, want := walk(t, closed{files, "team"}, func(name string) bool { return name != "team" }), "a, team: denied, z"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := readfile.Walk(closed{files, "."}, everything, func(readfile.Entry) {}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("the folder itself: got %v", err)
	}
}

func TestVersion(t *testing.T) {
	dir := t.TempDir()
	resolved, err := filepath.EvalSymlinks(dir)
	must(t, err)
	if got := readfile.ResolveVersion(dir); got != resolved {
		t.Errorf("plain: got %s", got)
	}
	must(t, os.Mkdir(filepath.Join(dir, "..v1"), 0o700))
	must(t, os.Symlink("..v1", filepath.Join(dir, "..data")))
	must(t, os.Symlink(dir, dir+"-link"))
	t.Cleanup(func() { _ = os.Remove(dir + "-link") })
	for _, path := range []string{dir, dir + "-link"} {
		if got, want := readfile.ResolveVersion(path), filepath.Join(resolved, "..v1"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if absent := filepath.Join(dir, "absent"); readfile.ResolveVersion(absent) != absent {
		t.Errorf("absent: got %s", fmt.Sprint(readfile.ResolveVersion(absent)))
	}
}
