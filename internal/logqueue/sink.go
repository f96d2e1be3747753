package logqueue

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// reopenSink opens the file of the sink again, if it has one. On an error the open file
// stays in use.
func (q *Queue) reopenSink() {
	file, ok := q.sink.(*File)
	if !ok {
		return
	}
	err := file.Reopen()
	q.mu.Lock()
	defer q.mu.Unlock()
	file.stuck, q.stats.Err = err, err
}

// DuplicateFile returns a second descriptor of an open file. It is for standard output and standard
// error of a process that only hosts this code: Go ends a process that writes to descriptor
// 1 or 2 when the reader is gone, but not for another descriptor.
func DuplicateFile(file *os.File) (*os.File, error) {
	fd, _, failed := syscall.Syscall(syscall.SYS_FCNTL, file.Fd(), syscall.F_DUPFD_CLOEXEC, 3)
	if failed != 0 {
		return nil, fmt.Errorf("duplicate %s: %w", file.Name(), failed)
	}
	return os.NewFile(fd, file.Name()), nil
}

// wholeLines begins a text of whole lines with a newline if the write before has failed in
// the middle of a line.
type wholeLines struct {
	sink io.Writer
	torn bool
}

// Write returns how many bytes of the text itself were written.
func (w *wholeLines) Write(text []byte) (int, error) {
	before := 0
	if w.torn {
		text = append([]byte{'\n'}, text...)
		before = 1
	}
	n, err := w.sink.Write(text)
	if n > 0 {
		w.torn = text[n-1] != '\n'
	}
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	return max(n-before, 0), err
}

// mayBeTorn reports whether a sink is a file that an earlier process may have left in the middle of a line. An additional
// empty line is harmless.
func mayBeTorn(sink io.Writer) bool {
	file, ok := sink.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular() && info.Size() > 0
}

// File is a sink that appends to a file by its name: after a rotation, which renames
// or removes the file, the next line goes to a new one. It is used by one goroutine.
type File struct {
	name  string
	open  *os.File
	info  fs.FileInfo // of open
	stuck error       // why lines still go to a file that no longer has the name
	size  int64       // of the file, unless another program has written to it
	begun bool        // the file was opened, or truncated, and hasBegun has not said so yet
	wholeLines
}

// OpenFile opens the file, or creates it, readable for its owner only. A
// named pipe must have a reader.
func OpenFile(name string) (*File, error) {
	f := &File{name: name}
	if err := f.Reopen(); err != nil {
		return nil, err
	}
	return f, nil
}

// CheckFile returns an error that [OpenFile] would return, without opening or creating the file. Whether a
// named pipe has a reader is not checked.
func CheckFile(name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkAccess(name, filepath.Dir(name), mayWrite|maySearch)
	case err != nil:
		return &fs.PathError{Op: "open", Path: name, Err: errors.Unwrap(err)}
	case info.IsDir():
		return &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	}
	return checkAccess(name, name, mayWrite)
}

// Modes of access(2).
const (
	maySearch = 1
	mayWrite  = 2
)

func checkAccess(name, at string, mode uint32) error {
	if err := syscall.Access(at, mode); err != nil {
		return &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return nil
}

// Reopen opens the file that has the name now. On an error the open file
// stays in use.
func (f *File) Reopen() error {
	// Without O_NONBLOCK the open of a named pipe would wait for a reader, and a write for room in it.
	file, err := os.OpenFile(f.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ENXIO) {
		return fmt.Errorf("%s is a named pipe without a reader: start its reader first", f.name)
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	before := f.open
	f.open, f.info, f.stuck, f.size, f.begun = file, info, nil, info.Size(), true
	f.wholeLines = wholeLines{sink: file, torn: !endsWithNewline(f.name, info)}
	if before != nil {
		return before.Close()
	}
	return nil
}

// endsWithNewline reports whether the next line can be appended as it is: a process
// that was killed, or a full disk, may have left a part of a line.
func endsWithNewline(name string, info fs.FileInfo) bool {
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return true
	}
	file, err := os.Open(name)
	if err != nil {
		return false // an additional empty line is harmless
	}
	defer file.Close()
	last := make([]byte, 1)
	if _, err := file.ReadAt(last, info.Size()-1); err != nil {
		return false
	}
	return last[0] == '\n'
}

// Write appends to the file that has the name now. If that cannot be opened, the line
// goes to the open file, unless it was removed.
func (f *File) Write(line []byte) (int, error) {
	if err := f.followName(); err != nil {
		return 0, err
	}
	return f.appendText(line)
}

// followName opens the file that has the name now, if it is another one. An error means that nothing can be written.
func (f *File) followName() error {
	named, err := os.Stat(f.name)
	if err != nil || !os.SameFile(named, f.info) {
		if f.stuck = f.Reopen(); f.stuck != nil && f.isRemoved() {
			return f.stuck
		}
		return nil
	}
	size := named.Size()
	if !f.info.Mode().IsRegular() || size == f.size {
		return nil
	}
	if size < f.size {
		f.begun = true
	}
	f.size, f.torn = size, !endsWithNewline(f.name, named) // another program has written, perhaps a part of a line
	return nil
}

// appendText is Write to the open file, also after a rename.
func (f *File) appendText(text []byte) (int, error) {
	n, err := f.wholeLines.Write(text)
	f.size += int64(n)
	return n, err
}

// hasBegun reports, once for each time, that the file was opened or truncated.
func (f *File) hasBegun() bool {
	begun := f.begun
	f.begun = false
	return begun
}

// ReadEnd returns the last bytes of the file, at most so many. It is empty if the file is not a regular one.
func (f *File) ReadEnd(most int64) ([]byte, error) {
	if !f.info.Mode().IsRegular() {
		return nil, nil
	}
	file, err := os.Open(f.name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	from := max(info.Size()-most, 0)
	return io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
}

// isRemoved reports whether the open file has no name any more, so that it cannot be read.
func (f *File) isRemoved() bool {
	info, err := f.open.Stat()
	if err != nil {
		return true
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}

// Close closes the file.
func (f *File) Close() error { return f.open.Close() }
