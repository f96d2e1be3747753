// Package liveness notices that decisions hang, as after a deadlock. Only then does a
// restart help, so only then does /livez fail.
//
// A [Monitor] asks each listener a question of its own, once every [Interval]. The question
// takes the way of a Check from the arrival of a complete message to its answer
// (decide.Decider.CheckSelf). It takes no place of limits.inFlight and waits for no queue,
// so it is also answered while Checks are shed, while nobody reads the audit trail, and
// while keys or revocations cannot be fetched.
//
// Time is counted in questions, not by a clock: a process that was stopped for a while, as
// by a debugger or by its virtual machine, misses no question.
package liveness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/pprof"
	"sync"
	"time"
)

const (
	// Interval is the time between two questions to a listener.
	Interval = time.Second

	// Bound is how many intervals may pass without an answer before decisions count as hanging.
	Bound = 10

	// maxOpen is how many questions to a listener may be without an answer. A question is asked
	// beside those that hang, so that one that hangs alone is no reason for a restart.
	maxOpen = 10
)

// Listener is a decision path.
type Listener struct {
	Name string
	Ask  func(context.Context) // returns when there is an answer
}

// Monitor asks the listeners.
type Monitor struct {
	log       *slog.Logger
	changed   func()
	listeners []*listenerState
}

type listenerState struct {
	Listener

	mu       sync.Mutex
	open     int // questions without an answer
	silent   int // intervals in a row that began with an open question and have had no answer
	answered time.Time
}

// New makes a monitor that has asked nothing yet. The function changed is called after decisions
// begin to hang and after they are answered again. Log must not block.
func New(log *slog.Logger, changed func(), listeners ...Listener) *Monitor {
	m := &Monitor{log: log, changed: changed}
	for _, l := range listeners {
		m.listeners = append(m.listeners, &listenerState{Listener: l})
	}
	return m
}

// Run asks every listener once in each interval until the context ends.
func (m *Monitor) Run(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		m.AskAll(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// AskAll begins an interval: it asks each listener, and does not wait for an answer.
func (m *Monitor) AskAll(ctx context.Context) {
	for _, l := range m.listeners {
		began, ask := l.beginInterval()
		if ask {
			go func() {
				l.Ask(ctx)
				m.noteAnswer(l)
			}()
		}
		if began {
			m.log.Error("decisions hang: /livez fails from here on", "listener", l.Name, "without_answer", (Bound * Interval).String(), "goroutines", goroutines())
			m.changed()
		}
	}
}

func (m *Monitor) noteAnswer(l *listenerState) {
	if l.endQuestion() {
		m.log.Info("decisions are answered again", "listener", l.Name)
		m.changed()
	}
}

// beginInterval reports whether decisions begin to hang, and whether another question may be asked.
func (l *listenerState) beginInterval() (began, ask bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open > 0 {
		l.silent++
	}
	began = l.silent == Bound
	if ask = l.open < maxOpen; ask {
		l.open++
	}
	return began, ask
}

// endQuestion reports whether decisions hung until now.
func (l *listenerState) endQuestion() (recovered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	recovered = l.silent >= Bound
	l.open--
	l.silent, l.answered = 0, time.Now()
	return recovered
}

// Err names the listeners whose decisions hang; nil: none.
func (m *Monitor) Err() error {
	var all []error
	for _, l := range m.listeners {
		if silent := l.silentTime(); silent >= Bound*Interval {
			all = append(all, fmt.Errorf("decisions of listener %s hang: no self-check was answered for %s", l.Name, silent))
		}
	}
	return errors.Join(all...)
}

// Silent gives the time without an answer for each listener; 0 is usual.
func (m *Monitor) Silent() map[string]time.Duration {
	all := make(map[string]time.Duration, len(m.listeners))
	for _, l := range m.listeners {
		all[l.Name] = l.silentTime()
	}
	return all
}

// Open is the number of questions without an answer.
func (m *Monitor) Open() (all int) {
	for _, l := range m.listeners {
		l.mu.Lock()
		all += l.open
		l.mu.Unlock()
	}
	return all
}

// Describe has a line for each listener.
func (m *Monitor) Describe() (lines []string) {
	for _, l := range m.listeners {
		l.mu.Lock()
		answered, open := l.answered, l.open
		l.mu.Unlock()
		text := "not answered yet"
		if !answered.IsZero() {
			text = "answered at " + answered.UTC().Format(time.RFC3339)
		}
		if open > 1 {
			text += fmt.Sprintf(", %d without an answer", open)
		}
		lines = append(lines, fmt.Sprintf("self-check of %s: %s", l.Name, text))
	}
	return lines
}

func (l *listenerState) silentTime() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.silent) * Interval
}

// maxStacks bounds the stacks in one line of the log.
const maxStacks = 64 << 10

// goroutines gives the stacks of all goroutines, the most frequent ones first: after the restart
// nothing else shows what hung. They hold names of functions and lines of code, and no values.
func goroutines() string {
	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return err.Error()
	}
	return string(all.Bytes()[:min(all.Len(), maxStacks)])
}
