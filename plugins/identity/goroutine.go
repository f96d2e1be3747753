package main

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"
)

// The plugin's own goroutines, as logs and metrics name them.
const (
	filesGoroutine       = "files"
	metricsGoroutine     = "metrics"
	definitionsGoroutine = "definitions"
)

var goroutines = []string{filesGoroutine, metricsGoroutine, definitionsGoroutine}

// longestPause is between two tries of what panics each time.
const longestPause = time.Minute

// work is done in a goroutine of ours. Tyk recovers panics in hooks only: one in a
// goroutine would end the gateway.
type work struct {
	name  string // one of goroutines
	step  func()
	meter *meter
	log   *slog.Logger
}

// forever does a step at every interval, and after a panic later and later. It
// ends when pause says so: never in a gateway, since Go does not unload plugins.
func (w work) forever(pause func(time.Duration) bool) { forever(w.once, pause) }

// forever is for a step that tells itself whether it ended well.
func forever(step func() bool, pause func(time.Duration) bool) {
	next := interval
	for pause(next) {
		if step() {
			next = interval
		} else {
			next = min(2*next, longestPause)
		}
	}
}

// once does one step and tells whether it ended well.
func (w work) once() (ok bool) {
	defer func() {
		if cause := recover(); cause != nil {
			w.meter.panics[w.name].Add(1)
			w.log.Error("a goroutine panicked; it is started again", "goroutine", w.name, "panic", kindOf(cause), "stack", string(debug.Stack()))
		}
	}()
	w.step()
	return true
}

func sleep(d time.Duration) bool {
	time.Sleep(d)
	return true
}

// kindOf tells of a panic without its value, which may hold what a request said.
// The runtime's own errors name types and numbers only.
func kindOf(cause any) string {
	if err, ok := cause.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", cause)
}
