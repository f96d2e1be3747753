// Package panics keeps a panic in a goroutine of the plugin from ending the gateway. Tyk recovers
// panics only in hooks.
package panics

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"
)

// maxPause is the longest time between two attempts of a step that panics each time.
const maxPause = time.Minute

// Task is a step that runs in a goroutine of the plugin.
type Task struct {
	Name  string // of the goroutine, in logs and metrics
	Step  func()
	Count func(name string) // counts a panic
	Log   *slog.Logger
}

// Run does the step once. It reports whether the step ended without a panic.
func (t Task) Run() (ok bool) {
	defer func() {
		if cause := recover(); cause != nil {
			t.Count(t.Name)
			t.Log.Error("a goroutine panicked; it is started again", "goroutine", t.Name, "panic", Describe(cause), "stack", string(debug.Stack()))
		}
	}()
	t.Step()
	return true
}

// Repeat does a step after each interval, and waits longer and longer after steps that report false.
// It ends when pause reports false. In a gateway it never ends, because Go does not unload plugins.
func Repeat(step func() (ok bool), interval time.Duration, pause func(time.Duration) bool) {
	next := interval
	for pause(next) {
		if step() {
			next = interval
		} else {
			next = min(2*next, maxPause)
		}
	}
}

// Describe describes a panic without its value, which may hold parts of a request. Errors of the Go
// runtime are given in full: they name only types and numbers.
func Describe(cause any) string {
	if err, ok := cause.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", cause)
}
