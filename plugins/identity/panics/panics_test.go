package panics

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// A step that panics is repeated after longer and longer pauses, and at the usual interval when it ends
// without a panic. The value of the panic is not logged.
func TestGoroutineOutlivesItsPanics(t *testing.T) {
	var log bytes.Buffer
	var paused []time.Duration
	steps := 0
	counted := map[string]int{}
	task := Task{Name: "files", Count: func(name string) { counted[name]++ }, Log: slog.New(slog.NewTextHandler(&log, nil)), Step: func() {
		if steps++; steps <= 8 || steps == 10 {
			panic(errors.New("a secret"))
		}
	}}
	Repeat(task.Run, time.Second, func(d time.Duration) bool {
		paused = append(paused, d)
		return steps < 11
	})
	s := time.Second
	want := []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, time.Minute, time.Minute, time.Minute, s, 2 * s, s}
	if !slices.Equal(paused, want) {
		t.Errorf("paused %v, want %v", paused, want)
	}
	if n := counted["files"]; n != 9 {
		t.Errorf("%d panics counted, want 9", n)
	}
	text := log.String()
	if strings.Count(text, "goroutine=files panic=*errors.errorString") != 9 || strings.Contains(text, "a secret") {
		t.Errorf("log: %s", text)
	}
}

func TestKindOfPanic(t *testing.T) {
	defer func() {
		const want = "runtime error: index out of range [1] with length 0"
		if got := Describe(recover()); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}()
	var none []int
	_ = none[len("x")]
}
