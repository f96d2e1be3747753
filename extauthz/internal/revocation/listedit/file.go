package listedit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/shared/revocation"
)

// File is a list in a file.
type File string

// String names the list in messages.
func (f File) String() string { return string(f) }

// Change implements [Store]. The list is nil if the file does not exist. Two commands at
// the same time wait for each other.
func (f File) Change(change func(*revocation.List) (*revocation.List, error)) error {
	dir, err := os.Open(filepath.Dir(string(f)))
	if err != nil {
		return fmt.Errorf("%s: %w", f, err)
	}
	defer dir.Close()
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", dir.Name(), err)
	}
	before, err := revocation.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		before, err = nil, nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f, err)
	}
	after, err := change(before)
	if err != nil || after == nil {
		return err
	}
	return atomicfile.Write(string(f), after.Document(), 0o644)
}
