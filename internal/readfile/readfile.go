// Package readfile reads regular files only, up to a size that the
// caller gives. Opening a named pipe waits for a writer and reading a device may
// never end, so neither is opened: a folder of configuration can be mounted from
// anywhere, and other files in it must not stop a process that reads it.
package readfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Why a file is not read.
var (
	ErrNotRegular = errors.New("not a regular file")
	ErrTooLarge   = errors.New("too large")
)

// Open opens a regular file, through symbolic links. The kind is checked before
// the opening, because opening a device can have an effect, and again on the
// opened file, which cannot be exchanged. O_NONBLOCK keeps a named pipe that was
// put there in between from blocking. The info is that of the opened file. Errors:
// [ErrNotRegular], or those of os.Open.
func Open(name string) (*os.File, fs.FileInfo, error) {
	return openWanted(name, fs.FileMode.IsRegular)
}

func openWanted(name string, wanted func(fs.FileMode) bool) (*os.File, fs.FileInfo, error) {
	if info, err := os.Stat(name); err == nil && !wanted(info.Mode()) {
		return nil, nil, newNotRegular(name, info.Mode())
	}
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !wanted(info.Mode()) {
		err = newNotRegular(name, info.Mode())
	}
	if err != nil {
		_ = file.Close() // nothing was written
		return nil, nil, err
	}
	return file, info, nil
}

// Read returns the content of a regular file of at most limit bytes. Errors:
// [ErrNotRegular], [ErrTooLarge], or those of os.ReadFile.
func Read(name string, limit int64) ([]byte, error) {
	file, _, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readBounded(file, name, limit)
}

// ReadFS is [Read] for a file of a file system such as [FolderFS].
func ReadFS(files fs.FS, name string, limit int64) ([]byte, error) {
	file, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, newNotRegular(name, info.Mode())
	}
	return readBounded(file, name, limit)
}

// readBounded reads one byte more than the limit, because the file may have grown since its size
// was read.
func readBounded(from io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: %w: at most %s are read", name, ErrTooLarge, formatSize(limit))
	}
	return data, nil
}

func formatSize(bytes int64) string {
	if bytes >= 1<<20 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}

func newNotRegular(name string, mode fs.FileMode) error {
	return fmt.Errorf("%s is %s, %w", name, describeMode(mode), ErrNotRegular)
}

func describeMode(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "not a file of data"
}

// ResolveVersion returns the folder to which a path leads now. A mounted ConfigMap or Secret has a
// link, ..data, to the folder of one version, and tools such as git-sync make the
// folder itself a link. Files below the result are all of one version. If
// no link can be resolved, it is the path itself.
func ResolveVersion(path string) string {
	root := path
	for _, link := range []string{path, filepath.Join(path, "..data")} {
		if version, err := filepath.EvalSymlinks(link); err == nil {
			root = version
		}
	}
	return root
}

// FolderFS is a folder of the file system. Only regular files and folders in it can be
// opened. Like os.DirFS it follows symbolic links, also those that lead out of it.
func FolderFS(root string) fs.FS { return folder(root) }

type folder string

// Open implements [fs.FS].
func (f folder) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	file, _, err := openWanted(filepath.Join(string(f), filepath.FromSlash(name)), func(mode fs.FileMode) bool {
		return mode.IsRegular() || mode.IsDir()
	})
	if err != nil {
		return nil, err
	}
	return file, nil
}

// Stat implements [fs.StatFS]; nothing is opened.
func (f folder) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	return os.Stat(filepath.Join(string(f), filepath.FromSlash(name)))
}

// ReadDir implements [fs.ReadDirFS].
func (f folder) ReadDir(name string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return os.ReadDir(filepath.Join(string(f), filepath.FromSlash(name)))
}
