package app

import (
	"context"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/testhelp/lockedbuffer"
	"github.com/meshpass/meshpass/internal/audittest"
)

// TestMain gives a Check more time than by default, because a busy machine takes its
// own.
func TestMain(m *testing.M) {
	defaultLimits.Deadline = 10 * time.Second
	useNameServer()
	os.Exit(m.Run())
}

// running is an authorizer in this process.
type running struct {
	stdout, log lockedbuffer.Buffer
	stop        context.CancelFunc
	ended       chan struct{}
	err         error // what Run returned; read after ended
}

func start(t *testing.T, file string, changes ...func(*Process)) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{stop: stop, ended: make(chan struct{})}
	p := process(file)
	p.Stdout, p.Log = &r.stdout, slog.New(slog.NewJSONHandler(&r.log, nil))
	for _, change := range changes {
		change(&p)
	}
	go func() {
		r.err = Run(ctx, p)
		close(r.ended)
	}()
	t.Cleanup(func() {
		stop()
		<-r.ended
		audittest.CheckLines(t, r.stdout.String()) // it holds audit records alone
	})
	r.await(t, "serving")
	return r
}

// await waits for a message of the log.
func (r *running) await(t *testing.T, message string) {
	t.Helper()
	eventually(t, "no "+message+" in the log", func() bool {
		select {
		case <-r.ended:
			t.Fatalf("ended: %v", r.err)
		default:
		}
		return r.logged(message) > 0
	})
}

// logged counts a message of the log.
func (r *running) logged(message string) int {
	return strings.Count(r.log.String(), `"msg":"`+message+`"`)
}

// eventually polls until the condition holds, and fails in a while.
func eventually(t *testing.T, otherwise string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
	}
}

// addresses of the listeners, in the order of the configuration.
func (r *running) addresses() []string { return r.matches(`"msg":"listening",.*"address":"([^"]+)"`) }

// ops is the URL of probes and metrics.
func (r *running) ops() string {
	return "http://" + r.matches(`"msg":"probes and metrics",.*"address":"([^"]+)"`)[0]
}

func (r *running) matches(pattern string) (all []string) {
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(r.log.String(), -1) {
		all = append(all, match[1])
	}
	return all
}

func (r *running) end(t *testing.T) error {
	r.stop()
	return r.wait(t)
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("did not end in time")
	}
	return r.err
}
