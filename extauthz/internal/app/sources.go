package app

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/ops"
	"github.com/meshpass/meshpass/extauthz/internal/revocation/redislist"
	"github.com/meshpass/meshpass/extauthz/internal/services"
	"github.com/meshpass/meshpass/extauthz/internal/transport"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/policy"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
	"github.com/meshpass/meshpass/shared/revocation"
)

// What is made of files that may change while we run. Each is swapped as a
// whole, and stays as it is while what the files hold cannot be used.
type sources struct {
	config    *reload.Value[*loader]
	trust     *reload.Value[trusted]
	documents *reload.Value[policysource.Loaded]
	overrides *reload.Value[[]policy.Override]          // nil: no file of overrides
	revoked   *reload.Value[*revocation.List]           // nil: no file of revocations
	inFile    *fileList                                 // what else is known of revoked
	inRedis   *redislist.List                           // nil: no Redis is configured
	material  *reload.Value[*transport.Material]        // nil: we end no TLS
	services  map[string]*reload.Value[*services.Table] // by listener, of those that need one
}

// Names of the sources in logs, readiness and metrics.
const (
	configSource    = "config"
	jwksSource      = "jwks"
	policiesSource  = "policies"
	overridesSource = "overrides"
	revokedSource   = "revocations"
	redisSource     = "revocations/redis"
	tlsSource       = "tls"
	servicesSource  = "services/" // and the listener's name
)

// defaultPoll is how often the files are looked at.
const defaultPoll = time.Second

// source is one of them, whatever it holds.
type source interface {
	ops.Source
	Run(ctx context.Context, every time.Duration)
}

func (s sources) all() map[string]source {
	all := map[string]source{configSource: s.config, jwksSource: trustSource{s.trust}, policiesSource: documentSource{s.documents}}
	if s.overrides != nil {
		all[overridesSource] = s.overrides
	}
	if s.revoked != nil {
		all[revokedSource] = s.revoked
	}
	if s.inRedis != nil {
		all[redisSource] = s.inRedis
	}
	if s.material != nil {
		all[tlsSource] = s.material
	}
	for listener, table := range s.services {
		all[servicesSource+listener] = table
	}
	return all
}

func (s sources) named() ops.Sources {
	named := ops.Sources{}
	for name, source := range s.all() {
		named[name] = source
	}
	return named
}

// watched makes a value from the files now, and whenever their content changes.
// The problems of now join the loader's own.
func watched[T any](l *loader, at strictyaml.Path, files []reload.Input, read func(*loader) T, report func(T, error)) *reload.Value[T] {
	value, err := reload.New(files, func() (T, error) {
		again := l.again()
		made := read(again)
		return made, again.check.ErrOfValues()
	}, report)
	l.check.RejectError(at, err)
	return value
}

// stopWatching is how long the end of a process waits for looks at files. One that
// hangs, as at a network mount whose server is away, ends with the process.
const stopWatching = time.Second

// watch looks at the files until the returned function is called. Each source has a
// goroutine of its own: one that hangs keeps none of the others from its files.
func (s sources) watch(every time.Duration) (stop func()) { return watchAll(s.all(), every) }

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

func (a *authorizer) watchTLS(l *loader) {
	if files, named := l.tlsFiles(); named {
		a.material = watched(l, strictyaml.Path{"tls"}, reload.Files(files.Paths()...), func(l *loader) *transport.Material { return l.material(files, a.Now) }, a.materialChanged)
	}
}

func (a *authorizer) watchServices(l *loader) {
	a.services = map[string]*reload.Value[*services.Table]{}
	for i, listener := range l.config.Listeners {
		if listener.Callee != byService || listener.Services == "" {
			continue
		}
		file := l.check.ResolvePath(listener.Services)
		at := strictyaml.Path{"listeners", i, "services"}
		read := func(l *loader) *services.Table { return l.services(at, file) }
		a.services[listener.Name] = watched(l, at, reload.Files(file), read, a.servicesChanged(listener.Name))
	}
}

func (a *authorizer) materialChanged(material *transport.Material, err error) {
	if !a.refused(tlsSource, err) {
		a.Log.Info("certificates reloaded", "not_after", material.NotAfter().UTC())
	}
}

func (a *authorizer) servicesChanged(listener string) func(*services.Table, error) {
	return func(table *services.Table, err error) {
		if !a.refused(servicesSource+listener, err) {
			a.Log.Info("services reloaded", "listener", listener, "services", table.Len())
		}
	}
}

// refused tells of a change that cannot be used. It is called once for each.
func (a *authorizer) refused(source string, err error) bool {
	if err == nil {
		return false
	}
	a.metrics.ChangeRefused(source)
	message := "change refused, the last good state stays active"
	if !a.serving.Load() {
		message = "not loaded at the start; it is tried again"
	}
	a.Log.Error(message,
		"source", source, "problems", strings.Split(err.Error(), "\n"))
	return true
}
