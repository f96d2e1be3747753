package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/meshpass/meshpass/internal/atomicfile"
)

// unpackPlugins copies the plugins of a folder, and the program self, into dir.
func unpackPlugins(dir, from, self string) (done string, err error) {
	files, err := filepath.Glob(filepath.Join(from, "*.so"))
	if err != nil {
		return "", err
	}
	if len(files) == 0 {
		return "", fmt.Errorf("no plugin in %s: this image was not built by Dockerfile.plugin", from)
	}
	for _, file := range append(files, self) {
		if err := copyFile(file, filepath.Join(dir, filepath.Base(file))); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("unpacked %d plugin(s) into %s", len(files), dir), nil
}

// copyFile writes a new file and renames it, so that a reader sees the whole file or no file. It replaces
// the file of an earlier start of the container.
func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close() // it was only read
	if err := replaceFile(source, to); err != nil {
		return fmt.Errorf("write %s: %w", to, atomicfile.Cause(err))
	}
	return nil
}

func replaceFile(source io.Reader, to string) error {
	target, err := os.CreateTemp(filepath.Dir(to), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(target.Name()) // after the rename there is nothing left to remove
	_, err = io.Copy(target, source)
	if err = errors.Join(err, target.Chmod(0o755), target.Close()); err != nil {
		return err
	}
	return os.Rename(target.Name(), to)
}
