package app

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/ops"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// Names of the sources in logs, readiness and metrics.
const (
	configSource      = "config"
	jwksSource        = "jwks"
	policiesSource    = "policies"
	overridesSource   = "overrides"
	headersSource     = "allowedHeaders"
	revocationsSource = "revocations"
	redisSource       = "revocations/redis"
	tlsSource         = "tls"
	servicesSource    = "services/" // and the listener's name
)

// source is a value that is made from files which may change while the process runs. It is
// replaced as a whole, and stays as it is while what the files hold cannot be used.
type source interface {
	ops.Source
	Run(ctx context.Context, every time.Duration)
}

// follow loads a value from files, and again whenever their content changes. Problems of the first
// load are recorded at the path of the setting that names the files.
func follow[T any](file *strictyaml.Checker, at strictyaml.Path, files []reload.Input, read func() (T, error), report func(T, error)) *reload.Value[T] {
	load := func() (T, error) {
		value, err := read()
		return value, file.ErrorAt(at, err)
	}
	value := reload.Pending(func() []reload.Input { return files }, load, report)
	file.RejectError(at, value.LoadFirst())
	return value
}

// changeLog logs and counts changes that are rejected.
type changeLog struct {
	log     *slog.Logger
	metrics *ops.Metrics
	serving atomic.Bool // the start is complete
}

// logRejected logs and counts a change that cannot be used. It is called once for each change.
func (c *changeLog) logRejected(source string, err error) {
	c.metrics.ChangeRejected(source)
	message := "change rejected, the last good state stays active"
	if !c.serving.Load() {
		message = "not loaded at the start; it is tried again"
	}
	c.log.Error(message, "source", source, "problems", strings.Split(err.Error(), "\n"))
}

// stopWatching is how long the end of a process waits for looks at files. One that
// hangs, as at a network mount whose server is away, ends with the process.
const stopWatching = time.Second

// watchAll looks at the sources until the returned function is called. Each source has a
// goroutine of its own: one that hangs does not keep the others from their files.
func watchAll(all map[string]source, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	for _, source := range all {
		loops.Go(func() { source.Run(ctx, every) })
	}
	return func() {
		cancel()
		ended := make(chan struct{})
		go func() { loops.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(stopWatching):
		}
	}
}
