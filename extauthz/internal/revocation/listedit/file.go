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

// String names the place for people.
func (f File) String() string { return string(f) }

// Change gives the list to change and writes what comes back, nil: nothing. The
// list is nil where there is no file. Two commands at once take turns.
func (f File) Change(change func(*revocation.List) (*revocation.List, error)) error {
	held, err := os.Open(filepath.Dir(string(f)))
	if err != nil {
		return fmt.Errorf("%s: %w", f, err)
	}
	defer held.Close()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", held.Name(), err)
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
