// Package atomicfile replaces files so that a reader sees, and a crash leaves, the old
// content or the new one, never a mixture.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Prefix begins the names of files that are being written. A file with it that remains
// was cut off, and is never read.
const Prefix = ".new-"

// Write replaces the content of the file. An existing file keeps its permissions,
// so that a rewrite never shows it to more readers or fewer;
// a new file gets perm. An error names path.
func Write(path string, data []byte, perm fs.FileMode) error {
	if err := replaceFile(path, data, perm); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: Cause(err)}
	}
	return nil
}

// Cause returns an error of package os without the name of the file: the name of a temporary
// file does not help people.
func Cause(err error) error {
	var ofPath *fs.PathError
	var ofLink *os.LinkError
	switch {
	case errors.As(err, &ofPath):
		return ofPath.Err
	case errors.As(err, &ofLink):
		return ofLink.Err
	}
	return err
}

func replaceFile(path string, data []byte, perm fs.FileMode) error {
	if info, err := os.Stat(path); err == nil {
		perm = info.Mode().Perm()
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), Prefix+"*") // created with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // after the rename there is nothing left to remove
	if err := writeAndSync(temporary, data, perm); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}

func writeAndSync(file *os.File, data []byte, perm fs.FileMode) error {
	_, err := file.Write(data)
	if err == nil {
		err = file.Chmod(perm)
	}
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}
