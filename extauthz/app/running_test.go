package app

import (
	"bytes"
	"context"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// running is an authorizer in this process.
type running struct {
	stdout, log buffer
	stop        context.CancelFunc
	ended       chan struct{}
	err         error // what Run returned; read after ended
}

func start(t *testing.T, file string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{stop: stop, ended: make(chan struct{})}
	p := process(file)
	p.Stdout, p.Log = &r.stdout, slog.New(slog.NewJSONHandler(&r.log, nil))
	go func() {
		r.err = Run(ctx, p)
		close(r.ended)
	}()
	t.Cleanup(func() { stop(); <-r.ended })
	for !strings.Contains(r.log.String(), `"msg":"serving"`) {
		select {
		case <-r.ended:
			t.Fatalf("ended: %v", r.err)
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("not serving in time")
		}
	}
	return r
}

// addresses of the listeners, in the order of the configuration.
func (r *running) addresses() (all []string) {
	for _, match := range regexp.MustCompile(`"address":"([^"]+)"`).FindAllStringSubmatch(r.log.String(), -1) {
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

// buffer is written by one goroutine and read by another.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
