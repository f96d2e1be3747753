package liveness_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/liveness"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/lockedbuffer"
)

// A deadlock keeps every question. The log says so once, with the stacks, and says when it is over.
func TestQuestionsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedbuffer.Buffer
		var changes atomic.Int64
		released := make(chan struct{})
		deadlock := func(context.Context) { <-released }
		answered := func(context.Context) {}
		m := liveness.New(slog.New(slog.NewTextHandler(&log, nil)), func() { changes.Add(1) },
			liveness.Listener{Name: "sidecar", Ask: deadlock}, liveness.Listener{Name: "waypoint", Ask: answered})
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)

		time.Sleep(liveness.Bound*liveness.Interval - time.Millisecond)
		synctest.Wait()
		if err := m.Err(); err != nil || log.String() != "" {
			t.Errorf("before the bound: %v\n%s", err, log.String())
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		const hangs = "decisions of listener sidecar hang: no self-check was answered for 10s"
		if err := m.Err(); err == nil || err.Error() != hangs {
			t.Errorf("at the bound: %v", err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := m.Open(); got != 10 {
			t.Errorf("%d questions wait after an hour, want 10", got)
		}
		text := log.String()
		if strings.Count(text, "\n") != 1 || !strings.Contains(text, "listener=sidecar without_answer=10s") || !strings.Contains(text, "TestQuestionsThatHang") {
			t.Errorf("log: %s", text)
		}
		if silent := m.Silent(); silent["sidecar"] != time.Hour+liveness.Bound*liveness.Interval || silent["waypoint"] != 0 {
			t.Errorf("silent: %v", silent)
		}

		close(released)
		synctest.Wait()
		if err := m.Err(); err != nil || m.Open() != 0 || changes.Load() != 2 {
			t.Errorf("afterwards: %v, %d wait, %d changes", err, m.Open(), changes.Load())
		}
		if text := log.String(); !strings.Contains(text, `msg="decisions are answered again" listener=sidecar`) {
			t.Errorf("log: %s", text)
		}
		cancel()
		synctest.Wait()
	})
}

// One question that hangs beside others that are answered is no reason for a restart.
func TestOneQuestionThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		released := make(chan struct{})
		m := liveness.New(slog.New(slog.DiscardHandler), func() { t.Error("changed") }, liveness.Listener{Name: "sidecar", Ask: func(context.Context) {
			if asked.Add(1) == 1 {
				<-released
			}
		}})
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		time.Sleep(time.Hour)
		synctest.Wait()
		if err := m.Err(); err != nil || m.Open() != 1 {
			t.Errorf("got %v, %d questions wait", err, m.Open())
		}
		close(released)
		cancel()
		synctest.Wait()
	})
}

// A process that is stopped for an hour, as by a debugger, has not asked in that time.
func TestAProcessThatWasStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		released := make(chan struct{})
		m := liveness.New(slog.New(slog.DiscardHandler), func() { t.Error("changed") },
			liveness.Listener{Name: "sidecar", Ask: func(context.Context) { <-released }})
		m.AskAll(t.Context())
		time.Sleep(time.Hour)
		m.AskAll(t.Context())
		if err := m.Err(); err != nil {
			t.Error(err)
		}
		close(released)
		synctest.Wait()
	})
}
