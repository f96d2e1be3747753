package secretfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/meshpass/meshpass/internal/readfile"
)

const (
	us     = 1000
	root   = 0
	nobody = 65534
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func folder(t *testing.T, dir string, mode fs.FileMode) string {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.Chmod(dir, mode))
	return dir
}

func file(t *testing.T, path string, mode fs.FileMode) string {
	t.Helper()
	must(t, os.WriteFile(path, []byte("secret"), 0o600))
	must(t, os.Chmod(path, mode))
	return path
}

func TestModesOfFiles(t *testing.T) {
	dir := t.TempDir()
	for _, row := range []struct {
		mode            fs.FileMode
		secret, trusted bool
	}{
		{0o600, true, true}, {0o400, true, true}, {0o640, true, true}, {0o440, true, true}, {0o660, false, true}, {0o644, false, true},
		{0o604, false, true}, {0o602, false, false}, {0o666, false, false}, {0o601, false, true}, {0o777, false, false},
	} {
		path := file(t, filepath.Join(dir, "file"), row.mode)
		for kind, want := range map[Kind]bool{Secret: row.secret, Trusted: row.trusted} {
			data, err := Read(path, kind, 6)
			if (err == nil) != want || err != nil && !errors.Is(err, ErrOpen) || err == nil && string(data) != "secret" {
				t.Errorf("%04o, kind %d: got %q, %v", row.mode, kind, data, err)
			}
			if _, err := Read(path, kind, 5); want && !errors.Is(err, readfile.ErrTooLarge) {
				t.Errorf("a byte too much: %v", err)
			}
			if got := CheckFile(path, kind); (got == nil) != want {
				t.Errorf("%04o, kind %d: checked %v", row.mode, kind, got)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error quotes the file: %v", err)
			}
		}
	}
}

