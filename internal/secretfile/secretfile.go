// Package secretfile reads the files that decide a deployment's security: private keys,
// passwords, the secret of pseudonyms, and the plan of signing keys. It
// rejects files that others may read or replace.
//
// "Others" are all users but root, the one that this process runs as, the owner of the
// file, and its group, which is how a gateway that is not root reads a mounted Secret
// (kubelet gives its files to fsGroup, with mode 0440). A file can be replaced by anyone who
// may write one of the folders above it, so each is checked, through all symbolic
// links. A folder that everybody may write is accepted
//
//   - if it is sticky, and the next part of the path in it belongs to us or to root and is not a hard
//     link to a file of ours, which others can make: /tmp is such a folder, and so are the mounts of
//     Secrets, ConfigMaps and projected volumes (mode 1777);
//   - if it is an emptyDir of our own pod (mode 0777, or 1777 in memory): only containers
//     of the pod that mount it can reach it. There, others may also read: Istio's agent
//     writes the workload's key for us with mode 0644 and another user id.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/meshpass/meshpass/internal/readfile"
)

// Kind is the protection that a file must have.
type Kind int

// Secret is the zero Kind, the strictest.
const (
	Secret  Kind = iota // others may neither read nor write it, and its group may not write it
	Trusted             // others may not write it: it is not secret, and it decides which keys we trust
)

func (k Kind) forbiddenMode() (mask fs.FileMode, advice string) {
	if k == Trusted {
		return 0o002, "chmod o-w it"
	}
	return 0o027, "chmod g-w,o= it"
}

// ErrOpen is the error of a file that is open to more users than its owner and group, or is
// below such a folder.
var ErrOpen = errors.New("too many may read or write it")

// Read reads a regular file of at most limit bytes if others can neither read nor
// replace it, as far as its kind requires that. Errors: [ErrOpen], and those of
// [readfile.Read].
func Read(path string, kind Kind, limit int64) ([]byte, error) {
	file, err := openChecked(path, kind)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s: %w: at most %d bytes are read", path, readfile.ErrTooLarge, limit)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// CheckFile is [Read] for a file that another package reads.
func CheckFile(path string, kind Kind) error {
	file, err := openChecked(path, kind)
	if err != nil {
		return err
	}
	return file.Close()
}

// CheckFolder rejects a folder whose files others may replace, in the folder itself or
// in one above it. The files in it are checked when they are read.
func CheckFolder(dir string) error {
	return readPlace().checkPath(filepath.Join(dir, "."))
}

// openChecked checks the mode of the opened file, which no swap of links can exchange.
func openChecked(path string, kind Kind) (*os.File, error) {
	here := readPlace()
	if err := here.checkPath(path); err != nil {
		return nil, err
	}
	file, info, err := readfile.Open(path)
	if err != nil {
		return nil, err
	}
	if err := here.checkMode(path, info, kind); err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return file, nil
}

// ErrOwner is the [ErrOpen] of a file that another user has put, or may have put, into a folder that
// everybody may write.
var ErrOwner = fmt.Errorf("%w: not ours and not root's", ErrOpen)

// place decides who "others" are.
type place struct {
	uid    uint32 // of this process
	mounts mounts
}

func readPlace() place { return place{uint32(os.Geteuid()), readMounts()} }

func (p place) checkMode(path string, info fs.FileInfo, kind Kind) error {
	mask, advice := kind.forbiddenMode()
	if p.isInEmptyDir(path) {
		mask &= 0o002
	}
	if mode := info.Mode().Perm(); mode&mask != 0 {
		return fmt.Errorf("%s has mode %04o: %w: %s, or mount its Secret with defaultMode 0440 and an fsGroup", path, mode, ErrOpen, advice)
	}
	return nil
}

// isInEmptyDir reports whether the file that the path leads to is in an emptyDir of our pod.
func (p place) isInEmptyDir(path string) bool {
	resolved, err := filepath.EvalSymlinks(path)
	return err == nil && p.mounts.isEmptyDirAt(resolved)
}

// maxLinks is the limit of Linux (path_resolution(7)).
const maxLinks = 40

// checkPath follows the path step by step, as the kernel does, and checks every
// folder on the way, including those of symbolic links. It ends at a part that does not exist: the
// caller finds out that the file is missing.
func (p place) checkPath(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return p.walkPath("/", strings.Split(path, "/"), 0)
}

func (p place) walkPath(dir string, rest []string, links int) error {
	for i, name := range rest {
		if name == "" || name == "." {
			continue
		}
		if name == ".." {
			dir = filepath.Dir(dir)
			continue
		}
		next := filepath.Join(dir, name)
		info, err := os.Lstat(next)
		if err != nil {
			return p.checkFolder(dir, nil, next)
		}
		if err := p.checkFolder(dir, info, next); err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(next)
			if err != nil {
				return err
			}
			if links++; links > maxLinks {
				return fmt.Errorf("%s: too many symbolic links", next)
			}
			if filepath.IsAbs(target) {
				dir = "/"
			}
			return p.walkPath(dir, append(strings.Split(target, "/"), rest[i+1:]...), links)
		}
		dir = next
	}
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return p.checkFolder(dir, nil, "")
	}
	return nil
}

// checkFolder checks a folder on the way to next. The info is that of next, and nil if next does not
// exist or is not searched.
func (p place) checkFolder(dir string, info fs.FileInfo, next string) error {
	folder, err := os.Stat(dir)
	if err != nil {
		return err
	}
	mode := folder.Mode()
	switch {
	case mode.Perm()&0o002 == 0, p.mounts.isEmptyDirAt(dir):
		return nil
	case mode&fs.ModeSticky == 0:
		return fmt.Errorf("folder %s has mode %04o: %w, so that others may replace what is in it: chmod o-w it", dir, mode.Perm(), ErrOpen)
	case info == nil:
		return nil // there is no file of another user on the way; files that are read are checked
	}
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return fmt.Errorf("%s is in a folder that everybody may write, and its owner is not known: %w", next, ErrOwner)
	}
	if stat.Uid != 0 && stat.Uid != p.uid {
		return fmt.Errorf("%s is in a folder that everybody may write, and its owner is user %d: %w", next, stat.Uid, ErrOwner)
	}
	if stat.Nlink > 1 && info.Mode().IsRegular() {
		return fmt.Errorf("%s is in a folder that everybody may write, and has a second name (a hard link), so that anybody may have put it there: %w", next, ErrOwner)
	}
	return nil
}
