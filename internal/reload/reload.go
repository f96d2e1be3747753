// Package reload keeps a value that is loaded from files, and loads a new one when
// their content changes. Content is compared by hash, not by time or by
// notification: mounted Secrets and ConfigMaps swap symbolic links, and tools
// rewrite files with what they already hold.
//
// A new value replaces the old one as a whole. If it cannot be loaded, the last good one
// stays active and the error is reported, once for each change.
package reload

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/internal/logonce"
)

// Value is the last good value of type T, with the functions that load it.
type Value[T any] struct {
	inputs func() []Input
	load   func() (T, error)
	report func(T, error)

	current atomic.Pointer[state[T]]
	stale   atomic.Pointer[error] // why the present content of the files is not active
	looked  atomic.Int64          // when the last look ended, in nanoseconds since 1970
	again   atomic.Bool           // the next look loads, also if no file has changed
	seen    fingerprint           // of the last attempt
	moving  int                   // looks in a row that found the files changing
}

type state[T any] struct {
	value T
	since time.Time
}

// errMoving is the error of a load during which the files changed.
var errMoving = errors.New("the files changed while they were read")

// moreTries is how often a load begins again at once when the files change during it. Without it, a writer whose changes come as
// regularly as the looks would keep a value from its files for many looks.
const moreTries = 3

// restless is the number of looks in a row after which files that change all the time are an error,
// as when a process keeps writing to one of them.
const restless = 10

// New loads the first value from the files and folders, or returns an error.
// After that, each change is reported: the new value, or the
// error that kept the old one active. report may be nil.
//
// A load that failed is repeated at each look, because the cause may be
// outside the files, unless the error is [Final].
func New[T any](inputs []Input, load func() (T, error), report func(T, error)) (*Value[T], error) {
	return NewFollowing(func() []Input { return inputs }, load, report)
}

// NewFollowing is [New] for files that name other files: inputs is called
// before and after each load. If the load has read other names, it is repeated.
func NewFollowing[T any](inputs func() []Input, load func() (T, error), report func(T, error)) (*Value[T], error) {
	v := Pending(inputs, load, report)
	if err := v.LoadFirst(); err != nil {
		return nil, err
	}
	return v, nil
}

// LoadFirst loads the first value, without a report. It must not run beside [Value.Run] or
// [Value.Poll]. On an error the value stays pending.
func (v *Value[T]) LoadFirst() error {
	value, sum, err := v.loadRestingFiles()
	if err != nil {
		return err
	}
	v.seen = sum
	v.current.Store(&state[T]{value: value, since: time.Now()})
	v.stale.Store(nil)
	v.again.Store(false)
	v.looked.Store(time.Now().UnixNano())
	return nil
}

// ErrPending is the error of a value that was not loaded yet.
var ErrPending = errors.New("not loaded yet")

// Pending is [NewFollowing] without a first value: Get returns the zero value, and
// Err is not nil, until [Value.LoadFirst] or a look has loaded one.
func Pending[T any](inputs func() []Input, load func() (T, error), report func(T, error)) *Value[T] {
	if report == nil {
		report = func(T, error) {}
	}
	v := &Value[T]{inputs: inputs, load: load, report: report}
	v.current.Store(&state[T]{})
	v.stale.Store(&ErrPending)
	v.again.Store(true)
	return v
}

// Final marks an error that the content of the files alone causes: they are not
// loaded again until they change.
func Final(err error) error {
	if err == nil {
		return nil
	}
	return finalError{err}
}

type finalError struct{ error }

func (f finalError) Unwrap() error { return f.error }

// Get returns the active value.
func (v *Value[T]) Get() T { return v.current.Load().value }

// Since is when the active value was loaded; zero: not yet.
func (v *Value[T]) Since() time.Time { return v.current.Load().since }

// Looked is when the last look at the files ended; zero: not yet. A
// look can hang, as at a network mount whose server is away.
func (v *Value[T]) Looked() time.Time {
	if looked := v.looked.Load(); looked != 0 {
		return time.Unix(0, looked)
	}
	return time.Time{}
}

// LoadAgain makes the next look load, also if no file has changed.
func (v *Value[T]) LoadAgain() { v.again.Store(true) }

// Err is nil while the active value is what the files hold now.
func (v *Value[T]) Err() error {
	if err := v.stale.Load(); err != nil {
		return *err
	}
	return nil
}

// Run looks at the files at every interval until the context ends.
func (v *Value[T]) Run(ctx context.Context, interval time.Duration) {
	PollEvery(ctx, interval, v.Poll)
}

// PollEvery calls poll at every interval until the context ends.
func PollEvery(ctx context.Context, interval time.Duration, poll func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			poll()
		}
	}
}

// Poll looks at the files once. It must not run twice at the same time. It can
// hang where the files do; see [Value.Looked].
func (v *Value[T]) Poll() {
	v.lookOnce()
	v.looked.Store(time.Now().UnixNano())
}

func (v *Value[T]) lookOnce() {
	if sum := takeFingerprint(v.inputs()); !v.again.Load() && sum == v.seen && !v.mayRetry() {
		return
	}
	v.again.Store(false)
	value, sum, err := v.loadRestingFiles()
	if !errors.Is(err, errMoving) {
		v.moving = 0
	} else if v.moving++; v.moving < restless {
		v.again.Store(true)
		return // the files may rest at the next look
	}
	if err != nil {
		v.reportFailure(sum, err)
		return
	}
	v.seen = sum
	v.current.Store(&state[T]{value: value, since: time.Now()})
	v.stale.Store(nil)
	v.report(value, nil)
}

// mayRetry reports whether the last load failed and may be repeated.
func (v *Value[T]) mayRetry() bool {
	err := v.Err()
	var final finalError
	return err != nil && !errors.As(err, &final)
}

// reportFailure reports an error once for the content that causes it.
func (v *Value[T]) reportFailure(sum fingerprint, err error) {
	before := v.Err()
	same := sum == v.seen || errors.Is(err, errMoving)
	v.seen = sum
	if same && logonce.SameMessage(before, err) {
		return
	}
	v.stale.Store(&err)
	v.report(v.Get(), err)
}

// loadRestingFiles loads, and begins again at once if the files change during it.
func (v *Value[T]) loadRestingFiles() (value T, sum fingerprint, err error) {
	value, sum, err = v.loadBetweenLooks()
	for range moreTries {
		if !errors.Is(err, errMoving) {
			break
		}
		value, sum, err = v.loadBetweenLooks()
	}
	return value, sum, err
}

// loadBetweenLooks loads between two looks at the content. A value that is made of one
// file before and another after a change is thrown away. So is an error, or
// content that was fixed in the meantime would count as the content that failed.
func (v *Value[T]) loadBetweenLooks() (value T, sum fingerprint, err error) {
	before := takeFingerprint(v.inputs())
	value, err = v.load()
	sum = takeFingerprint(v.inputs())
	if before != sum || missedFile(value, sum) {
		return value, sum, errMoving
	}
	return value, sum, err
}

// missedFile reports whether the load could not read a file that could be read before
// and after it, as when the process had no descriptor left for a moment.
func missedFile(value any, sum fingerprint) bool {
	partial, ok := value.(interface{ Unread() int })
	return ok && partial.Unread() > sum.unread
}
