// Package reload keeps a value that is made from files, and makes it anew when
// their content changes. Content is compared by hash, not by time or by
// notification: mounted Secrets and ConfigMaps swap symbolic links, and tools
// rewrite files with what they already hold.
//
// A new value is swapped in whole. Where it cannot be made, the last good one
// stays in force and the error is reported, once for each change.
package reload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// Value is the current good value of type T, and what made it.
type Value[T any] struct {
	paths  func() []string
	load   func() (T, error)
	report func(T, error)

	current atomic.Pointer[state[T]]
	stale   atomic.Pointer[error] // why the files' present content is not in force
	again   atomic.Bool           // LoadAgain was called
	seen    [sha256.Size]byte     // content of the last attempt
}

type state[T any] struct {
	value T
	since time.Time
}

// errMoving says that the files changed while they were read.
var errMoving = errors.New("the files changed while they were read")

// firstTries is how often New begins again when the files move under it; a later
// look simply waits for the next one.
const firstTries = 3

// New makes the first value from the files and folders; its error is the
// caller's to act on. After that, each change is reported: the new value, or the
// error that kept the old one in force. report may be nil.
func New[T any](paths []string, load func() (T, error), report func(T, error)) (*Value[T], error) {
	return NewFollowing(func() []string { return paths }, load, report)
}

// NewFollowing is [New] for files of which one names the others: paths is asked
// before and after each load, which may have read other names, and then loads again.
func NewFollowing[T any](paths func() []string, load func() (T, error), report func(T, error)) (*Value[T], error) {
	if report == nil {
		report = func(T, error) {}
	}
	v := &Value[T]{paths: paths, load: load, report: report}
	value, sum, err := v.attempt()
	for range firstTries {
		if !errors.Is(err, errMoving) {
			break
		}
		value, sum, err = v.attempt()
	}
	if err != nil {
		return nil, err
	}
	v.seen = sum
	v.current.Store(&state[T]{value: value, since: time.Now()})
	return v, nil
}

// Get gives the value in force.
func (v *Value[T]) Get() T { return v.current.Load().value }

// Since says when the value in force was made.
func (v *Value[T]) Since() time.Time { return v.current.Load().since }

// Err is nil while the value in force is made from what the files hold now.
func (v *Value[T]) Err() error {
	if err := v.stale.Load(); err != nil {
		return *err
	}
	return nil
}

// Run looks at the files at every interval until the context ends.
func (v *Value[T]) Run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			v.Poll()
		}
	}
}

// LoadAgain makes the next look load again though no file has changed, for a value that
// depends on more than its files.
func (v *Value[T]) LoadAgain() { v.again.Store(true) }

// Poll looks at the files once. It must not run twice at the same time.
func (v *Value[T]) Poll() {
	again := v.again.Swap(false)
	sum, err := fingerprint(v.paths())
	if err == nil && sum == v.seen && v.Err() == nil && !again {
		return // what was refused is tried again: the cause may lie outside the files
	}
	value, sum, err := v.attempt()
	if errors.Is(err, errMoving) {
		v.again.CompareAndSwap(false, again)
		return // the next look will find them at rest
	}
	if err != nil {
		v.fail(sum, err)
		return
	}
	v.seen = sum
	v.current.Store(&state[T]{value: value, since: time.Now()})
	v.stale.Store(nil)
	v.report(value, nil)
}

// fail reports an error once for the content that causes it.
func (v *Value[T]) fail(sum [sha256.Size]byte, err error) {
	before := v.Err()
	if before != nil && sum == v.seen && before.Error() == err.Error() {
		return
	}
	v.seen = sum
	v.stale.Store(&err)
	v.report(v.Get(), err)
}

// attempt loads between two looks at the content: a value that is made of one
// file before and another after a change is thrown away, and so is an error, or
// content that was mended meanwhile would pass for the content that failed.
func (v *Value[T]) attempt() (value T, sum [sha256.Size]byte, err error) {
	before, beforeErr := fingerprint(v.paths())
	value, err = v.load()
	after, afterErr := fingerprint(v.paths())
	switch {
	case (beforeErr == nil) != (afterErr == nil), afterErr == nil && !bytes.Equal(before[:], after[:]):
		return value, after, errMoving
	case err != nil:
		return value, after, err
	case beforeErr != nil || afterErr != nil:
		return value, after, errors.Join(beforeErr, afterErr)
	}
	return value, after, nil
}

// fingerprint hashes names, permissions and content of all files at and below the paths.
// Hidden names are passed over: a mounted volume keeps its versions in them.
func fingerprint(paths []string) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	for i, path := range paths {
		// A walk does not follow a link that it starts from, and whole folders are
		// swapped by such a link too (git-sync).
		root, err := filepath.EvalSymlinks(path)
		if err != nil {
			return sum, err
		}
		fmt.Fprintf(h, "%d\x00", i)
		if err := hashTree(h, root); err != nil {
			return sum, err
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// hashTree names files from the root down, so that the same content in another
// folder, where a link now leads, is no change.
func hashTree(h hash.Hash, root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != root && strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Stat(path) // through the symbolic links of a mounted volume
		if err != nil || info.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		// A private key that everyone may read is refused: chmod mends that, and content stays.
		fmt.Fprintf(h, "%s\x00%o\x00%d\x00", strings.TrimPrefix(path, root), info.Mode().Perm(), len(data))
		h.Write(data)
		return err
	})
}