// What is no file is rejected at once: a pipe would wait for its writer.
func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	for name, want := range map[string]error{"pipe": readfile.ErrNotRegular, ".": readfile.ErrNotRegular, "absent": fs.ErrNotExist, "absent/file": fs.ErrNotExist} {
		if _, err := Read(filepath.Join(dir, name), Secret, 6); !errors.Is(err, want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Others must not be able to replace the file, by any folder on the way, also those of
// symbolic links.
func TestFolders(t *testing.T) {
	for _, row := range []struct {
		name string
		make func(t *testing.T, dir string) (path string)
		open string // the folder or file that the error names; empty: accepted
	}{
		{"a usual folder", func(t *testing.T, dir string) string { return file(t, filepath.Join(dir, "f"), 0o600) }, ""},
		{"everybody may write it", func(t *testing.T, dir string) string {
			return file(t, filepath.Join(folder(t, filepath.Join(dir, "d"), 0o777), "f"), 0o600)
		}, "d"},
		{"the one above", func(t *testing.T, dir string) string {
			folder(t, filepath.Join(dir, "d", "e"), 0o755)
			path := file(t, filepath.Join(dir, "d", "e", "f"), 0o600)
			folder(t, filepath.Join(dir, "d"), 0o777)
			return path
		}, "d"},
		{"the group may write it", func(t *testing.T, dir string) string {
			return file(t, filepath.Join(folder(t, filepath.Join(dir, "d"), 0o775), "f"), 0o600)
		}, ""},
		{"by a link from a folder of everybody's", func(t *testing.T, dir string) string {
			file(t, filepath.Join(dir, "f"), 0o600)
			link := filepath.Join(folder(t, filepath.Join(dir, "d"), 0o777), "link")
			must(t, os.Symlink("../f", link))
			return link
		}, "d"},
		{"by a link into one", func(t *testing.T, dir string) string {
			path := file(t, filepath.Join(folder(t, filepath.Join(dir, "d"), 0o777), "f"), 0o600)
			must(t, os.Symlink(path, filepath.Join(dir, "link")))
			return filepath.Join(dir, "link")
		}, "d"},
		{"sticky, ours", func(t *testing.T, dir string) string {
			return file(t, filepath.Join(folder(t, filepath.Join(dir, "d"), 0o777|fs.ModeSticky), "f"), 0o600)
		}, ""},
		{"sticky, a hard link to a file of ours", func(t *testing.T, dir string) string {
			link := filepath.Join(folder(t, filepath.Join(dir, "d"), 0o777|fs.ModeSticky), "f")
			must(t, os.Link(file(t, filepath.Join(dir, "f"), 0o600), link))
			return link
		}, "d/f"},
		{"a hard link elsewhere", func(t *testing.T, dir string) string {
			must(t, os.Link(file(t, filepath.Join(dir, "f"), 0o600), filepath.Join(dir, "g")))
			return filepath.Join(dir, "g")
		}, ""},
		{"a mounted Secret", func(t *testing.T, dir string) string {
			volume := folder(t, filepath.Join(dir, "d"), 0o777|fs.ModeSticky)
			file(t, filepath.Join(folder(t, filepath.Join(volume, "..2026_06_01"), 0o755), "f"), 0o440)
			must(t, os.Symlink("..2026_06_01", filepath.Join(volume, "..data")))
			must(t, os.Symlink("..data/f", filepath.Join(volume, "f")))
			return filepath.Join(volume, "f")
		}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Read(row.make(t, dir), Secret, 6)
			if (err == nil) != (row.open == "") || err != nil && (!errors.Is(err, ErrOpen) || !strings.Contains(err.Error(), filepath.Join(dir, row.open)+" ")) {
				t.Errorf("got %v", err)
			}
		})
	}
	dir := t.TempDir()
	must(t, os.Symlink("b", filepath.Join(dir, "a")))
	must(t, os.Symlink("a", filepath.Join(dir, "b")))
	if _, err := Read(filepath.Join(dir, "a"), Secret, 6); err == nil || !strings.Contains(err.Error(), "too many symbolic links") {
		t.Errorf("links in a circle: %v", err)
	}
}

// A key folder is checked before there is a file in it.
func TestAKeyFolder(t *testing.T) {
	dir := t.TempDir()
	for mode, accepted := range map[fs.FileMode]bool{0o700: true, 0o755: true, 0o777: false, 0o777 | fs.ModeSticky: true, 0o770: true} {
		folder(t, filepath.Join(dir, "keys"), mode)
		if err := CheckFolder(filepath.Join(dir, "keys")); (err == nil) != accepted || err != nil && !errors.Is(err, ErrOpen) {
			t.Errorf("%v: got %v", mode, err)
		}
	}
	if err := CheckFolder(filepath.Join(dir, "absent")); err != nil {
		t.Errorf("absent: %v", err)
	}
}

// owned is what Lstat says of something of that owner.
type owned struct {
	fs.FileInfo
	uid uint32
}

func (o owned) Sys() any { return &syscall.Stat_t{Uid: o.uid} }

// In a sticky folder everybody can leave files: only ours and root's count.
func TestOwnersInAStickyFolder(t *testing.T) {
	dir := folder(t, filepath.Join(t.TempDir(), "d"), 0o777|fs.ModeSticky)
	for owner, accepted := range map[uint32]bool{us: true, root: true, nobody: false, us + 1: false} {
		err := place{uid: us}.checkFolder(dir, owned{uid: owner}, filepath.Join(dir, "f"))
		if (err == nil) != accepted || err != nil && !(errors.Is(err, ErrOpen) && errors.Is(err, ErrOwner)) {
			t.Errorf("owner %d: got %v", owner, err)
		}
	}
}

// mountinfo is that of a container with an emptyDir on disk, one in memory, a Secret and
// a folder of the node.
const mountinfo = `
1000 900 0:100 / / rw,relatime master:1 - overlay overlay rw
1001 1000 0:101 / /proc rw - proc proc rw
1002 1000 8:1 /var/lib/kubelet/pods/0b/volumes/kubernetes.io~empty-dir/disk DIR/disk rw - ext4 /dev/sda1 rw
1003 1000 0:102 / DIR/memory rw,relatime - tmpfs tmpfs rw,size=1k
1004 1000 0:103 / DIR/secret ro,relatime - tmpfs tmpfs rw
1005 1000 8:1 /srv/keys DIR/node rw - ext4 /dev/sda1 rw
1006 1000 0:104 /sub DIR/part rw - tmpfs tmpfs rw
1007 1000 0:105 / DIR/with\040space rw - tmpfs tmpfs rw
garbage
`

// In an emptyDir of our pod, others are the containers that mount it.
func TestEmptyDirs(t *testing.T) {
	dir := t.TempDir()
	p := place{uid: us, mounts: parseMounts(strings.ReplaceAll(mountinfo, "DIR", dir))}
	for name, want := range map[string]bool{"disk": true, "memory": true, "secret": false, "node": false, "part": false, "with space": true, "image": false, "memory-2": false} {
		volume := folder(t, filepath.Join(dir, name), 0o777)
		if name == "secret" {
			must(t, os.Symlink("..2026", filepath.Join(volume, "..data")))
		}
		path := file(t, filepath.Join(volume, "key.pem"), 0o644)
		info, err := os.Stat(path)
		must(t, err)
		if err := p.checkPath(path); (err == nil) != want {
			t.Errorf("%s: the path: %v", name, err)
		}
		if err := p.checkMode(path, info, Secret); (err == nil) != want {
			t.Errorf("%s: the mode: %v", name, err)
		}
		must(t, os.Chmod(path, 0o646))
		info, err = os.Stat(path)
		must(t, err)
		if err := p.checkMode(path, info, Secret); err == nil {
			t.Errorf("%s: everybody may write it", name)
		}
	}
}

// Outside a pod a tmpfs is no exception.
func TestNoPod(t *testing.T) {
	t.Setenv(inPod, "")
	if got := readMounts(); got != nil {
		t.Errorf("got %v", got)
	}
	t.Setenv(inPod, "10.96.0.1")
	if got := readMounts(); len(got) == 0 {
		t.Error("no mounts")
	}
}
